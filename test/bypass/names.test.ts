// Attacks through names: a statement that runs under the name of another, and names that only the server could follow.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { Stage } from '../live/stage.ts';
import { frame, pipeline, type WireClient } from '../live/wire-client.ts';

let stage: Stage;
let client: WireClient;
beforeAll(async () => {
  stage = await Stage.open({ holds: { wait: '2s', waitInTransaction: '2s' } });
});
beforeEach(async () => {
  client = await stage.wire();
});
afterAll(() => stage?.close());

const prepare = (name: string, text: string): Buffer => frame.parse({ name, text });

test('EXECUTE of an EXECUTE of an EXECUTE is what the last of them runs', async () => {
  const prepared = await client.run(
    prepare('bottom', 'DROP TABLE notes'),
    prepare('middle', 'EXECUTE bottom'),
    prepare('outer', 'EXECUTE middle'),
    frame.sync(),
  );
  expect(prepared).toEqual(['ParseComplete', 'ParseComplete', 'ParseComplete', 'ReadyForQuery I']);
  for (const sql of ['EXECUTE middle', 'EXECUTE outer', 'EXPLAIN ANALYZE EXECUTE outer']) {
    expect(await client.query(sql)).toContainEqual(expect.stringContaining('ErrorResponse ZC002'));
  }
  const bound = [frame.bind({ statement: 'outer' }), frame.execute(), frame.sync()];
  expect(await client.run(...bound)).toContainEqual(expect.stringContaining('ErrorResponse ZC002'));
  expect(await stage.tableExists('notes')).toBe(true);
});

test('FETCH from a portal that was bound to an EXECUTE', async () => {
  await client.query('BEGIN');
  await client.run(
    prepare('delete', 'DELETE FROM notes RETURNING *'),
    prepare('run', 'EXECUTE delete'),
    frame.bind({ portal: 'p', statement: 'run' }),
    frame.sync(),
  );
  expect(await client.query('FETCH ALL FROM p')).toContainEqual(
    expect.stringContaining('ErrorResponse ZC002'),
  );
});

test('statements that execute each other end in a hold, not in a loop', async () => {
  await client.run(prepare('a', 'EXECUTE b'), prepare('b', 'EXECUTE a'), frame.sync());
  const answers = await client.query('EXECUTE a');
  expect(answers.at(-1)).toBe('ReadyForQuery I');
});

test('the portal that a refusal names cannot be made by a client', async () => {
  expect(await client.run(pipeline('SET standard_conforming_strings = off'))).toContainEqual(
    expect.stringContaining('ErrorResponse 42501'),
  );
});
