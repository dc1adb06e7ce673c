// The labelled statements of the shop, through the whole of it with psql: what must stop waits for a person and never
// reaches the server, what may pass does so without anybody being asked.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { psql } from '../services/psql.ts';
import type { StatementCase } from '../sql/vectors.ts';
import { Stage } from './stage.ts';

const AT_ONCE = 6;

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

/** What became of one statement: how psql ended, and what the API says of it. */
async function outcomeOf({ id, sql }: StatementCase): Promise<string> {
  // The name by which its hold, if there is one, is told from the others.
  const connection = { ...stage.agent, env: { PGAPPNAME: id } };
  const running = psql(connection, ['-v', 'VERBOSITY=verbose', '-c', sql]);
  let ended = false;
  const end = running.finally(() => {
    ended = true;
  });
  while (!ended) {
    const hold = (await stage.holds()).find(({ claimed }) => claimed.application_name === id);
    if (hold !== undefined) await stage.vote(hold, 'deny', 'a test');
    await Promise.race([end, new Promise((resolve) => setTimeout(resolve, 30))]);
  }
  const { code, stderr } = await end;
  const refused = /ERROR: {2}42501: denied by (alice@example\.com|rule)/.exec(stderr);
  if (refused !== null) return refused[1] === 'rule' ? 'denied' : 'held';
  // An error with a place in the server's source is the server's own, so it has been asked.
  return code === 0 || stderr.includes('LOCATION:') ? 'passed' : `failed: ${stderr}`;
}

test('every line that facts alone can answer is answered right', { timeout: 60_000 }, async () => {
  const outcomes = new Map<string, string>();
  const queue = [...answered];
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      outcomes.set(next.id, await outcomeOf(next));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
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
