// The case files that ship beside the packs, from SQL to verdict: what `countersign rules test` runs.
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { CountersignError } from '../../src/base/errors.ts';
import { formatProblem } from '../../src/base/problem.ts';
import { rulesCommand } from '../../src/cli/rules.ts';
import { runCases } from '../../src/rules/cases.ts';
import { loadParser, understand } from '../../src/sql/understand.ts';

const SHIPPED = ['rules/default.cases.yaml', 'rules/observe.cases.yaml'];

beforeAll(loadParser);
afterEach(() => vi.restoreAllMocks());

test.each(SHIPPED)('%s', (file) => {
  const { count, failures, untested } = runCases(file, understand);
  expect(failures.map(formatProblem)).toEqual([]);
  expect(untested).toEqual([]);
  expect(count).toBeGreaterThan(10);
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

  test('explain SQL --json', async () => {
    const { out } = await run('explain', 'DROP TABLE x', '--json');
    expect(JSON.parse(out)).toMatchObject({
      verdict: { action: 'hold', rule: 'schema-changes' },
      statements: [
        {
          facts: { tags: ['DROP TABLE'] },
          answers: expect.arrayContaining([
            expect.objectContaining({ rule: 'schema-changes', matched: true }),
          ]),
        },
      ],
    });
  });
});
