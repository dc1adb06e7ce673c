// Attacks on the order of answers: whatever the server does, its answers must be told apart as it meant them.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { Stage } from '../live/stage.ts';
import { frame, type WireClient } from '../live/wire-client.ts';

let stage: Stage;
let client: WireClient;
beforeAll(async () => {
  stage = await Stage.open({ holds: { wait: '3s', waitInTransaction: '3s' } });
  await stage.look('CREATE TABLE victim (id int)');
  await stage.look('CREATE TABLE filled (id int)');
  await stage.look('GRANT ALL ON victim, filled TO countersign');
});
beforeEach(async () => {
  client = await stage.wire();
});
afterAll(() => stage?.close());

const prepare = (name: string, text: string): Buffer => frame.parse({ name, text });

/** The server gives up between two messages, says so at the next one, a Flush, and skips from there to a Sync. */
async function timeOut(): Promise<void> {
  client.write(prepare('z', 'SELECT 1'), frame.flush());
  await client.until('ParseComplete');
  await stage.look('SELECT pg_sleep(0.4)');
  client.write(frame.flush());
  await client.until('ErrorResponse 57014');
}

/** Whatever happens, the table that only a held statement could have dropped or emptied is as it was. */
async function safely(attack: () => Promise<unknown>): Promise<void> {
  const before = await stage.look('SELECT count(*) FROM victim');
  await attack().catch(() => undefined);
  expect(await stage.look('SELECT count(*) FROM victim')).toEqual(before);
}

test('a name cannot be confirmed by the answers to another Parse', async () => {
  await stage.look('INSERT INTO victim VALUES (1)');
  await safely(async () => {
    await client.query('SET statement_timeout = 200');
    await client.run(prepare('p', 'DELETE FROM victim'), frame.sync());
    // A Sync that a COPY swallows, and whose answer we may then wait for.
    client.write(prepare('', 'COPY filled FROM STDIN'), frame.bind({}), frame.execute());
    await client.until('CopyInResponse');
    client.write(frame.sync(), frame.copyData(Buffer.from('no number\n')), frame.copyDone());
    await client.until('ErrorResponse');
    await client.run(frame.sync());
    await timeOut();
    await client.run(frame.close({ type: 'S', name: 'p' }), prepare('p', 'SELECT 1'), frame.sync());
    await client.run(frame.close({ type: 'S', name: 'q' }), prepare('q', 'SELECT 1'), frame.sync());
    await client.run(frame.bind({ statement: 'p' }), frame.execute(), frame.sync());
  });
});

test('an error of more than a megabyte is an error like any other', async () => {
  const long = 'x'.repeat(1_200_000);
  client.write(prepare('', 'SELECT $1::int'), frame.bind({ values: [long] }), frame.execute());
  client.write(prepare('n', 'SELECT 2'), frame.sync());
  const answers = await client.ready();
  expect(answers.map((answer) => answer.slice(0, 19))).toEqual([
    'ParseComplete',
    'ErrorResponse 22P02',
    'ReadyForQuery I',
  ]);
  expect((await client.query('SELECT 1')).at(-1)).toBe('ReadyForQuery I');
});

test('two COPYs in one text: no answer is taken for another', async () => {
  client.write(frame.query('COPY filled FROM STDIN; COPY filled FROM STDIN'));
  await client.until('CopyInResponse');
  client.write(frame.copyDone(), frame.sync());
  await client.until('CopyInResponse');
  client.write(frame.copyDone());
  await client.until('ReadyForQuery');
  client.write(prepare('', 'SET standard_conforming_strings = off'), frame.bind({}), frame.execute());
  const refused = await client.run(frame.sync());
  expect(refused).toContainEqual(expect.stringContaining('ErrorResponse 42501'));
  expect(refused.join()).not.toContain('countersign-refused');
  expect((await client.query('SELECT 1')).at(-1)).toBe('ReadyForQuery I');
});

test('a statement time-out between two messages is followed', async () => {
  await client.query('SET statement_timeout = 200');
  await timeOut();
  expect(await client.run(prepare('y', 'SELECT 1'), frame.sync())).toEqual(['ReadyForQuery I']);
  expect((await client.query('SELECT 1')).at(-1)).toBe('ReadyForQuery I');
});

test('a statement whose time was over before it was approved fails, as the server says', async () => {
  await client.query('SET statement_timeout = 200');
  client.write(prepare('', 'DROP TABLE victim'), frame.bind({}), frame.execute(), frame.sync());
  await stage.held('DROP TABLE victim');
  await stage.look('SELECT pg_sleep(0.4)');
  await stage.approve('DROP TABLE victim');
  expect(await client.ready()).toContainEqual(expect.stringContaining('ErrorResponse 57014'));
  expect(await stage.tableExists('victim')).toBe(true);
  expect((await client.query('SELECT 1')).at(-1)).toBe('ReadyForQuery I');
});

test('an error before the data of a COPY, with a Sync sent ahead', async () => {
  await stage.look('CREATE TABLE barred (id int)');
  await stage.look('GRANT ALL ON barred TO countersign');
  await stage.look(
    "CREATE FUNCTION bar() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''barred''; END'",
  );
  await stage.look('CREATE TRIGGER bar BEFORE INSERT ON barred FOR EACH STATEMENT EXECUTE FUNCTION bar()');
  client.write(prepare('', 'COPY barred FROM STDIN'), frame.bind({}), frame.execute(), frame.sync());
  await client.until('ErrorResponse P0001');
  await client.until('ReadyForQuery');
  await client.run(frame.copyDone(), frame.sync());
  expect(await client.run(prepare('k', 'SELECT 1'), frame.sync())).toContain('ParseComplete');
});

test('a COPY as libpq sends it, Sync ahead, with bad data', async () => {
  for (let i = 0; i < 2; i++) {
    client.write(prepare('', 'COPY filled FROM STDIN'), frame.bind({}), frame.execute(), frame.sync());
    await client.until('CopyInResponse');
    client.write(frame.copyData(Buffer.from('bad\n')), frame.copyDone(), frame.sync());
    expect((await client.ready()).at(-1)).toBe('ReadyForQuery I');
  }
  expect(await client.query('SELECT 1')).toContain('DataRow 1');
});

test('a Bind does not run what its planning would', async () => {
  await stage.look('INSERT INTO victim VALUES (4711)');
  const text = "SELECT FROM filled WHERE id = (table_to_xml('victim', true, false, '')::text)::int";
  const answers = await client.run(prepare('', text), frame.bind({}), frame.sync());
  expect(answers).toContainEqual(expect.stringContaining('ErrorResponse 42501'));
  expect(answers.join()).not.toContain('4711');
  expect((await client.query('SELECT 1')).at(-1)).toBe('ReadyForQuery I');
});

test.each([
  [
    'data behind it',
    [frame.copyData(Buffer.from('no number\n')), frame.sync(), frame.copyData(Buffer.from('x'))],
  ],
  ['nothing behind it', [frame.copyData(Buffer.from('no number\n')), frame.sync()]],
  ['a CopyDone behind it', [frame.copyData(Buffer.from('no number\n')), frame.sync(), frame.copyDone()]],
])('what stands behind a failed COPY, a Sync and %s is not taken for skipped', async (_, data) => {
  await stage.look('INSERT INTO victim VALUES (1)');
  await safely(async () => {
    await client.run(prepare('p', 'SELECT 1'), frame.sync());
    client.write(
      prepare('', 'COPY filled FROM STDIN'),
      frame.bind({}),
      frame.execute(),
      ...data,
      // The server does this, and keeps its answers back.
      frame.close({ type: 'S', name: 'p' }),
      prepare('p', 'DELETE FROM victim'),
    );
    await client.until('ErrorResponse 22P02');
    await client.until('ReadyForQuery');
    await client.run(frame.bind({ statement: 'p' }), frame.execute(), frame.sync());
  });
});
