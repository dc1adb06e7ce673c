// The labelled statements of the shop, through the whole of it with psql: what must stop waits for a person and never
// reaches the server, what may pass does so without anybody being asked.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StatementCase } from '../sql/vectors.ts';
import { outcomesOf } from './outcomes.ts';
import { Stage } from './stage.ts';

const VECTORS = new URL('../vectors/statements/', import.meta.url);
const cases = readFileSync(new URL('shop.jsonl', VECTORS), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as StatementCase);
const { ids: NEEDS_MORE } = JSON.parse(readFileSync(new URL('needs-the-catalog.json', VECTORS), 'utf8')) as {
  ids: Record<string, string>;
};
const answered = cases.filter(({ id }) => !Object.hasOwn(NEEDS_MORE, id));

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open();
});
afterAll(() => stage?.close());

test('every line that facts alone can answer is answered right', { timeout: 60_000 }, async () => {
  const outcomes = await outcomesOf(stage, answered);
  // Settings that change how the server reads text are not for a person to allow.
  const expected = new Map(
    answered.map(({ id, expect: label, sql }) => [
      id,
      label === 'pass'
        ? 'passed'
        : /standard_conforming_strings|client_encoding/.test(sql)
          ? 'denied'
          : 'held',
    ]),
  );
  expect(Object.fromEntries([...outcomes].sort())).toEqual(Object.fromEntries([...expected].sort()));
  expect(outcomes.size).toBeGreaterThan(120);
  const stopped = new Set(answered.filter(({ expect: label }) => label === 'stop').map(({ sql }) => sql));
  expect((await stage.ran()).filter((sql) => stopped.has(sql))).toEqual([]);
});
