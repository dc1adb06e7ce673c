// Case files: how a wrong expectation is reported, with a stand-in for the parser that knows three statements.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { formatProblem } from '../../src/base/problem.ts';
import { judgeFrame, runCases } from '../../src/rules/cases.ts';
import { loadRules } from '../../src/rules/load.ts';
import type { Understanding } from '../../src/sql/facts.ts';
import { facts, session, unknown } from './facts.ts';

const folder = mkdtempSync(join(tmpdir(), 'countersign-cases-'));
afterAll(() => rmSync(folder, { recursive: true }));

function understand(sql: string): Understanding {
  const statements = {
    read: [facts()],
    drop: [facts({ classes: ['ddl'] })],
    both: [facts(), facts({ classes: ['ddl'] })],
    '': [],
  }[sql];
  return statements === undefined ? unknown : { known: true, sql, statements };
}

function run(
  cases: string,
  pack = 'version: 1\nrules:\n- {name: ddl, when: \'"ddl" in statement.classes\', action: hold}\n- {name: rest, when: session.agent == "bot" && statement.known, action: allow}\n',
) {
  writeFileSync(join(folder, 'pack.yaml'), pack);
  const file = join(folder, 'x.cases.yaml');
  writeFileSync(file, `version: 1\nrules: [pack.yaml]\nsession: { agent: bot }\ncases:\n${cases}`);
  const { count, failures, untested } = runCases(file, understand);
  return { count, untested, failures: failures.map((failure) => formatProblem(failure).replace(folder, '')) };
}

describe('a case file', () => {
  test('that is right', () => {
    const cases = `  - { sql: read, expect: allow, rule: rest }
  - { sql: both, expect: hold, rule: ddl, would: none }
  - { sql: drop, expect: hold }
  - { sql: read, session: { agent: other }, expect: hold, rule: default }
  - { sql: other, expect: hold }
  - { sql: "", expect: allow }
`;
    expect(run(cases)).toEqual({ count: 6, failures: [], untested: [] });
  });

  test('that is wrong says where, what was expected and what came', () => {
    const cases = `  - { sql: read, expect: hold }
  - { sql: drop, expect: hold, rule: rest }
  - { sql: read, expect: allow, would: deny }
`;
    expect(run(cases).failures).toEqual([
      '/x.cases.yaml:5:26: expected hold, got allow by rule "rest"\n    read',
      '/x.cases.yaml:6:38: expected hold by rule "rest", got it by rule "ddl"\n    drop',
      '/x.cases.yaml:7:40: expected would: deny, got none\n    read',
    ]);
  });

  test('names the rules that no case matches', () => {
    expect(run('  - { sql: read, expect: allow }\n').untested).toEqual(['ddl']);
  });

  test('that is broken', () => {
    expect(() => run('  - { sql: read, expcet: allow }\n')).toThrow(
      /unknown key "expcet", did you mean "expect"\?/,
    );
    expect(() => run('  - { sql: read, expect: allow }\n', 'version: 2')).toThrow(/version must be 1/);
    expect(() => runCases(join(folder, 'nowhere.yaml'), understand)).toThrow(/nowhere\.yaml: no such file/);
  });
});

test('an empty frame has nothing to judge, and one that is not understood is judged whole', () => {
  const rules = loadRules(['rules/default.yaml']);
  expect(judgeFrame(rules, understand(''), session())).toBeNull();
  expect(judgeFrame(rules, unknown, session())?.rule).toBe('not-understood');
});
