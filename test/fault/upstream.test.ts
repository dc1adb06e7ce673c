// The database server goes away, refuses us or misbehaves: the client hears what a driver understands and nothing about
// hosts and roles, what waited never runs, and the next connection after its return works.
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { countersign, type RunningCountersign, startCountersign } from '../services/countersign.ts';
import { createDatabase, type Database } from '../services/database.ts';
import { freePort } from '../services/places.ts';
import { type PostgresServer, startPostgres } from '../services/postgres.ts';
import {
  type Agent,
  Approver,
  connectAgent,
  failureOf,
  loggedRecords,
  sceneConfig,
} from '../services/scene.ts';
import { eventually } from '../services/wait.ts';

let server: PostgresServer;
let database: Database;
let proxy: RunningCountersign;
beforeAll(async () => {
  server = await startPostgres();
  database = await createDatabase('empty', server.address);
  proxy = await startCountersign(await sceneConfig(database));
});
afterAll(async () => {
  await proxy.stop();
  await database.superuser.end();
  await server.close();
});

/** The last error that the connection reports by itself, when the proxy or the server ends it. */
function farewell(agent: Agent): Promise<{ code?: string; message: string }> {
  return new Promise((resolve) => {
    let last: { code?: string; message: string } = { message: 'closed without a word' };
    agent.on('error', (error) => {
      if ('code' in error || !('severity' in last)) last = error as typeof last;
    });
    agent.once('end', () => resolve(last));
  });
}

/** Nothing in what a client is told may say where the server is or as whom we log in. */
function expectDiscreet(error: object): void {
  const told = JSON.stringify(error, [
    'message',
    'detail',
    'hint',
    'where',
    'file',
    'routine',
    'internalQuery',
  ]);
  for (const secret of [
    '127.0.0.1',
    String(server.address.port),
    'countersign',
    'test owner',
    database.name,
  ]) {
    expect(told).not.toContain(secret);
  }
}

describe('at connect', () => {
  async function refusalBy(change: Record<string, unknown>): Promise<Error> {
    const config = await sceneConfig(database);
    const { shop } = config['databases'] as { shop: object };
    const other = await startCountersign({ ...config, databases: { shop: { ...shop, ...change } } });
    try {
      const failure = await failureOf(connectAgent(other));
      expectDiscreet(failure);
      // The operator gets told what the client does not.
      await eventually(() => other.stderr().includes('"level":50'), { what: 'the operator being told' });
      expect(other.stderr()).not.toContain('test owner');
      return failure;
    } finally {
      expect(await other.stop()).toBe(0);
      expect(await countersign(['audit', 'verify', join(other.folder, 'audit')])).toMatchObject({ code: 0 });
    }
  }

  test.each<[string, () => Record<string, unknown> | Promise<Record<string, unknown>>, string, RegExp]>([
    [
      'nobody listens',
      async () => ({ port: await freePort() }),
      '08006',
      /^the database server cannot be reached$/,
    ],
    ['a wrong password', () => ({ password: 'wrong' }), '28P01', /^the database server refused/],
    ['an unknown role', () => ({ user: 'nobody-knows-it' }), '28P01', /^the database server refused/],
    ['no password configured', () => ({ password: undefined }), '08006', /./],
    ['an unknown database', () => ({ database: 'not-there' }), '3D000', /does not exist/],
    [
      'a certificate of somebody else',
      () => ({ tls: 'verify-full' }),
      '08006',
      /^the database server cannot be reached$/,
    ],
  ])('%s', async (_, change, sqlstate, message) => {
    const failure = await refusalBy(await change());
    expect(failure).toMatchObject({ code: sqlstate, severity: 'FATAL' });
    expect(failure.message).toMatch(message);
    expect(failure.message).not.toContain('nobody-knows-it');
  });

  test('a server without TLS where TLS is required', async () => {
    const plain = await startPostgres({ ssl: 'off' });
    try {
      const failure = await refusalBy({ port: plain.address.port, tls: 'require' });
      expect(failure).toMatchObject({ code: '08006', severity: 'FATAL' });
      expect(failure.message).toMatch(/TLS/);
      const refused = await refusalBy({ port: plain.address.port, tls: 'verify-full' });
      expect(refused).toMatchObject({ code: '08006', severity: 'FATAL' });
    } finally {
      await plain.close();
    }
  });
});

test('pg_terminate_backend: the server’s own FATAL is passed on, idle or busy', async () => {
  for (const busy of [false, true]) {
    const agent = await connectAgent(proxy);
    const ended = farewell(agent);
    const { rows } = await agent.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const failed = busy ? failureOf(agent.query('SELECT pg_sleep(60)')) : null;
    if (busy) {
      await eventually(() => database.statements().includes('SELECT pg_sleep(60)'), { what: 'it running' });
    }
    await database.superuser.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid]);
    const heard = failed === null ? await ended : await failed;
    expect(heard).toMatchObject({
      code: '57P01',
      message: 'terminating connection due to administrator command',
    });
  }
  expect((await (await connectAgent(proxy)).query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
});

test('killed while idle, while a statement waits and while one runs; back again, all works', async () => {
  const [idle, waiting, running] = [
    await connectAgent(proxy),
    await connectAgent(proxy),
    await connectAgent(proxy),
  ];
  const idleHeard = farewell(idle);
  const approver = new Approver(proxy);
  const text = `CREATE TABLE "${randomUUID()}" ()`;
  const refused = failureOf(waiting.query(text));
  const hold = await approver.waiting(text);
  const sleeping = `SELECT pg_sleep(60), '${randomUUID()}'`;
  const broken = failureOf(running.query(sleeping));
  await eventually(() => database.statements().includes(sleeping), { what: 'it running' });
  // Paused first: nobody in it may see the others die and say goodbye.
  await server.pause();
  await server.kill();

  expect(await refused).toMatchObject({ code: '08006', message: 'the connection to the database was lost' });
  expectDiscreet(await refused);
  for (const heard of [await idleHeard, await broken]) {
    expect(heard).toMatchObject({ code: '08006', severity: 'FATAL' });
    expectDiscreet(heard);
  }
  // The hold has ended without an approval, and none can be given any more.
  await eventually(async () => (await approver.get(hold.id)).state === 'withdrawn', {
    what: 'the hold being withdrawn',
  });
  expect((await approver.vote(hold, 'approve')).status).toBeGreaterThanOrEqual(400);
  const failure = await failureOf(connectAgent(proxy));
  expect(failure).toMatchObject({ code: '08006', message: 'the database server cannot be reached' });
  expectDiscreet(failure);

  await server.start();
  const again = await connectAgent(proxy);
  const ran = again.query(text);
  await approver.approve(text);
  await ran;
  await again.end();
  expect(database.statements().filter((one) => one === text)).toHaveLength(1);

  const records = loggedRecords(join(proxy.folder, 'audit'));
  const intent = records.find(({ type, sql }) => type === 'statement.intent' && sql === sleeping);
  const outcome = records.find(
    ({ type, leaf }) => type === 'statement.outcome' && leaf['intent'] === intent?.seq,
  );
  expect(outcome?.leaf['result']).toBe('lost');
  const ofHold = records.filter(({ leaf }) => leaf['hold'] === hold.id).map(({ type }) => type);
  expect(ofHold).toEqual(['hold.requested', 'hold.withdrawn', 'statement.intent']);
  const refusal = records.find(({ type, leaf }) => type === 'statement.intent' && leaf['hold'] === hold.id);
  expect(refusal?.leaf['fate']).toBe('refuse');
  expect(await countersign(['audit', 'verify', join(proxy.folder, 'audit')])).toMatchObject({ code: 0 });
});

test('stopped in order while approved and running: the hold ends unknown or failed, never run twice', async () => {
  const agent = await connectAgent(proxy);
  const approver = new Approver(proxy);
  const text = `DO $$ BEGIN PERFORM pg_sleep(60); END $$ /* ${randomUUID()} */`;
  const failed = failureOf(agent.query(text));
  const hold = await approver.approve(text);
  await eventually(() => database.statements().includes(text), { what: 'it running' });
  await server.stop();
  // The server says its own goodbye, in its own words.
  expect(await failed).toMatchObject({ severity: 'FATAL' });
  await eventually(async () => ['unknown', 'failed'].includes((await approver.get(hold.id)).state), {
    what: 'the hold being closed',
  });
  await server.start();
  await (await connectAgent(proxy)).query('SELECT 1');
  expect(database.statements().filter((one) => one === text)).toHaveLength(1);
});
