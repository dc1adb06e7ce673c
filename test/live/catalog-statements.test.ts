// The labelled statements that need a catalog, through the whole of it with psql: what their ground makes harmful waits
// for a person and never reaches the server, what it makes harmless passes without anybody being asked.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StatementCase } from '../sql/vectors.ts';
import { outcomesOf } from './outcomes.ts';
import { Stage } from './stage.ts';

const read = (file: string): string =>
  readFileSync(new URL(`../vectors/catalog/${file}`, import.meta.url), 'utf8');

const casesOf = (file: string): StatementCase[] =>
  read(file)
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as StatementCase);

let stage: Stage;
let cases: readonly StatementCase[];
beforeAll(async () => {
  stage = await Stage.open();
  await stage.look('SET ROLE countersign');
  await stage.look(read('ground.sql'));
  cases = casesOf('statements.jsonl');
  const [version] = await stage.look<{ number: string }>(
    "SELECT current_setting('server_version_num') AS number",
  );
  if (Number(version?.number) >= 140_000) {
    await stage.look(read('standard-bodies.sql'));
    cases = [...cases, ...casesOf('standard-bodies.jsonl')];
  }
  await stage.look('RESET ROLE');
});
afterAll(() => stage?.close());

test('each is answered right', { timeout: 120_000 }, async () => {
  const outcomes = await outcomesOf(stage, cases);
  const expected = cases.map(({ id, expect: label }) => [id, label === 'pass' ? 'passed' : 'held']);
  expect(Object.fromEntries(outcomes)).toEqual(Object.fromEntries(expected));
  expect(outcomes.size).toBeGreaterThan(150);
  const stopped = new Set(cases.filter(({ expect: label }) => label === 'stop').map(({ sql }) => sql));
  expect((await stage.ran()).filter((sql) => stopped.has(sql))).toEqual([]);
  // Whatever runs unseen would have shown here.
  expect(await stage.look('SELECT count(*)::int AS users FROM users')).toEqual([{ users: 20_000 }]);
});
