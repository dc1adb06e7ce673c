// After a refusal the client must be told the server's own transaction status, in every state and by every way in.
// What a direct connection says after a statement that fails at the same place is the measure.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Stage } from '../live/stage.ts';
import { frame, pipeline, type WireClient } from '../live/wire-client.ts';

let stage: Stage;
let through: WireClient;
let direct: WireClient;
beforeAll(async () => {
  stage = await Stage.open();
  [through, direct] = await Promise.all([stage.wire(), stage.direct()]);
});
afterAll(() => stage?.close());

const last = (answers: readonly string[]): string => answers.at(-1) as string;

/** What fails on the server where the refused statement stands. */
const FAILS = 'SELECT 1/0';
const WAYS = {
  'a simple query': (sql: string) => frame.query(sql),
  'an Execute': (sql: string) => pipeline(sql),
  'the middle of a pipeline': (sql: string) => pipeline('SELECT 1', sql, 'SELECT 2'),
  'a text of several statements': (sql: string) => frame.query(`SELECT 1; ${sql}; SELECT 2`),
} as const;

describe.each(Object.entries(WAYS))('%s', (_, frames) => {
  test.each([
    ['I', []],
    ['T', ['BEGIN', 'SELECT 1']],
    ['T', ['BEGIN', 'SAVEPOINT a']],
    ['T', ['BEGIN', "INSERT INTO notes(body) VALUES ('kept out')"]],
  ])('denied in %s after %j', async (status, before) => {
    for (const sql of before) {
      expect(await through.query(sql)).toEqual(await direct.query(sql));
    }
    through.write(frames('DROP TABLE notes'));
    await stage.deny('DROP TABLE notes');
    const refused = await through.ready();
    const failed = await direct.run(frames(FAILS));
    expect(refused.filter((answer) => answer.startsWith('ErrorResponse'))).toEqual([
      expect.stringContaining('ErrorResponse 42501 denied by alice@example.com'),
    ]);
    expect(last(refused)).toBe(last(failed));
    expect(last(refused)).toBe(status === 'I' ? 'ReadyForQuery I' : 'ReadyForQuery E');
    for (const sql of ['SELECT 1', 'ROLLBACK', 'SELECT 1']) {
      expect(await through.query(sql)).toEqual(await direct.query(sql));
    }
    expect(await stage.tableExists('notes')).toBe(true);
    expect(await stage.look("SELECT FROM notes WHERE body = 'kept out'")).toEqual([]);
  });

  test('in a failed transaction it is answered like any other, without asking anybody', async () => {
    for (const sql of ['BEGIN', FAILS]) expect(await through.query(sql)).toEqual(await direct.query(sql));
    const held = (await stage.holds('all')).length;
    const refused = await through.run(frames('DROP TABLE notes'));
    expect(refused).toEqual(await direct.run(frames('DROP TABLE notes')));
    expect(refused).toContainEqual(expect.stringContaining('ErrorResponse 25P02'));
    expect(last(refused)).toBe('ReadyForQuery E');
    expect((await stage.holds('all')).length).toBe(held);
    expect(await through.query('ROLLBACK')).toEqual(await direct.query('ROLLBACK'));
  });
});

test('a denied ROLLBACK; DROP in a failed transaction leaves it failed', async () => {
  for (const sql of ['BEGIN', FAILS]) await through.query(sql);
  through.write(frame.query('ROLLBACK; DROP TABLE notes'));
  const hold = await stage.deny('ROLLBACK; DROP TABLE notes');
  expect(hold.in_transaction).toBe(true);
  const refused = await through.ready();
  expect(refused).toEqual([expect.stringContaining('ErrorResponse 42501'), 'ReadyForQuery E']);
  expect(await through.query('ROLLBACK')).toEqual(['CommandComplete ROLLBACK', 'ReadyForQuery I']);
  expect(await stage.tableExists('notes')).toBe(true);
});

test('an approved ROLLBACK; DROP in a failed transaction runs, and the status is that of the server', async () => {
  await stage.look('CREATE TABLE droppable (); ALTER TABLE droppable OWNER TO countersign');
  for (const sql of ['BEGIN', FAILS]) await through.query(sql);
  through.write(frame.query('ROLLBACK; DROP TABLE droppable'));
  await stage.approve('DROP TABLE droppable');
  expect(await through.ready()).toEqual([
    'CommandComplete ROLLBACK',
    'CommandComplete DROP TABLE',
    'ReadyForQuery I',
  ]);
  expect(await stage.tableExists('droppable')).toBe(false);
});

test('an approved statement in a transaction block is part of it', async () => {
  await through.query('BEGIN');
  through.write(frame.query('DROP TABLE notes'));
  const hold = await stage.approve('DROP TABLE notes');
  expect(hold.in_transaction).toBe(true);
  expect(await through.ready()).toEqual(['CommandComplete DROP TABLE', 'ReadyForQuery T']);
  await through.query('ROLLBACK');
  expect(await stage.tableExists('notes')).toBe(true);
});

describe('the implicit transaction block of a pipeline', () => {
  const insert = "INSERT INTO notes(body) VALUES ('implicit')";
  const inserted = () => stage.look("SELECT FROM notes WHERE body = 'implicit'");

  test('is rolled back by a denial', async () => {
    through.write(pipeline(insert, 'DROP VIEW active_users'));
    const hold = await stage.deny('DROP VIEW active_users');
    expect(hold.in_transaction).toBe(true);
    expect(last(await through.ready())).toBe('ReadyForQuery I');
    expect(await inserted()).toEqual([]);
  });

  test('is committed whole by an approval', async () => {
    through.write(pipeline(insert, 'DROP VIEW active_users'));
    await stage.approve('DROP VIEW active_users');
    expect(last(await through.ready())).toBe('ReadyForQuery I');
    expect(await inserted()).toHaveLength(1);
    expect(await stage.tableExists('active_users')).toBe(false);
  });
});
