// The packs that ship: fact by fact, what each makes of every class of statement. Their case files, which begin at SQL,
// are run by cases.test.ts.
import { describe, expect, test } from 'vitest';
import { loadRules } from '../../src/rules/load.ts';
import { type Facts, STATEMENT_CLASSES, type StatementClass, type Unknown } from '../../src/sql/facts.ts';
import { facts, session, unknown } from './facts.ts';

const standard = loadRules(['rules/default.yaml']);
const strict = loadRules(['rules/strict.yaml']);
const migrations = loadRules(['rules/migrations.yaml']);
const observe = loadRules(['rules/observe.yaml']);

const BY_CLASS: Readonly<Record<StatementClass, string>> = {
  read: 'ordinary',
  write: 'ordinary',
  import: 'ordinary',
  session: 'ordinary',
  transaction: 'ordinary',
  maintenance: 'ordinary',
  notify: 'ordinary',
  ddl: 'schema-changes',
  privilege: 'privileges',
  export: 'exports',
  code: 'code',
  admin: 'administration',
  unknown: 'not-understood',
};

const CASES: readonly (readonly [string, Facts | Unknown, string])[] = [
  ...STATEMENT_CLASSES.map((name) => [name, facts({ classes: [name] }), BY_CLASS[name]] as const),
  ...STATEMENT_CLASSES.filter((name) => BY_CLASS[name] !== 'ordinary').map(
    (name) => [`read and ${name}`, facts({ classes: ['read', name] }), BY_CLASS[name]] as const,
  ),
  ['no class at all', facts({ classes: [] }), 'default'],
  ['not parsed', unknown, 'not-understood'],
  ['temporary table', facts({ classes: ['ddl'], temporary: true }), 'ordinary'],
  ['temporary table and code', facts({ classes: ['ddl', 'code'], temporary: true }), 'code'],
  ['lexing setting', facts({ classes: ['session'], lexing: true }), 'lexing'],
  ['LIMIT 10000', facts({ limit: 10_000 }), 'ordinary'],
  ['LIMIT 10001', facts({ limit: 10_001 }), 'large-limits'],
  ['LIMIT beyond any integer', facts({ limit: 1e300 }), 'large-limits'],
  ['WHERE that is real', facts({ classes: ['write'], where: 'real' }), 'ordinary'],
  ['WHERE that is constant', facts({ classes: ['write'], where: 'constant' }), 'mass-writes'],
  ['no WHERE', facts({ classes: ['write'], where: 'none' }), 'mass-writes'],
  ['gathers rows that nothing bounds', facts({ collects: true }), 'gathered-rows'],
];

describe('the default pack', () => {
  test('loads without a warning', () => expect(standard.warnings).toEqual([]));

  test.each(CASES)('%s', (_what, statement, rule) => {
    const verdict = standard.judge(statement, session());
    expect(verdict.rule).toBe(rule);
    expect(verdict.action).toBe(rule === 'ordinary' ? 'allow' : rule === 'lexing' ? 'deny' : 'hold');
    expect(verdict.approvals).toEqual({ count: 1, groups: [], reasonRequired: false });
    if (rule !== 'ordinary') expect(verdict.message).toMatch(/^[A-Z].{40,}\.$/);
  });

  test('every rule is covered here', () => {
    expect([...new Set(CASES.map(([, , rule]) => rule))].toSorted()).toEqual(
      [...standard.names, 'default'].toSorted(),
    );
  });
});

describe('the observing pack', () => {
  test('loads without a warning, with all rules of the default pack', () => {
    expect(observe.warnings).toEqual([]);
    expect(observe.names).toEqual(standard.names);
  });

  test.each(CASES)('%s', (_what, statement, rule) => {
    const would = standard.judge(statement, session());
    expect(observe.judge(statement, session())).toMatchObject({
      action: 'allow',
      wouldHave: rule === 'ordinary' ? null : { action: would.action, rule },
    });
  });
});

describe('the strict pack', () => {
  // Said by class, so that a class that the grammar gets one day is denied until somebody has thought of it.
  const allowed: readonly StatementClass[] = ['read', 'transaction', 'session'];

  test.each(STATEMENT_CLASSES)('%s, alone and with a read', (name) => {
    const expected = allowed.includes(name) ? 'allow' : name === 'export' ? 'hold' : 'deny';
    expect(strict.judge(facts({ classes: [name] }), session()).action).toBe(expected);
    expect(strict.judge(facts({ classes: ['read', name] }), session()).action).toBe(expected);
  });

  test('no class at all, and a temporary table', () => {
    expect(strict.judge(facts({ classes: [] }), session()).action).toBe('deny');
    expect(strict.judge(facts({ classes: ['ddl'], temporary: true }), session()).action).toBe('deny');
  });
});

describe('the pack for migrations', () => {
  const allowed: readonly StatementClass[] = [
    'read',
    'ddl',
    'transaction',
    'session',
    'maintenance',
    'notify',
  ];

  test.each(STATEMENT_CLASSES)('%s, alone and with a schema change', (name) => {
    const expected = allowed.includes(name) ? 'allow' : 'hold';
    expect(migrations.judge(facts({ classes: [name] }), session()).action).toBe(expected);
    expect(migrations.judge(facts({ classes: ['ddl', name] }), session()).action).toBe(expected);
  });

  test('a write that names no table is none of the bookkeeping', () => {
    expect(migrations.judge(facts({ classes: ['write'] }), session())).toMatchObject({ rule: 'data-writes' });
  });
});
