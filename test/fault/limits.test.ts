// Limits as a client meets them, on a real node: each is told with its SQLSTATE, costs no memory, and the sessions that
// keep to them go on.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { serialize } from 'pg-protocol';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { parseErrorFields } from '../../src/wire/backend.ts';
import { type RunningCountersign, startCountersign } from '../services/countersign.ts';
import { createDatabase, type Database } from '../services/database.ts';
import {
  type Agent,
  Approver,
  BOT,
  connectAgent,
  failureOf,
  loggedRecords,
  sceneConfig,
} from '../services/scene.ts';
import { eventually } from '../services/wait.ts';

let database: Database;
/** With no limits of its own. */
let ordinary: RunningCountersign;
const running: RunningCountersign[] = [];
beforeAll(async () => {
  database = await createDatabase();
  ordinary = await startCountersign(await sceneConfig(database));
});
afterEach(async () => {
  for (const proxy of running.splice(0)) expect(await proxy.stop()).toBe(0);
});
afterAll(async () => {
  expect(await ordinary.stop()).toBe(0);
  await database.close();
});

async function start(changes: Parameters<typeof sceneConfig>[1] = {}): Promise<RunningCountersign> {
  const proxy = await startCountersign(await sceneConfig(database, changes));
  running.push(proxy);
  return proxy;
}

async function expectUsable(agent: Agent): Promise<void> {
  expect((await agent.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
}

/** What arrives at a socket until the other side closes it. */
async function untilClosed(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => {});
  await once(socket, 'close');
  return Buffer.concat(chunks);
}

/** The fields of the first ErrorResponse in `bytes`, wherever it stands. */
function errorIn(bytes: Buffer): Record<string, string | undefined> {
  for (let at = 0; at + 5 <= bytes.length; at += 1 + bytes.readUInt32BE(at + 1)) {
    if (bytes[at] === 0x45)
      return { ...parseErrorFields(bytes.subarray(at, at + 1 + bytes.readUInt32BE(at + 1))) };
  }
  throw new Error(`no ErrorResponse in ${bytes.toString('latin1')}`);
}

/** Resident memory of a process, in bytes. */
function residentBytes(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * 4096;
}

/** The socket under a node-postgres client, for saying what a driver would not. */
function socketOf(agent: Agent): Socket {
  return (agent as unknown as { connection: { stream: Socket } }).connection.stream;
}

describe('connections', () => {
  test('over limits.connections: 53300; a place that is given back is free again', async () => {
    const proxy = await start({ limits: { connections: 2 } });
    const [first, second] = [await connectAgent(proxy), await connectAgent(proxy)];
    const refused = await failureOf(connectAgent(proxy));
    expect(refused).toMatchObject({ code: '53300', message: 'too many connections' });
    await expectUsable(second);
    await first.end();
    const third = await eventually(() => connectAgent(proxy), { what: 'the place being free' });
    await expectUsable(third);
  });

  test('over maxSessions of an agent: 53300 after the login, and no words of the other agents', async () => {
    const config = await sceneConfig(database);
    const [agent] = config['agents'] as { name: string }[];
    const proxy = await start({
      agents: [
        { ...agent, maxSessions: 1 },
        { ...structuredClone(agent), name: 'other-bot' },
      ],
    });
    const one = await connectAgent(proxy);
    expect(await failureOf(connectAgent(proxy))).toMatchObject({
      code: '53300',
      message: `too many connections for agent "${BOT.name}"`,
    });
    await expectUsable(await connectAgent(proxy, { user: 'other-bot' }));
    await one.end();
    await expectUsable(await eventually(() => connectAgent(proxy), { what: 'the place being free' }));
  });

  test('whoever does not get through the start-up in time is closed, and gives the place back', async () => {
    const proxy = await start({ limits: { startup: '100ms', authentication: '100ms', connections: 2 } });
    const [silent, halfWay] = [connect(proxy.port, proxy.host), connect(proxy.port, proxy.host)];
    // It asks for its login, gets the challenge and says no more.
    halfWay.write(serialize.startup({ user: BOT.name, database: 'shop' }));
    await Promise.all([untilClosed(silent), untilClosed(halfWay)]);
    await expectUsable(await eventually(() => connectAgent(proxy), { what: 'the places being free' }));
  });
});

describe('messages', () => {
  test('a message of 2 GiB is refused by its header', async () => {
    const proxy = ordinary;
    const agent = await connectAgent(proxy);
    const before = residentBytes(proxy.pid);
    const closed = new Promise<{ code?: string }>((resolve) => agent.once('error', resolve));
    // Int32 at its largest, and as much of the body as goes out before the refusal arrives.
    socketOf(agent).write(Buffer.concat([Buffer.from('Q\x7f\xff\xff\xff', 'latin1'), Buffer.alloc(1 << 20)]));
    expect(await closed).toMatchObject({ code: '53400', severity: 'FATAL' });
    expect(residentBytes(proxy.pid) - before).toBeLessThan(64 << 20);
    await expectUsable(await connectAgent(proxy));
  });

  test('over limits.frame: 53400 with the key to change; at it: it runs', async () => {
    const proxy = await start({ limits: { frame: '64KiB' } });
    const agent = await connectAgent(proxy);
    const text = (frameLength: number): string => {
      const rest = frameLength - 5 - 1 - `SELECT ''`.length;
      return `SELECT '${'x'.repeat(rest)}'`;
    };
    expect((await agent.query(text(64 * 1024))).rowCount).toBe(1);
    const failure = await failureOf(agent.query(text(64 * 1024 + 1)));
    expect(failure).toMatchObject({ code: '53400', severity: 'FATAL' });
    expect(failure.hint).toContain('limits.frame');
  });

  test.each([
    ['an unknown message', Buffer.from('!\0\0\0\x04', 'latin1')],
    ['a message of the server', Buffer.from('Z\0\0\0\x05I', 'latin1')],
    ['a length below four', Buffer.from('Q\0\0\0\x03', 'latin1')],
    ['a Query without an end', Buffer.from('Q\0\0\0\x08SELE', 'latin1')],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: example.com\r\n\r\n')],
  ])('%s in a session: 08P01, closed, and nobody else notices', async (_, bytes) => {
    const proxy = ordinary;
    const [garbler, other] = [await connectAgent(proxy), await connectAgent(proxy)];
    const heard = new Promise<{ code?: string }>((resolve) => garbler.once('error', resolve));
    socketOf(garbler).write(bytes);
    const error = await heard;
    // Read as a message, text is one of an absurd length.
    expect(['08P01', '53400']).toContain(error.code);
    await expectUsable(other);
  });

  test.each([
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: example.com\r\n\r\n')],
    ['a TLS ClientHello', Buffer.from('1603010200010001fc0303', 'hex')],
    ['a startup packet of 2 GiB', Buffer.from('7fffffff00030000', 'hex')],
    ['protocol 2', Buffer.from('0000000800020000', 'hex')],
    ['no user', Buffer.from('000000090003000000', 'hex')],
  ])('%s as the first bytes: told and closed', async (_, bytes) => {
    const proxy = ordinary;
    const socket = connect(proxy.port, proxy.host);
    socket.write(bytes);
    const fields = errorIn(await untilClosed(socket));
    expect(fields['S']).toBe('FATAL');
    expect(['08P01', '0A000', '28000']).toContain(fields['C']);
    await expectUsable(await connectAgent(proxy));
    expect(proxy.stderr()).not.toMatch(/"level":(50|60)/);
  });
});

test('too much behind a statement that waits: 53400, it has not run, and the session is usable', async () => {
  const proxy = await start({ limits: { backlog: '64KiB' } });
  const agent = await connectAgent(proxy);
  const text = `CREATE TABLE "${randomUUID()}" ()`;
  const behind = `SELECT '${'x'.repeat(70_000)}' AS behind`;
  // No driver sends before its turn, so from here on we are the driver.
  const socket = socketOf(agent);
  socket.removeAllListeners('data');
  let answers = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    answers = Buffer.concat([answers, chunk]);
  });
  socket.write(serialize.query(text));
  const approver = new Approver(proxy);
  const hold = await approver.waiting(text);
  socket.write(serialize.query(behind));
  await eventually(() => answers.includes('SELECT 1\0'), { what: 'what came behind being answered' });
  expect(errorIn(answers)).toMatchObject({ C: '53400', S: 'ERROR' });
  socket.write(serialize.query(`SELECT 'usable'`));
  await eventually(() => answers.includes('usable'), { what: 'the session being usable' });
  expect(database.statements()).not.toContain(text);
  expect(database.statements()).toContain(behind);
  expect((await approver.get(hold.id)).state).toBe('withdrawn');
  expect((await approver.vote(hold, 'approve')).status).toBeGreaterThanOrEqual(400);
});

test('a client that does not read: the proxy stops reading too, and its memory stays as it was', async () => {
  const proxy = ordinary;
  const [slow, other] = [await connectAgent(proxy), await connectAgent(proxy)];
  await expectUsable(other);
  const before = residentBytes(proxy.pid);
  const socket = socketOf(slow);
  let received = 0;
  socket.removeAllListeners('data');
  socket.pause();
  // 400 MB of rows, within what the rules let through: wide ones.
  socket.write(serialize.query(`SELECT repeat('x', 100000) FROM generate_series(1, 4000)`));
  const sql = `SELECT wait_event FROM pg_stat_activity WHERE datname = $1 AND query LIKE 'SELECT repeat%' AND pid <> pg_backend_pid()`;
  // Kept waiting for good, and not for the moment that a proxy without bounds would take to swallow a chunk.
  let looks = 0;
  await eventually(
    async () => {
      const { rows } = await database.superuser.query(sql, [database.name]);
      looks = rows[0]?.wait_event === 'ClientWrite' ? looks + 1 : 0;
      return looks >= 25;
    },
    { what: 'the server being kept waiting' },
  );
  expect(residentBytes(proxy.pid) - before).toBeLessThan(48 << 20);
  // Nobody else is.
  await expectUsable(other);
  socket.on('data', (chunk: Buffer) => {
    received += chunk.length;
  });
  socket.resume();
  await eventually(() => received > 400_000_000, { timeoutMs: 20_000, what: 'all of it arriving' });
  // A quarter of what went through, whatever the garbage collector has left lying about.
  expect(residentBytes(proxy.pid) - before).toBeLessThan(100_000_000);
});

test('failed logins: the same words for each, later each time, then none at all; and all in the log', async () => {
  const proxy = ordinary;
  const attempts = [
    { password: 'wrong' },
    { user: 'nobody', password: 'wrong' },
    { password: '' },
    { user: 'nobody', password: BOT.password },
  ];
  const told = await Promise.all(attempts.map((attempt) => failureOf(connectAgent(proxy, attempt))));
  for (const [i, error] of told.entries()) {
    const user = attempts[i]?.user ?? BOT.name;
    // node-postgres itself refuses an empty password.
    if (attempts[i]?.password === '') continue;
    expect(error).toMatchObject({
      code: '28P01',
      severity: 'FATAL',
      message: `password authentication failed for user "${user}"`,
    });
    expect(error.detail).toBeUndefined();
    expect(error.hint).toBeUndefined();
  }
  expect(await failureOf(connectAgent(proxy, { database: 'not-there' }))).toMatchObject({
    code: '3D000',
    message: 'database "not-there" does not exist',
  });
  await expectUsable(await connectAgent(proxy));
  // Twenty from one address shut the door, for the right password too.
  await Promise.all(Array.from({ length: 24 }, () => failureOf(connectAgent(proxy, { password: 'wrong' }))));
  expect(await failureOf(connectAgent(proxy))).toMatchObject({ code: '53300' });
  const failures = loggedRecords(join(proxy.folder, 'audit')).filter(({ type }) => type === 'login.failed');
  expect(failures.length).toBeGreaterThanOrEqual(24);
  expect(failures[0]?.leaf).toMatchObject({ client_address: '127.0.0.1', database: 'shop' });
  const reasons = new Set(failures.map(({ leaf }) => leaf['because']));
  for (const reason of ['wrong password', 'unknown user', 'unknown database'])
    expect(reasons).toContain(reason);
  expect(JSON.stringify(failures)).not.toContain(BOT.password);
});
