// Rule files: for every broken one exactly the complaints expected, with their places and carets.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { formatProblem, ProblemsError } from '../../src/base/problem.ts';
import { loadRules } from '../../src/rules/load.ts';

const VECTORS = 'test/vectors/rules';
const folder = mkdtempSync(join(tmpdir(), 'countersign-rules-'));
afterAll(() => rmSync(folder, { recursive: true }));

let written = 0;
function pack(text: string): string {
  const file = join(folder, `${written++}.yaml`);
  writeFileSync(file, text);
  return file;
}

function problemsOf(files: readonly string[]): string {
  try {
    loadRules(files);
  } catch (error) {
    if (error instanceof ProblemsError && error.code === 'rules')
      return `${error.problems.map(formatProblem).join('\n')}\n`;
    throw error;
  }
  return '';
}

describe('broken packs', () => {
  test.each(readdirSync(`${VECTORS}/broken`).filter((name) => name.endsWith('.yaml')))('%s', (name) => {
    const file = `${VECTORS}/broken/${name}`;
    expect(problemsOf([file])).toBe(readFileSync(file.replace(/yaml$/, 'expected'), 'utf8'));
  });

  test('all problems of all files come at once', () => {
    const all = problemsOf([`${VECTORS}/broken/empty.yaml`, 'nowhere.yaml', `${VECTORS}/broken/yaml.yaml`]);
    expect(all.split('\n').map((line) => line.split(':')[0])).toEqual([
      `${VECTORS}/broken/empty.yaml`,
      'nowhere.yaml',
      `${VECTORS}/broken/yaml.yaml`,
      `${VECTORS}/broken/yaml.yaml`,
      '',
    ]);
  });

  test('a name may not be used in two packs', () => {
    const text = 'version: 1\nrules: [ { name: a, when: "true", action: hold } ]\n';
    expect(problemsOf([pack(text), pack(text)])).toContain('rule "a" is defined already at');
  });

  test('a file that is nested without end is one problem, not a crash', () => {
    const file = pack(`version: 1\nrules: ${'['.repeat(100_000)}`);
    expect(problemsOf([file])).toBe(`${file}:2:70: nested too deeply\n`);
  });

  test('no files, a folder, not UTF-8', () => {
    expect(problemsOf([])).toContain('no rule file is named');
    expect(problemsOf(['test'])).toBe('test: is a folder, not a file\n');
    const file = join(folder, 'latin1.yaml');
    writeFileSync(file, Buffer.from('version: 1 # \xff', 'latin1'));
    expect(problemsOf([file])).toBe(`${file}: is not UTF-8 text\n`);
  });
});

test('what nobody can have meant is warned of', () => {
  expect(loadRules([`${VECTORS}/good/warnings.yaml`]).warnings.map(formatProblem)).toEqual([
    `${VECTORS}/good/warnings.yaml:2:1: allows nothing, so it stops every statement: a pack that only adds objections says "default: allow"`,
    `${VECTORS}/good/warnings.yaml:4:26: rule "never" can never fire: its condition is always false`,
    `${VECTORS}/good/warnings.yaml:5:85: has no effect on a rule whose action is deny`,
  ]);
});

describe('a rule that can never fire', () => {
  const warningsOf = (...rules: string[]): string[] =>
    loadRules([
      pack(`version: 1\ndefault: allow\nrules:\n${rules.map((rule) => `  - { ${rule} }\n`).join('')}`),
    ]).warnings.map(({ line, message }) => `${line}: ${message}`);
  const contradiction = (when: string): string[] => warningsOf(`name: a, when: '${when}', action: hold`);

  test.each([
    'statement.known && !statement.known',
    '!statement.known && (statement.collects && statement.known)',
    'statement.where == "none" && statement.where == "real"',
    'session.agent == "a" && statement.known && "b" == session.agent',
    'statement.limit == 1 && statement.limit == 2',
    '"ddl" in statement.classes && !("ddl" in statement.classes)',
    'false && session.claims.level == 1',
  ])('%s', (when) => {
    expect(contradiction(when)).toEqual(['4: rule "a" can never fire: its condition is always false']);
  });

  test.each([
    'statement.known || !statement.known',
    'statement.where == "none" && session.agent == "real"',
    'session.agent == "a" && session.owner == "b"',
    // What is not there cannot be compared, and what cannot be evaluated applies.
    'session.claims.level == 1 && session.claims.level == 2',
    'session.claims.admin && !session.claims.admin',
    '"a" in session.groups && "b" in session.groups',
  ])('is not proved of: %s', (when) => expect(contradiction(when)).toEqual([]));

  const never = (line: number, name: string, other: string): string =>
    expect.stringMatching(
      `^${line}: rule "${name}" never decides: whatever it matches, "${other}" at .*:\\d+ matches too`,
    );

  test('because another one with the same condition is stricter, however either is laid out', () => {
    expect(
      warningsOf(
        `name: a, when: 'statement.known && "ddl" in statement.classes', action: hold`,
        `name: b, when: '"ddl"  in statement.classes && (statement.known)', action: deny`,
      ),
    ).toEqual([never(4, 'a', 'b')]);
  });

  test('because another one asks for less and does more', () => {
    const known = 'statement.known && "ddl" in statement.classes';
    expect(
      warningsOf(
        `name: a, when: '"ddl" in statement.classes', action: hold, approvals: { count: 2 }`,
        `name: b, when: '${known}', action: hold`,
        `name: c, when: '${known}', action: allow`,
        `name: d, when: '${known}', action: hold, approvals: { count: 3 }`,
        `name: e, when: '${known}', action: deny`,
      ),
    ).toEqual([never(5, 'b', 'a'), never(6, 'c', 'a'), never(7, 'd', 'e')]);
    expect(
      warningsOf(`name: all, when: 'true', action: deny`, `name: b, when: '${known}', action: hold`),
    ).toEqual([never(5, 'b', 'all')]);
  });

  test('and not one that still does something', () => {
    for (const rules of [
      // Redacts.
      [
        `name: a, when: statement.known, action: hold, record: digest`,
        `name: b, when: statement.known, action: deny`,
      ],
      // The stricter one is only observed.
      [
        `name: a, when: statement.known, action: hold`,
        `name: b, when: statement.known, action: deny, enforce: false`,
      ],
      // Asks for less.
      [
        `name: a, when: statement.known, action: hold`,
        `name: b, when: 'statement.known && statement.lexing', action: deny`,
      ],
      [`name: a, when: statement.known, action: hold`, `name: b, when: '!statement.known', action: deny`],
    ]) {
      expect(warningsOf(...rules)).toEqual([]);
    }
    expect(
      warningsOf(
        `name: a, when: statement.known, action: hold, enforce: false`,
        `name: b, when: statement.known, action: deny, enforce: false`,
      ),
    ).toEqual([never(4, 'a', 'b')]);
  });
});

describe('the hash', () => {
  const hash = (text: string) => loadRules([pack(text)]).hash;
  const base =
    'version: 1\nrules:\n  - { name: a, when: "true", action: hold }\n  - { name: b, when: "true", action: deny }\n';

  test('does not depend on comments, layout, or the order of rules', () => {
    expect(hash(base)).toMatch(/^sha256:[0-9a-f]{64}$/);
    const other =
      '# c\nrules:\n- {action: deny, when: "true", name: b}\n- {name: a,\n   when: "true", action: hold}\nversion: 1\n';
    expect(hash(other)).toBe(hash(base));
  });

  test.each([
    ['the action', base.replace('deny', 'allow')],
    ['a condition', base.replace('"true"', '"false"')],
    ['the default', `${base}default: deny\n`],
    ['whether the pack is enforced', `${base}enforce: false\n`],
    ['whether a rule is enforced', base.replace('action: deny', 'action: deny, enforce: false')],
    ['who approves', base.replace('action: hold', 'action: hold, approvals: { count: 2 }')],
    ['what is recorded', base.replace('action: deny', 'action: deny, record: digest')],
    ['the message', base.replace('action: deny', 'action: deny, message: no')],
  ])('depends on %s', (_what, text) => {
    expect(hash(text)).not.toBe(hash(base));
  });

  test('of two packs does not depend on the order in which they are named', () => {
    const [a, b] = [
      pack(base),
      pack('version: 1\ndefault: allow\nrules: [ { name: c, when: "true", action: hold } ]'),
    ];
    expect(loadRules([a, b]).hash).toBe(loadRules([b, a]).hash);
    expect(loadRules([a, b]).hash).not.toBe(loadRules([a]).hash);
  });
});
