// The section "Cancel" of the protocol with several nodes: the key names its node, and the request is passed to that node
// through Redis. Two processes, a Redis of their own, and whatever a load balancer may do.
import { connect, createServer } from 'node:net';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nodeNumber } from '../../src/gate/cancel.ts';
import { cancelRequest, frame, WireClient } from '../live/wire-client.ts';
import { type RunningCountersign, startCountersign } from '../services/countersign.ts';
import { createDatabase, type Database } from '../services/database.ts';
import { type Connection, psqlSession } from '../services/psql.ts';
import { type RedisServer, startRedis } from '../services/redis.ts';
import { Approver, BOT, sceneConfig } from '../services/scene.ts';
import { eventually } from '../services/wait.ts';

let database: Database;
let redis: RedisServer;
let east: RunningCountersign;
let west: RunningCountersign;
beforeAll(async () => {
  [database, redis] = await Promise.all([createDatabase(), startRedis()]);
  const start = async (node: string): Promise<RunningCountersign> =>
    startCountersign(
      await sceneConfig(database, { node, holds: { store: 'redis', redis: redis.address.url } }),
    );
  [east, west] = await Promise.all([start('east'), start('west')]);
});
afterAll(async () => {
  await Promise.all([east, west].map((node) => node?.kill9()));
  await Promise.all([database?.close(), redis?.close()]);
});

const through = (node: RunningCountersign): Connection => ({
  host: node.host,
  port: node.port,
  user: BOT.name,
  password: BOT.password,
  database: 'shop',
});
const V3 = { 'protocol 3.0': 0x0003_0000, 'protocol 3.2': 0x0003_0002 } as const;
const CANCELLED = ['ErrorResponse 57014 canceling statement due to user request', 'ReadyForQuery I'];
const DROP = 'DROP TABLE users';

/** The statement under way is answered with the cancel, after what it had been answered before. */
async function expectCancelled(client: WireClient): Promise<void> {
  expect((await client.ready()).slice(-2)).toEqual(CANCELLED);
}

async function sleeping(): Promise<number> {
  const { rows } = await database.superuser.query(
    "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'",
  );
  return rows.length;
}

async function asleep(client: WireClient): Promise<void> {
  client.write(frame.query('SELECT pg_sleep(60)'));
  await eventually(async () => (await sleeping()) === 1, { what: 'a statement sleeping on the server' });
}

const counted = (node: RunningCountersign, what: string): number =>
  Math.max(0, ...[...node.stderr().matchAll(new RegExp(`"${what}":(\\d+)`, 'g'))].map(([, n]) => Number(n)));

describe.each(Object.entries(V3))('%s: the request comes to the other node', (_, version) => {
  let client: WireClient;
  beforeAll(async () => {
    client = await WireClient.connect(through(east), { version });
  });
  afterAll(() => void client?.socket.destroy());

  test('waiting: the hold is withdrawn, and nothing runs', async () => {
    client.write(frame.query(DROP));
    const hold = await new Approver(west).waiting(DROP);
    await cancelRequest(west, client.key!);
    await expectCancelled(client);
    expect(await new Approver(west).get(hold.id)).toMatchObject({
      state: 'withdrawn',
      closed_because: 'client cancelled',
    });
    expect((await new Approver(west).vote(hold, 'approve')).status).toBe(409);
    expect(database.statements().filter((text) => text === DROP)).toEqual([]);
  });

  test('running: it is cancelled on the server, and by then when the connection closes', async () => {
    await asleep(client);
    await cancelRequest(west, client.key!);
    // The client may take the end of that connection for the end of the matter: this one must not be hit.
    client.write(frame.query('SELECT 1'));
    await expectCancelled(client);
    expect(await client.ready()).toContain('DataRow 1');
  });

  test('the wrong key does nothing there either', async () => {
    await asleep(client);
    const { processId, secretKey } = client.key!;
    const flipped = Buffer.from(secretKey.map((byte) => byte ^ 1));
    const longer = Buffer.concat([secretKey, Buffer.alloc(1)]);
    for (const wrong of [flipped, longer, Buffer.alloc(256)]) {
      await cancelRequest(west, { processId, secretKey: wrong });
    }
    await cancelRequest(west, { processId: processId ^ 1, secretKey });
    expect(await sleeping()).toBe(1);
    await cancelRequest(west, client.key!);
    await expectCancelled(client);
  });
});

test('a key of a node that does not exist: closed in silence, and counted', async () => {
  expect([nodeNumber('east'), nodeNumber('west')]).not.toContain(1);
  const before = counted(west, 'cancel request with an unknown key');
  await cancelRequest(west, { processId: 1 << 19, secretKey: Buffer.alloc(4) });
  // The first is told at once; the numbers come with the next minute, or at the end.
  if (before === 0) expect(counted(west, 'cancel request with an unknown key')).toBe(1);
});

test('Ctrl-C in psql behind a load balancer that brings the CancelRequest to the other node', async () => {
  let connections = 0;
  const balancer = createServer((client) => {
    const node = connections++ === 0 ? east : west;
    const upstream = connect(node.port, node.host);
    client.pipe(upstream).pipe(client);
    for (const socket of [client, upstream]) socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => balancer.listen(0, '127.0.0.1', resolve));
  const { port } = balancer.address() as { port: number };
  const session = psqlSession({ ...through(east), host: '127.0.0.1', port }, ['-v', 'VERBOSITY=verbose']);
  session.send(`${DROP};`);
  await session.expect(/held for approval/);
  session.interrupt();
  await session.expect(/ERROR: {2}57014: canceling statement due to user request/);
  await session.end();
  expect(connections).toBe(2);
  balancer.close();
});

test('who reads everything in Redis finds no key there, and who sends it again cancels nothing', async () => {
  const [reader, writer] = [new Redis(redis.address.url), new Redis(redis.address.url)];
  const client = await WireClient.connect(through(east));
  try {
    const heard: { channel: string; text: string }[] = [];
    reader.on('pmessage', (_: string, channel: string, text: string) => heard.push({ channel, text }));
    await reader.psubscribe('*');
    const { secretKey } = client.key!;
    await asleep(client);
    await cancelRequest(west, client.key!);
    await expectCancelled(client);
    const messages = await eventually(
      () => {
        const passed = heard.filter(({ channel }) => channel.includes(':bus:'));
        return passed.length === 4 && passed;
      },
      { what: 'the four messages of a cancel' },
    );
    const all = JSON.stringify(messages);
    for (const form of ['hex', 'base64', 'latin1'] as const)
      expect(all).not.toContain(secretKey.toString(form));

    await asleep(client);
    for (const { channel, text } of [...messages, ...messages]) await writer.publish(channel, text);
    // Behind these in every queue: when it has been answered, they have been read.
    await cancelRequest(west, { ...client.key!, secretKey: Buffer.alloc(4) });
    expect(await sleeping()).toBe(1);
    await cancelRequest(east, client.key!);
    await expectCancelled(client);
  } finally {
    reader.disconnect();
    writer.disconnect();
    client.socket.destroy();
  }
});

test('with Redis down the client is let go, it is counted, and a node’s own keys work; afterwards all is as before', async () => {
  const client = await WireClient.connect(through(east));
  await asleep(client);
  await redis.stop();
  await eventually(() => /approvals are unavailable/.test(west.stderr()), { what: 'west noticing' });
  await cancelRequest(west, client.key!);
  expect(await sleeping()).toBe(1);
  await cancelRequest(east, client.key!);
  await expectCancelled(client);
  await redis.start();
  await asleep(client);
  await eventually(
    async () => {
      await cancelRequest(west, client.key!);
      return (await sleeping()) === 0;
    },
    { what: 'the other node’s requests coming through again' },
  );
  await expectCancelled(client);
  await client.end();
  expect(await west.stop()).toBe(0);
  expect(counted(west, 'cancel request that the other nodes could not be asked about')).toBeGreaterThan(0);
  expect(counted(west, 'cancel request with an unknown key')).toBeGreaterThan(8);
  // Not even while somebody watched everything: a watcher is no node whose answer is waited for.
  expect(counted(west, 'cancel request that its node did not confirm in time')).toBe(0);
});
