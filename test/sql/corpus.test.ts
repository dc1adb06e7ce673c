// Every labelled statement, both ways: the facts show the class that the label names, and the default rules stop what
// must stop and pass what must pass.
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadRules } from '../../src/rules/load.ts';
import type { SessionVariables } from '../../src/rules/verdict.ts';
import type { Facts, Understanding } from '../../src/sql/facts.ts';
import { loadParser, understand } from '../../src/sql/understand.ts';
import { allCases, readCases } from './vectors.ts';

beforeAll(loadParser);

const { budget, estimate } = JSON.parse(
  readFileSync(new URL('../vectors/statements/not-by-facts.json', import.meta.url), 'utf8'),
) as Record<'budget' | 'estimate', Record<string, string>>;
const exceptions = { ...budget, ...estimate };

const session: SessionVariables = {
  agent: 'reporting-bot',
  owner: 'alice@example.com',
  onBehalfOf: [],
  groups: [],
  claims: {},
  database: 'shop',
  role: 'agent',
  clientAddress: '127.0.0.1',
  tls: false,
  inTransaction: false,
  claimed: { applicationName: '', purpose: '' },
};

const rules = loadRules([new URL('../../rules/default.yaml', import.meta.url).pathname]);

function isStopped(understanding: Understanding): boolean {
  const statements = understanding.known ? understanding.statements : [understanding];
  return statements.some((statement) => rules.judge(statement, session).action !== 'allow');
}

const inClass =
  (name: Facts['classes'][number]) =>
  (facts: Facts): boolean =>
    facts.classes.includes(name);

/** Label → what the facts of one of its statements have to show. */
const SHOWN: Readonly<Record<string, (facts: Facts) => boolean>> = {
  ddl: (facts) => facts.classes.includes('ddl') && !facts.temporary,
  privilege: inClass('privilege'),
  export: (facts) => facts.classes.includes('export') || facts.collects || (facts.limit ?? 0) > 10_000,
  code: inClass('code'),
  'mass-write': (facts) => facts.where === 'none' || facts.where === 'constant',
  admin: (facts) => facts.classes.includes('admin') || facts.lexing,
};

describe('labelled statements', () => {
  const cases = allCases();

  test('there are enough of them, each with a name of its own', () => {
    expect(cases.length).toBeGreaterThan(500);
    expect(new Set(cases.map(({ id }) => id)).size).toBe(cases.length);
    for (const id of Object.keys(exceptions)) expect(cases.map((one) => one.id)).toContain(id);
  });

  test.each(cases)('$id $expect: $sql', ({ id, class: label, expect: expected, sql }) => {
    const understanding = understand(sql);
    // What facts alone cannot answer must still be on the list for a reason: it is wrong without the catalog.
    const answer = Object.hasOwn(exceptions, id) ? 'pass' : expected;
    expect(isStopped(understanding) ? 'stop' : 'pass').toBe(answer);
    if (answer === 'pass') return;
    if (label === 'unparsed') expect(understanding.known).toBe(false);
    else if (label !== 'bypass') {
      const shown = SHOWN[label];
      expect(shown, `no such label: ${label}`).toBeDefined();
      const statements = understanding.known ? understanding.statements : [];
      expect(statements.some((facts) => shown?.(facts))).toBe(true);
    }
  });

  test('every folder has been read', () => {
    for (const folder of ['statements', 'bypass', 'false-alarms'])
      expect(readCases(folder)).not.toHaveLength(0);
  });
});
