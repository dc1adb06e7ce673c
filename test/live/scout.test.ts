// The proxy's own connection to a database, against a live server: what it may do, what it costs, how it ends and begins anew.
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { SCOUT_NAME, Scout } from '../../src/gate/scout.ts';
import type { DatabaseTarget } from '../../src/gate/upstream.ts';
import { createDatabase, type Database } from '../services/database.ts';
import { eventually } from '../services/wait.ts';

let database: Database;
let target: DatabaseTarget;
const scouts: Scout[] = [];
beforeAll(async () => {
  database = await createDatabase();
  const { host, port, name, user, password } = database;
  target = { host, port, database: name, user, password, tls: 'disable', ca: null };
});
afterAll(() => database.close());
afterEach(() => {
  for (const scout of scouts.splice(0)) scout.close();
});

function open(over: Partial<DatabaseTarget> = {}, answerMs = 15_000): Scout {
  const scout = new Scout({ ...target, ...over }, { connectMs: 5_000, answerMs });
  scouts.push(scout);
  return scout;
}

const backends = async (): Promise<unknown[]> =>
  (
    await database.superuser.query(
      'SELECT usename FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1',
      [SCOUT_NAME],
    )
  ).rows;

test('answers with rows as text, one question after another on one connection of the agents’ role', async () => {
  const scout = open();
  const [first, second] = await Promise.all([
    scout.query('SELECT 1 AS a, NULL AS b'),
    scout.query('SELECT count(*) AS orders FROM orders'),
  ]);
  expect(first).toEqual([{ a: '1', b: null }]);
  expect(second).toEqual([{ orders: '100000' }]);
  expect(await backends()).toEqual([{ usename: database.user }]);
});

test('opens nothing before it is asked, and nothing stays when it is closed', async () => {
  const scout = open({ tls: 'require', ca: null });
  expect(await backends()).toEqual([]);
  await scout.query('SELECT 1');
  scout.close();
  await eventually(async () => (await backends()).length === 0, { what: 'the scout gone' });
  await expect(scout.query('SELECT 1')).rejects.toMatchObject({ code: 'upstream_unavailable' });
});

test('an error of the server is told with its SQLSTATE, and the next question is answered', async () => {
  const scout = open();
  await expect(scout.query('SELECT * FROM nowhere')).rejects.toMatchObject({ sqlstate: '42P01' });
  expect(await scout.query('SELECT 2 AS a')).toEqual([{ a: '2' }]);
});

test('a read-only transaction changes nothing, is limited in time, and leaves nothing behind', async () => {
  const scout = open();
  await expect(
    scout.readOnly((query) => query("INSERT INTO notes (body) VALUES ('no')")),
  ).rejects.toMatchObject({
    sqlstate: '25006',
  });
  await expect(
    scout.readOnly((query) => query('SELECT pg_sleep(60)'), { statementMs: 20, lockMs: 20 }),
  ).rejects.toMatchObject({ sqlstate: '57014' });
  await database.superuser.query('BEGIN; LOCK TABLE notes');
  await expect(
    scout.readOnly((query) => query('SELECT FROM notes'), { statementMs: 60_000, lockMs: 20 }),
  ).rejects.toMatchObject({ sqlstate: '55P03' });
  await database.superuser.query('ROLLBACK');
  const [shown] = await scout.query(
    `SELECT current_setting('transaction_read_only') AS ro, current_setting('lock_timeout') AS lock`,
  );
  expect(shown).toEqual({ ro: 'off', lock: '0' });
});

test('nobody’s question comes in between those of a transaction', async () => {
  const scout = open();
  const inside = scout.readOnly(async (query) => {
    await query('SELECT 1');
    const [row] = await query("SELECT current_setting('transaction_read_only') AS ro");
    return row?.['ro'];
  });
  const outside = scout.query("SELECT current_setting('transaction_read_only') AS ro");
  expect([await inside, (await outside)[0]?.['ro']]).toEqual(['on', 'off']);
});

test('connects again when the server has ended the connection', async () => {
  const scout = open();
  const [first] = await scout.query('SELECT pg_backend_pid() AS pid');
  const lost = expect(scout.query('SELECT pg_sleep(60)')).rejects.toMatchObject({
    code: 'upstream_unavailable',
  });
  await database.superuser.query('SELECT pg_terminate_backend($1)', [first?.['pid']]);
  await lost;
  await eventually(async () => {
    const [again] = await scout.query('SELECT pg_backend_pid() AS pid');
    return again?.['pid'] !== first?.['pid'];
  });
});

test('what takes too long is given up, and cancelled on the server', async () => {
  const scout = open({}, 200);
  await scout.query('SELECT 1').catch(() => {});
  await expect(scout.query('SELECT pg_sleep(61)')).rejects.toMatchObject({ code: 'upstream_unavailable' });
  await eventually(
    async () =>
      (
        await database.superuser.query(
          "SELECT FROM pg_stat_activity WHERE query LIKE '%pg_sleep(61)%' AND pid <> pg_backend_pid() AND state = 'active'",
        )
      ).rowCount === 0,
    { what: 'the end of the statement on the server' },
  );
});

test('a server that is not there, or takes the connection and says nothing, is an error without its name', async () => {
  const silent: Socket[] = [];
  const server = createServer((socket) => silent.push(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const waiting = new Scout({ ...target, port }, { connectMs: 100, answerMs: 100 });
  for (const scout of [waiting, open({ port: 1 }), open({ host: 'no-such-host.invalid' })]) {
    const error = await scout.query('SELECT 1').then(
      () => null,
      (reason: Error) => reason,
    );
    expect(error).toMatchObject({ code: 'upstream_unavailable' });
    expect(error?.message).not.toMatch(/127|no-such-host/);
  }
  waiting.close();
  for (const socket of silent) socket.destroy();
  server.close();
});
