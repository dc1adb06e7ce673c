// The labelled statements of the shop, through the whole of it with psql: what must stop waits for a person and never
// reaches the server, what may pass does so without anybody being asked.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loggedRecords } from '../services/scene.ts';
import type { StatementCase } from '../sql/vectors.ts';
import { outcomesOf } from './outcomes.ts';
import { Stage } from './stage.ts';

const VECTORS = new URL('../vectors/statements/', import.meta.url);
const cases = readFileSync(new URL('shop.jsonl', VECTORS), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as StatementCase);
const { budget: BY_BUDGET, estimate: BY_ESTIMATE } = JSON.parse(
  readFileSync(new URL('not-by-facts.json', VECTORS), 'utf8'),
) as Record<'budget' | 'estimate', Record<string, string>>;
const answered = cases.filter(({ id }) => !Object.hasOwn(BY_ESTIMATE, id));

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open();
});
afterAll(() => stage?.close());

test('every line that facts or budgets can answer is answered right', { timeout: 60_000 }, async () => {
  const outcomes = await outcomesOf(stage, answered);
  // Settings that change how the server reads text are not for a person to allow.
  const expected = new Map(
    answered.map(({ id, expect: label, sql }) => [
      id,
      label === 'pass'
        ? 'passed'
        : /standard_conforming_strings|client_encoding/.test(sql)
          ? 'denied'
          : Object.hasOwn(BY_BUDGET, id)
            ? 'stopped'
            : 'held',
    ]),
  );
  expect(Object.fromEntries([...outcomes].sort())).toEqual(Object.fromEntries([...expected].sort()));
  expect(outcomes.size).toBeGreaterThan(120);
  const notRun = answered.filter(
    ({ id, expect: label }) => label === 'stop' && !Object.hasOwn(BY_BUDGET, id),
  );
  const texts = new Set(notRun.map(({ sql }) => sql));
  expect((await stage.ran()).filter((sql) => texts.has(sql))).toEqual([]);
  // What was stopped while it ran has sent its budget, and no more.
  const sent = loggedRecords(stage.auditDir).filter(
    ({ type, leaf }) => type === 'statement.outcome' && Number(leaf['rows']) >= 10_000,
  );
  expect(sent.map(({ leaf }) => leaf['rows'])).toEqual(Object.keys(BY_BUDGET).map(() => 10_000));
});
