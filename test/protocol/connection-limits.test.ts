// Limits on connections: places in all, of an agent, of an address; time to start up and to log in; and what may be
// spent on those who have not said who they are. Each has its SQLSTATE and its record, and keeps out nobody else.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { serialize } from 'pg-protocol';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { int32 } from '../../src/base/bytes.ts';
import { cancelRequest, startupPacket, WireClient } from '../live/wire-client.ts';
import { type RunningCountersign, startCountersign } from '../services/countersign.ts';
import { createDatabase, type Database } from '../services/database.ts';
import { TLS } from '../services/places.ts';
import { residentBytes } from '../services/process.ts';
import {
  type Agent,
  BOT,
  connectAgent,
  failureOf,
  loggedRecords,
  sceneConfig,
  socketOf,
} from '../services/scene.ts';
import { eventually } from '../services/wait.ts';
import { errorIn, expectLimitsHit, untilClosed } from './answers.ts';

let database: Database;
let proxy: RunningCountersign;
const sockets: Socket[] = [];
beforeAll(async () => {
  database = await createDatabase();
  return () => database.close();
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  expect(await proxy.stop()).toBe(0);
});

async function start(limits: object, changes: Parameters<typeof sceneConfig>[1] = {}): Promise<void> {
  proxy = await startCountersign(await sceneConfig(database, { limits: { ...limits }, ...changes }));
}

/** A connection from any address of this machine's loopback. */
async function dial(localAddress = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ host: proxy.host, port: proxy.port, localAddress });
  sockets.push(socket);
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** Asks for its login, gets the challenge, and says no more. */
async function halfWay(localAddress?: string): Promise<Socket> {
  const socket = await dial(localAddress);
  socket.write(startupPacket({ user: BOT.name, database: 'shop' }));
  const [challenge] = (await once(socket, 'data')) as [Buffer];
  if (challenge[0] !== 0x52) throw new Error(`no challenge, but ${challenge.toString('latin1')}`);
  return socket;
}

async function expectUsable(agent: Agent): Promise<void> {
  expect((await agent.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
}

/** Whatever it says before; node-postgres takes an error for a reason to reject. */
const endOf = (agent: Agent): Promise<void> => new Promise((resolve) => agent.on('end', () => resolve()));

const agentAt = { host: '127.0.0.1', user: BOT.name, password: BOT.password, database: 'shop' };

describe('places', () => {
  test('over limits.connections: 53300; a place that is given back is free again', async () => {
    await start({ connections: 2 });
    const [first, second] = [await connectAgent(proxy), await connectAgent(proxy)];
    expect(await failureOf(connectAgent(proxy))).toMatchObject({
      code: '53300',
      severity: 'FATAL',
      message: 'too many connections',
    });
    await expectUsable(second);
    await first.end();
    await expectUsable(await eventually(() => connectAgent(proxy), { what: 'the place being free' }));
    await expectLimitsHit(proxy, ['connections']);
  });

  test('over connectionsPerAgent, or an agent’s maxSessions: 53300, and no words of the other agents', async () => {
    const [agent] = (await sceneConfig(database))['agents'] as { name: string }[];
    await start(
      { connectionsPerAgent: 1 },
      { agents: [agent, { ...structuredClone(agent), name: 'other-bot', maxSessions: 2 }] },
    );
    const one = await connectAgent(proxy);
    expect(await failureOf(connectAgent(proxy))).toMatchObject({
      code: '53300',
      message: `too many connections for agent "${BOT.name}"`,
    });
    await connectAgent(proxy, { user: 'other-bot' });
    await expectUsable(await connectAgent(proxy, { user: 'other-bot' }));
    expect(await failureOf(connectAgent(proxy, { user: 'other-bot' }))).toMatchObject({ code: '53300' });
    await expectLimitsHit(proxy, ['connectionsPerAgent', 'connectionsPerAgent']);
    await one.end();
    await expectUsable(await eventually(() => connectAgent(proxy), { what: 'the place being free' }));
  });

  test('over connectionsPerAddress: 53300 before it is asked who it is, a login counts, and other addresses are let in', async () => {
    await start({ connectionsPerAddress: 2 });
    const agent = await connectAgent(proxy);
    const login = await halfWay();
    const third = await dial();
    third.write(startupPacket({ user: BOT.name, database: 'shop' }));
    const told = await untilClosed(third);
    expect(told[0]).toBe(0x45);
    expect(errorIn(told)).toMatchObject({
      C: '53300',
      S: 'FATAL',
      M: 'too many connections from this address',
    });
    await expectUsable(agent);
    await halfWay('127.0.0.2');
    const [hit] = await expectLimitsHit(proxy, ['connectionsPerAddress']);
    expect(hit?.leaf).toMatchObject({ client_address: '127.0.0.1', session: null });
    login.destroy();
    await expectUsable(await eventually(() => connectAgent(proxy), { what: 'the place being free' }));
  });

  test.each(['connections', 'connectionsPerAgent', 'connectionsPerAddress'])(
    'whatever way a connection ends or fails, its place of limits.%s is free again',
    async (limit) => {
      const [shop] = Object.values((await sceneConfig(database))['databases'] as object);
      await start(
        { [limit]: 2 },
        {
          databases: { nowhere: { ...shop, database: 'no_such_database' }, closed: { ...shop, port: 1 } },
          agents: [
            {
              ...((await sceneConfig(database))['agents'] as object[])[0],
              databases: ['shop', 'nowhere', 'closed'],
            },
          ],
        },
      );
      const connectOnce = (): Promise<Agent> =>
        eventually(() => connectAgent(proxy), { what: 'a free place' });
      const fails = async (config: object, code: string): Promise<void> => {
        await eventually(
          async () => expect(await failureOf(connectAgent(proxy, config))).toMatchObject({ code }),
          { what: `a refusal with ${code}` },
        );
      };
      for (let i = 0; i < 3; i++) {
        await fails({ password: 'wrong' }, '28P01');
        await fails({ database: 'not-there' }, '3D000');
        await fails({ database: 'nowhere' }, '3D000');
        await fails({ database: 'closed' }, '08006');
        await fails({ options: '-c standard_conforming_strings=off' }, '42501');
        (await eventually(() => halfWay(), { what: 'a free place' })).destroy();
        await (await connectOnce()).end();
        const reset = await connectOnce();
        socketOf(reset).resetAndDestroy();
        const garbling = await connectOnce();
        const garbled = endOf(garbling);
        socketOf(garbling).write('!\0\0\0\x04');
        await garbled;
        const ended = await connectOnce();
        const { rows } = await ended.query('SELECT pg_backend_pid() AS pid');
        const gone = endOf(ended);
        await database.superuser.query('SELECT pg_terminate_backend($1)', [rows[0].pid]);
        await gone;
      }
      // Two and no more: what was given back twice would let a third in.
      const both = [await connectOnce(), await connectOnce()];
      await fails({}, '53300');
      await fails({}, '53300');
      for (const agent of both) await expectUsable(agent);
    },
  );

  test('a CancelRequest needs no place: it works where every limit is reached', async () => {
    await start({ connections: 1, connectionsPerAgent: 1, connectionsPerAddress: 1 });
    const target = { ...agentAt, port: proxy.port };
    const client = await WireClient.connect(target);
    client.write(serialize.query('SELECT pg_sleep(60)'));
    await eventually(() => database.statements().includes('SELECT pg_sleep(60)'), { what: 'it running' });
    expect(await failureOf(connectAgent(proxy))).toMatchObject({ code: '53300' });
    await cancelRequest(target, client.key as NonNullable<typeof client.key>);
    expect(await client.ready()).toContainEqual(expect.stringMatching(/^ErrorResponse 57014/));
    client.socket.destroy();
  });
});

describe('time', () => {
  test('over limits.startup: closed without a word, as by the server; it ends with the startup packet', async () => {
    await start(
      { startup: '1s', authentication: '1h' },
      { listen: { tls: { cert: `${TLS}/server.crt`, key: `${TLS}/server.key` } } },
    );
    const loggingIn = await halfWay();
    const [silent, half, dribbling, handshaking] = [await dial(), await dial(), await dial(), await dial()];
    half.write(startupPacket({ user: BOT.name, database: 'shop' }).subarray(0, 20));
    handshaking.write(
      Buffer.concat([int32(8), int32(80877103), Buffer.from('160301', 'hex')]).subarray(0, 8),
    );
    expect(await once(handshaking, 'data')).toEqual([Buffer.from('S')]);
    // Whoever goes on talking has no longer.
    dribbling.write(int32(9_000));
    const talking = setInterval(() => dribbling.write('x'), 20);
    const told = await Promise.all([silent, half, dribbling, handshaking].map(untilClosed));
    clearInterval(talking);
    expect(told.map((bytes) => bytes.length)).toEqual([0, 0, 0, 0]);
    // It was there before them, and is asked on.
    loggingIn.write(serialize.sendSASLInitialResponseMessage('SCRAM-SHA-256', 'n,,n=*,r=abcdefgh'));
    const [answer] = (await once(loggingIn, 'data')) as [Buffer];
    expect(answer.toString('latin1')).toContain('r=abcdefgh');
    await expectLimitsHit(proxy, ['startup', 'startup', 'startup', 'startup']);
  });

  test('over limits.authentication: 57014 in the server’s own words; it begins with the startup packet', async () => {
    await start({ startup: '1h', authentication: '300ms' });
    const silent = await WireClient.dial({ ...agentAt, port: proxy.port });
    sockets.push(silent.socket);
    const told = errorIn(await untilClosed(await halfWay()));
    expect(told).toMatchObject({
      S: 'FATAL',
      C: '57014',
      M: 'canceling authentication due to timeout',
    });
    // It was there before, and may still begin.
    silent.write(startupPacket({ user: BOT.name, database: 'shop' }));
    expect((await silent.next()).name).toBe('Authentication');
    await expectLimitsHit(proxy, ['authentication']);
  });

  test('a session has no time limit of these: they end with the login', async () => {
    await start({ startup: '200ms', authentication: '200ms' });
    const agent = await connectAgent(proxy);
    await untilClosed(await dial());
    await untilClosed(await halfWay());
    await expectUsable(agent);
  });
});

describe('who has not said who he is', () => {
  test('takes no place of a session, and the oldest of those who are too many goes', async () => {
    await start({ unauthenticated: 3, connections: 2 });
    const silent = [await dial(), await dial(), await dial()];
    await connectAgent(proxy);
    const [oldest, ...others] = silent as [Socket, Socket, Socket];
    expect(await untilClosed(oldest)).toHaveLength(0);
    // That one is through, so there is room for one more now, and then no longer.
    const next = await halfWay();
    await connectAgent(proxy);
    await untilClosed(others[0]);
    expect([others[1].destroyed, next.destroyed]).toEqual([false, false]);
    await expectLimitsHit(proxy, ['unauthenticated', 'unauthenticated']);
  });

  test('those of one address push out each other, and nobody else', async () => {
    await start({ unauthenticated: 4 });
    const other = await halfWay('127.0.0.2');
    const flood = [];
    for (let i = 0; i < 20; i++) flood.push(await dial());
    await Promise.all(flood.slice(0, 17).map(untilClosed));
    other.write(serialize.sendSASLInitialResponseMessage('SCRAM-SHA-256', 'n,,n=*,r=abcdefgh'));
    expect(((await once(other, 'data')) as [Buffer])[0].toString('latin1')).toContain('r=abcdefgh');
  });

  test('costs no memory without bound: 3,000 who send as much as they may', async () => {
    await start({});
    const startedAtMs = Date.now();
    await expectUsable(await connectAgent(proxy));
    const before = residentBytes(proxy.pid);
    // A password message as long as a token may be, short of its end.
    const answer = Buffer.concat([Buffer.from('p'), int32(60 * 1024), Buffer.alloc(59 * 1024)]);
    for (let i = 0; i < 3_000; i += 50) {
      const logins = await Promise.all(Array.from({ length: 50 }, () => halfWay()));
      for (const login of logins) login.write(answer);
      await Promise.all(logins.map((login) => (login.writableLength > 0 ? once(login, 'drain') : null)));
    }
    await expectUsable(await connectAgent(proxy));
    expect(residentBytes(proxy.pid) - before).toBeLessThan(128 << 20);
    // Most of them went, and the log's disk is not theirs: it has ten for each second.
    expect(await proxy.stop()).toBe(0);
    const records = loggedRecords(join(proxy.folder, 'audit'));
    const hits = records.filter(({ type }) => type === 'limit.hit');
    expect(hits.length).toBeGreaterThanOrEqual(10);
    const seconds = (Date.parse(String(records.at(-1)?.leaf['time'])) - startedAtMs) / 1000;
    expect(hits.length).toBeLessThanOrEqual(10 * (seconds + 1));
  });
});

test('failed logins: the same words for each, later each time, then none at all; and all in the log', async () => {
  await start({});
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
