// The case files that ship beside the packs, from SQL to verdict: what `countersign rules test` runs.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { CountersignError } from '../../src/base/errors.ts';
import { formatProblem } from '../../src/base/problem.ts';
import { rulesCommand } from '../../src/cli/rules.ts';
import { runCases } from '../../src/rules/cases.ts';
import { loadRules } from '../../src/rules/load.ts';
import { loadParser, understand } from '../../src/sql/understand.ts';

const FILES = readdirSync('rules').map((name) => `rules/${name}`);
const SHIPPED = FILES.filter((file) => file.endsWith('.cases.yaml'));
const PACKS = FILES.filter((file) => !SHIPPED.includes(file));

beforeAll(loadParser);
afterEach(() => vi.restoreAllMocks());

test.each(SHIPPED)('%s', (file) => {
  const { count, failures, untested } = runCases(file, understand);
  expect(failures.map(formatProblem)).toEqual([]);
  expect(untested).toEqual([]);
  expect(count).toBeGreaterThan(10);
});

test.each(PACKS)('%s loads without a warning and has its cases beside it', (file) => {
  expect(loadRules([file]).warnings).toEqual([]);
  expect(SHIPPED).toContain(file.replace('.yaml', '.cases.yaml'));
});

// Two packs that agreed on each other's cases would be one pack.
test.each([
  ['strict', 'default', 30],
  ['strict', 'migrations', 30],
  ['migrations', 'default', 25],
  ['migrations', 'strict', 40],
])('the cases of %s would notice %s in its place', (cases, pack, least) => {
  const { failures } = runCases(`rules/${cases}.cases.yaml`, understand, [`rules/${pack}.yaml`]);
  expect(failures.filter(({ message }) => message.includes('expected')).length).toBeGreaterThan(least);
});

test('the cases of the default pack would notice another pack', () => {
  expect(
    runCases('rules/default.cases.yaml', understand, ['rules/observe.yaml']).failures.length,
  ).toBeGreaterThan(50);
});

describe('countersign rules', () => {
  async function run(...args: string[]): Promise<{ out: string; error: CountersignError | null }> {
    let out = '';
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      out += String(text);
      return true;
    });
    try {
      await rulesCommand().parseAsync(args, { from: 'user' });
      return { out, error: null };
    } catch (error) {
      if (error instanceof CountersignError) return { out, error };
      throw error;
    }
  }

  test('test FILES', async () => {
    const good = await run('test', ...SHIPPED);
    expect(good).toEqual({ out: expect.stringMatching(/^\d+ cases, 0 failed\n$/), error: null });
    const bad = await run('test', 'rules/default.cases.yaml', '-r', 'rules/observe.yaml', '--json');
    expect(JSON.parse(bad.out)).toMatchObject({ ok: false, reports: [{ file: 'rules/default.cases.yaml' }] });
    expect(bad.error?.message).toMatch(/^\d+ of \d+ cases failed$/);
  });

  test('explain SQL', async () => {
    const { out, error } = await run('explain', 'SELECT 1; DROP\n\u001b[31m TABLE x');
    expect(error).toBeNull();
    expect(out).not.toContain('\u001b');
    const drop = await run('explain', 'SELECT 1; DROP TABLE x');
    expect(drop.out).toContain('✓ schema-changes: hold\n');
    expect(drop.out).toContain('· privileges: hold\n');
    expect(drop.out).toContain('\nhold by schema-changes\nChanges to the schema are reviewed by a person.');
    const observed = await run('explain', 'DROP TABLE x', '-r', 'rules/observe.yaml');
    expect(observed.out).toContain('schema-changes: hold (observed only)\n');
    expect(observed.out).toContain('\nallow by default, would be hold by schema-changes\n');
  });

  test('explain SQL --json: all that the text says, of every statement and rule, and what each rule looked at', async () => {
    const { out } = await run('explain', 'SELECT 1; DROP TABLE x -- \u202e', '--json', '--agent', 'bot');
    expect(out).not.toContain('\u202e');
    const explained = JSON.parse(out) as { statements: { answers: unknown[] }[] };
    expect(explained).toMatchObject({
      verdict: { action: 'hold', rule: 'schema-changes' },
      rules: expect.stringMatching(/^sha256:/),
      files: [expect.stringMatching(/default\.yaml$/)],
      session: { agent: 'bot' },
      statements: [
        { facts: { tags: ['SELECT'] }, verdict: { action: 'allow', rule: 'ordinary' } },
        { facts: { tags: ['DROP TABLE'] }, verdict: { action: 'hold', rule: 'schema-changes' } },
      ],
    });
    const names = loadRules(['rules/default.yaml']).names;
    for (const { answers } of explained.statements) expect(answers).toHaveLength(names.length);
    expect(explained.statements[1]?.answers).toContainEqual({
      rule: 'schema-changes',
      file: expect.stringMatching(/default\.yaml$/),
      description: 'Lasting changes to the schema are reviewed by a person.',
      action: 'hold',
      enforced: true,
      matched: true,
      failure: null,
      looks_at: ['statement.classes', 'statement.temporary'],
      approvals: { count: 1, groups: [], reasonRequired: false },
      record: 'full',
      message: expect.stringMatching(/^Changes to the schema/),
      contact: null,
    });
  });

  test('explain SQL by several files: the strictest of all', async () => {
    const words = ['explain', 'INSERT INTO notes VALUES (1)', '-r', 'rules/default.yaml', '-r'];
    expect((await run(...words, 'rules/observe.yaml')).error).toMatchObject({ code: 'rules' });
    const folder = mkdtempSync(join(tmpdir(), 'packs-'));
    const file = join(folder, 'more.yaml');
    const when = `'session.agent == "bot" && claimed.purpose == ""'`;
    writeFileSync(
      file,
      `version: 1\ndefault: allow\nrules:\n  - { name: bots, when: ${when}, action: deny }\n`,
    );
    expect((await run(...words, file)).out).toMatch(/ordinary: allow\n.*· bots: deny\n.*\nallow by /s);
    const { out } = await run(...words, file, '--agent', 'bot');
    expect(out).toContain('✓ bots: deny\n      session.agent, claimed.purpose\n');
    expect(out).toContain('\ndeny by bots\n');
    rmSync(folder, { recursive: true });
  });
});
