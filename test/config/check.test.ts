// `countersign check`: everything wrong with config and rules in one go.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test, vi } from 'vitest';
import { CountersignError, meaningOf } from '../../src/base/errors.ts';
import { checkCommand } from '../../src/cli/check.ts';

const folder = mkdtempSync(join(tmpdir(), 'countersign-check-'));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

/** What `countersign check` prints, and what it throws for main to print and exit with. */
async function check(...args: string[]): Promise<{ out: string; error: CountersignError | null }> {
  let out = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += String(text);
    return true;
  });
  try {
    await checkCommand().parseAsync(args, { from: 'user' });
    return { out, error: null };
  } catch (error) {
    if (error instanceof CountersignError) return { out, error };
    throw error;
  }
}

test('a good config', async () => {
  const { out, error } = await check('--config', 'test/vectors/config/good/minimal.yaml');
  expect(error).toBeNull();
  expect(out).toMatch(
    /^test\/vectors\/config\/good\/minimal\.yaml is good: 11 rules, sha256:[0-9a-f]{64}\n$/,
  );
});

test('problems of the config and of the rules that it names come together, exit code 2', async () => {
  const rules = join(folder, 'r.yaml');
  const config = join(folder, 'c.yaml');
  writeFileSync(rules, 'version: 1\nrules: [ { name: a, when: statement.limt > 1, action: hold } ]\n');
  writeFileSync(config, 'databases: { shop: { hsot: 127.0.0.1, user: u } }\nrules: [ r.yaml ]\n');
  const { error } = await check('-c', config);
  expect(error?.message.split('\n').filter((line) => line.startsWith('/'))).toEqual([
    `${config}:1:20: databases.shop.host is missing: must be a string`,
    `${config}:1:22: databases.shop: unknown key "hsot", did you mean "host"?`,
    `${rules}:2:37: rule "a": no field "limt", did you mean "limit"?`,
  ]);
  expect(error && meaningOf(error.code).exit).toBe(2);

  const json = await check('-c', config, '--json');
  expect(JSON.parse(json.out)).toMatchObject({
    ok: false,
    problems: [{ line: 1 }, { line: 1 }, { file: rules, line: 2, column: 37 }],
  });
  expect(json.error && meaningOf(json.error.code).exit).toBe(2);
});

test('warnings are shown and change nothing', async () => {
  const rules = join(folder, 'w.yaml');
  const config = join(folder, 'w-config.yaml');
  writeFileSync(rules, 'version: 1\nrules: [ { name: a, when: "false", action: allow } ]\n');
  writeFileSync(config, 'databases: { shop: { host: 127.0.0.1, user: u } }\nrules: [ w.yaml ]\n');
  const { out, error } = await check('-c', config);
  expect(error).toBeNull();
  expect(out).toContain(`warning: ${config}:`);
  expect(out).toContain('rule "a" can never fire');
  const json = JSON.parse((await check('-c', config, '--json')).out);
  expect(json).toMatchObject({ ok: true, problems: [], rules: expect.stringMatching(/^sha256:/) });
  expect(json.warnings.length).toBe(3);
});
