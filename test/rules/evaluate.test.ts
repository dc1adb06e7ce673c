// What a set of rules says: the strictest of what matches, whatever the order; closed where it cannot tell.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { loadRules } from '../../src/rules/load.ts';
import { compareStrictness, isStricterAction, strictestOf } from '../../src/rules/strictness.ts';
import { FIELDS, VARIABLES } from '../../src/rules/variables.ts';
import type { Action, Verdict } from '../../src/rules/verdict.ts';
import type { Facts, Unknown } from '../../src/sql/facts.ts';
import { verdictWith } from '../gate/parts.ts';
import { facts, session, unknown } from './facts.ts';

const folder = mkdtempSync(join(tmpdir(), 'countersign-evaluate-'));
afterAll(() => rmSync(folder, { recursive: true }));

type Rule = { name: string; when: string; action: Action } & Record<string, unknown>;
type Pack = { rules: readonly Rule[]; default?: Action; enforce?: boolean; include?: readonly string[] };

let written = 0;
function file(pack: Pack): string {
  const name = join(folder, `${written++}.yaml`);
  // JSON is YAML.
  writeFileSync(name, JSON.stringify({ version: 1, ...pack }));
  return name;
}
const NOON_ON_A_SUNDAY = Date.UTC(2026, 10, 22, 12, 0, 0);
const load = (...packs: readonly Pack[]) => loadRules(packs.map(file), () => NOON_ON_A_SUNDAY);
const judge = (packs: readonly Pack[], statement: Facts | Unknown = facts(), who = session()) =>
  load(...packs).judge(statement, who);
const rule = (name: string, action: Action, more: Record<string, unknown> = {}): Rule => ({
  name,
  when: 'true',
  action,
  ...more,
});

describe('which rule decides', () => {
  test.each<[string, readonly Pack[], Action, string]>([
    [
      'deny over hold over allow',
      [{ rules: [rule('a', 'allow'), rule('b', 'hold'), rule('c', 'deny')] }],
      'deny',
      'c',
    ],
    ['hold over allow', [{ rules: [rule('a', 'allow'), rule('b', 'hold')] }], 'hold', 'b'],
    ['equal ones by name', [{ rules: [rule('b', 'hold'), rule('a', 'hold')] }], 'hold', 'a'],
    [
      'two people over one',
      [{ rules: [rule('a', 'hold'), rule('b', 'hold', { approvals: { count: 2 } })] }],
      'hold',
      'b',
    ],
    [
      'a reason over none',
      [{ rules: [rule('a', 'hold'), rule('b', 'hold', { approvals: { reason: 'required' } })] }],
      'hold',
      'b',
    ],
    [
      'a group over anybody',
      [{ rules: [rule('a', 'hold'), rule('b', 'hold', { approvals: { groups: ['dba'] } })] }],
      'hold',
      'b',
    ],
    ['no rule matches: held', [{ rules: [rule('a', 'allow', { when: 'false' })] }], 'hold', 'default'],
    ['no rule matches: the default', [{ rules: [], default: 'deny' }], 'deny', 'default'],
    ['a pack cannot loosen another', [{ rules: [rule('a', 'allow')] }, { rules: [] }], 'hold', 'default'],
    [
      'the strictest pack',
      [{ rules: [rule('a', 'allow')] }, { rules: [rule('b', 'deny')], default: 'allow' }],
      'deny',
      'b',
    ],
    ['a rule over an equal default', [{ rules: [] }, { rules: [rule('z', 'hold')] }], 'hold', 'z'],
    [
      'a pack that only objects',
      [{ rules: [rule('a', 'allow')] }, { rules: [rule('b', 'hold', { when: 'false' })], default: 'allow' }],
      'allow',
      'a',
    ],
  ])('%s', (_what, packs, action, name) => {
    expect(judge(packs)).toMatchObject({ action, rule: name });
    expect(judge([...packs].reverse())).toMatchObject({ action, rule: name });
  });

  const rules = fc.uniqueArray(
    fc.record({
      name: fc.constantFrom(...'abcdefgh'),
      action: fc.constantFrom<Action>('allow', 'hold', 'deny'),
      when: fc.constantFrom(
        'true',
        'false',
        'statement.known',
        'statement.collects',
        'session.claims.nothing == 1',
      ),
      approvals: fc.record({
        count: fc.integer({ min: 1, max: 3 }),
        groups: fc.constantFrom([], ['dba'], ['dba', 'sec']),
      }),
      record: fc.constantFrom('full', 'digest'),
      enforce: fc.boolean(),
    }),
    { selector: ({ name }) => name, maxLength: 6 },
  );
  const defaults = fc.constantFrom<Action>('allow', 'hold', 'deny');

  test('whatever their order', () => {
    const shuffled = rules.chain((list) =>
      fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }), defaults),
    );
    fc.assert(
      fc.property(shuffled, ([list, other, otherwise]) => {
        expect(judge([{ rules: other, default: otherwise }])).toEqual(
          judge([{ rules: list, default: otherwise }]),
        );
      }),
      { numRuns: 60 },
    );
  });

  test('a rule more, or a pack more, never loosens what a rule said', () => {
    fc.assert(
      fc.property(rules, defaults, defaults, fc.boolean(), (list, otherwise, ofPack, asPack) => {
        const [added, ...others] = list;
        if (added === undefined) return;
        const before = judge([{ rules: others, default: otherwise }]);
        const after = asPack
          ? judge([
              { rules: others, default: otherwise },
              { rules: [added], default: ofPack },
            ])
          : judge([{ rules: [...others, added], default: otherwise }]);
        // Within a pack, matching means that the default no longer applies: that is what an allow rule is for.
        if (!asPack && before.rule === 'default') return;
        expect(isStricterAction(before.action, after.action)).toBe(false);
        if (before.action === 'hold' && after.action === 'hold') {
          expect(after.approvals.count).toBeGreaterThanOrEqual(before.approvals.count);
        }
        expect(before.record === 'digest' && after.record === 'full').toBe(false);
      }),
      { numRuns: 100 },
    );
  });
});

describe('observing', () => {
  const ddl = { when: '"ddl" in statement.classes' };
  const statement = facts({ classes: ['ddl'] });

  test('a rule that is not enforced decides nothing, not even that a rule matched', () => {
    const packs = [
      {
        rules: [
          rule('a', 'allow', { when: 'statement.collects' }),
          rule('trial', 'allow', { enforce: false }),
        ],
      },
    ];
    expect(judge(packs)).toMatchObject({ action: 'hold', rule: 'default', wouldHave: null });
  });

  test('it is recorded when it is stricter than what was decided', () => {
    const packs = (action: Action): Pack[] => [
      { rules: [rule('all', 'hold'), rule('trial', action, { ...ddl, enforce: false })] },
    ];
    expect(judge(packs('deny'), statement)).toMatchObject({
      action: 'hold',
      rule: 'all',
      wouldHave: { action: 'deny', rule: 'trial' },
    });
    expect(judge(packs('hold'), statement).wouldHave).toBeNull();
    expect(judge(packs('deny')).wouldHave).toBeNull();
  });

  test('a pack that is not enforced lets everything through and says what it would have done', () => {
    const packs: Pack[] = [
      {
        enforce: false,
        rules: [rule('a', 'deny', ddl), rule('b', 'allow', { when: '"read" in statement.classes' })],
      },
    ];
    expect(judge(packs, statement)).toMatchObject({
      action: 'allow',
      rule: 'default',
      wouldHave: { action: 'deny', rule: 'a' },
    });
    expect(judge(packs)).toMatchObject({ action: 'allow', wouldHave: null });
    expect(judge(packs, unknown)).toMatchObject({
      action: 'allow',
      wouldHave: { action: 'hold', rule: 'default' },
    });
  });

  test('beside an enforced pack it has no say', () => {
    const packs: Pack[] = [{ enforce: false, rules: [rule('a', 'deny')] }, { rules: [rule('b', 'allow')] }];
    expect(judge(packs)).toMatchObject({
      action: 'allow',
      rule: 'b',
      wouldHave: { action: 'deny', rule: 'a' },
    });
  });

  test('what is included from a pack that is not enforced is not enforced', () => {
    const inner = file({ enforce: false, rules: [rule('a', 'deny')] });
    expect(judge([{ include: [inner], rules: [rule('b', 'allow')] }])).toMatchObject({
      action: 'allow',
      wouldHave: { rule: 'a' },
    });
  });

  test('an included pack brings its default unless there is one', () => {
    const inner = file({ default: 'deny', rules: [] });
    expect(judge([{ include: [inner], rules: [] }]).action).toBe('deny');
    expect(judge([{ include: [inner], rules: [], default: 'allow' }]).action).toBe('allow');
  });
});

describe('a condition that cannot be evaluated', () => {
  const failing = 'session.claims.nothing == 1';
  test('counts as matched for what stops, with a note, and not for what lets through', () => {
    const held = judge([
      { rules: [rule('a', 'hold', { when: failing, message: 'Ask.' }), rule('b', 'allow')] },
    ]);
    expect(held).toMatchObject({ action: 'hold', rule: 'a' });
    expect(held.message).toMatch(
      /^Ask\. The condition of this rule could not be evaluated \(No such key: nothing\)/,
    );
    expect(judge([{ rules: [rule('a', 'allow', { when: failing })] }])).toMatchObject({
      action: 'hold',
      rule: 'default',
    });
  });
});

describe('what a verdict carries', () => {
  test('message, contact, approvals of the rule', () => {
    const more = { message: 'm', contact: 'c', approvals: { count: 2, groups: ['dba'], reason: 'required' } };
    expect(judge([{ rules: [rule('a', 'hold', more)] }])).toEqual({
      budgets: { statementRows: null, statementBytes: null },
      action: 'hold',
      rule: 'a',
      message: 'm',
      contact: 'c',
      record: 'full',
      wouldHave: null,
      approvals: { count: 2, groups: ['dba'], reasonRequired: true },
    });
  });

  test('digest as soon as one enforced rule that matches says so', () => {
    const digest = (enforce: boolean, when = 'true') =>
      rule('a', 'allow', { record: 'digest', enforce, when });
    expect(judge([{ rules: [digest(true), rule('b', 'hold')] }])).toMatchObject({
      rule: 'b',
      record: 'digest',
    });
    expect(judge([{ rules: [digest(false), rule('b', 'hold')] }]).record).toBe('full');
    expect(judge([{ rules: [digest(true, 'false'), rule('b', 'hold')] }]).record).toBe('full');
  });
});

describe('what a condition sees', () => {
  const rich = facts({
    text: 'UPDATE a.b SET x = 1',
    tags: ['UPDATE'],
    classes: ['write'],
    where: 'real',
    limit: 7,
    reasons: ['why'],
    relations: [
      { schema: null, name: 'b', use: 'update' },
      { schema: 's', name: 't', use: 'read' },
    ],
    functions: [{ schema: null, name: 'now' }],
    settings: [{ name: 'work_mem', value: null, how: 'reset', dynamic: true }],
  });
  test.each<[string, boolean, (Facts | Unknown)?]>([
    ['statement.text.startsWith("UPDATE")', true],
    ['"write" in statement.classes && "UPDATE" in statement.tags && statement.known', true],
    [
      'statement.relations[0].schema == "" && statement.relations[0].name == "b" && statement.relations[0].use == "update"',
      true,
    ],
    ['statement.relations.exists(r, r.schema == "s" && r.use == "read")', true],
    ['statement.functions.all(f, f.name == "now" && f.schema == "")', true],
    [
      'statement.settings.exists(s, s.name == "work_mem" && s.value == "" && s.how == "reset" && s.dynamic)',
      true,
    ],
    ['statement.where == "real" && statement.limit == 7 && "why" in statement.reasons', true],
    ['statement.limit == -1', true, facts()],
    ['statement.collects || statement.temporary || statement.lexing', false],
    [
      'statement.collects && statement.temporary && statement.lexing',
      true,
      facts({ collects: true, temporary: true, lexing: true }),
    ],
    ['!statement.known && statement.classes == ["unknown"] && size(statement.tags) == 0', true, unknown],
    ['statement.where == "absent" && size(statement.relations) == 0 && statement.limit == -1', true, unknown],
    ['session.agent == "reporting-bot" && session.owner == "alice@example.com"', true],
    ['"bob@example.com" in session.on_behalf_of && "reports" in session.groups', true],
    ['session.claims.level >= 3 && "read" in session.claims.scopes && session.claims.admin == true', true],
    ['has(session.claims.nothing)', false],
    [
      'session.database == "shop" && session.role == "countersign" && session.client_address == "10.0.0.7"',
      true,
    ],
    ['session.tls && !session.in_transaction', true],
    ['claimed.application_name == "psql" && claimed.purpose.contains("report")', true],
    [
      'time.now == timestamp("2026-11-22T12:00:00Z") && time.now.getHours() == 12 && time.now.getDayOfWeek() == 0',
      true,
    ],
    ['statement.text.matches("^UPDATE [a-z.]+ SET")', true],
  ])('%s is %s', (when, matched, statement = rich) => {
    const { answers } = load({ rules: [rule('r', 'deny', { when })] }).explain(statement, session());
    expect(answers).toMatchObject([{ matched, failure: null }]);
  });

  test('every declared field can be read of a statement that is known and of one that is not', () => {
    for (const [variable, type] of Object.entries(VARIABLES)) {
      for (const field of Object.keys(FIELDS[type])) {
        const when = `${variable}.${field} == ${variable}.${field}`;
        for (const statement of [rich, unknown]) {
          const { answers } = load({ rules: [rule('r', 'deny', { when })] }).explain(statement, session());
          expect(answers, when).toMatchObject([{ matched: true, failure: null }]);
        }
      }
    }
  });
});

describe('a verdict is remembered', () => {
  test('where only the statement is looked at', () => {
    const rules = load({ rules: [rule('a', 'hold', { when: 'statement.known', record: 'digest' })] });
    const statement = facts();
    expect(rules.judge(statement, session())).toBe(rules.judge(statement, session({ agent: 'other' })));
    expect(rules.judge(unknown, session()).rule).toBe('default');
  });

  test.each([
    'session.agent == "x"',
    'claimed.purpose == "x"',
    'statement.tags.exists(t, t == session.agent)',
  ])('but not where a condition is %s', (when) => {
    const rules = load({ rules: [rule('a', 'deny', { when })] });
    const statement = facts({ tags: ['x'] });
    const x = session({ agent: 'x', claimed: { applicationName: '', purpose: 'x' } });
    expect(rules.judge(statement, session()).action).toBe('hold');
    expect(rules.judge(statement, x).action).toBe('deny');
    expect(rules.judge(statement, session()).action).toBe('hold');
  });

  test('and not where it depends on the time', () => {
    let now = NOON_ON_A_SUNDAY;
    const rules = loadRules(
      [file({ rules: [rule('a', 'deny', { when: 'time.now.getHours() < 13' })] })],
      () => now,
    );
    const statement = facts();
    expect(rules.judge(statement, session()).action).toBe('deny');
    now += 3_600_000;
    expect(rules.judge(statement, session()).action).toBe('hold');
  });
});

describe('budgets', () => {
  const few = { statementRows: 10 };
  const small = { statementRows: 100, statementBytes: '1000B' };

  test('of all rules that let it through, the least of each counts', () => {
    const packs = [{ rules: [rule('a', 'allow', { budgets: few }), rule('b', 'allow', { budgets: small })] }];
    expect(judge(packs).budgets).toEqual({ statementRows: 10, statementBytes: 1000 });
    const frame = strictestOf([
      verdictWith({ budgets: { statementRows: 100, statementBytes: 1000 } }),
      verdictWith({ budgets: { statementRows: 10, statementBytes: null } }),
    ]);
    expect(frame.budgets).toEqual({ statementRows: 10, statementBytes: 1000 });
  });

  test('are none where nothing is enforced', () => {
    expect(judge([{ enforce: false, rules: [rule('a', 'allow', { budgets: few })] }]).budgets).toBeNull();
    expect(judge([{ rules: [rule('a', 'allow')] }]).budgets).not.toBeNull();
  });
});

describe('one verdict for a frame', () => {
  const verdict = (action: Action, name: string, more: Partial<Verdict> = {}): Verdict =>
    verdictWith({ action, rule: name, ...more });
  test('is the strictest, redacts what any redacts, and remembers what would have been stricter', () => {
    const trial = { action: 'deny', rule: 'trial' } as const;
    expect(
      strictestOf([verdict('allow', 'a', { record: 'digest', wouldHave: trial }), verdict('hold', 'b')]),
    ).toEqual(verdict('hold', 'b', { record: 'digest', wouldHave: trial }));
    expect(
      strictestOf([verdict('allow', 'a', { wouldHave: { action: 'hold', rule: 't' } }), verdict('hold', 'b')])
        .wouldHave,
    ).toBeNull();
    expect(strictestOf([verdict('allow', 'a'), verdict('deny', 'd'), verdict('hold', 'b')]).rule).toBe('d');
  });
  test('strictness is an order', () => {
    const all = [
      verdict('allow', 'a'),
      verdict('hold', 'default'),
      verdict('hold', 'b'),
      verdict('hold', 'a'),
      verdict('deny', 'z'),
    ];
    expect(all.toSorted(compareStrictness)).toEqual(all);
    expect([...all].reverse().toSorted(compareStrictness)).toEqual(all);
  });
});
