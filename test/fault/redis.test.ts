// Two nodes that share a Redis, and what happens to them when the Redis is paused, killed or was never there: reads that
// a rule allows flow on, everything that needs a person is refused in time, and nothing runs unapproved or twice.
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { countersign, type RunningCountersign, startCountersign } from '../services/countersign.ts';
import { createDatabase, type Database } from '../services/database.ts';
import { freePort } from '../services/places.ts';
import { type RedisServer, startRedis } from '../services/redis.ts';
import { Approver, CAROL, connectAgent, failureOf, loggedRecords, sceneConfig } from '../services/scene.ts';
import { eventually } from '../services/wait.ts';

let database: Database;
let redis: RedisServer;
const running: RunningCountersign[] = [];
beforeAll(async () => {
  [database, redis] = await Promise.all([createDatabase(), startRedis()]);
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((proxy) => proxy.kill9()));
});
afterAll(() => Promise.all([database.close(), redis.close()]));

async function startNode(
  node: string,
  holds: Record<string, unknown> = {},
  budgets: Record<string, unknown> = {},
): Promise<RunningCountersign> {
  const config = await sceneConfig(database, {
    node,
    budgets,
    holds: { store: 'redis', redis: redis.address.url, ...holds },
  });
  const proxy = await startCountersign(config);
  running.push(proxy);
  return proxy;
}

const startTwo = (): Promise<[RunningCountersign, RunningCountersign]> =>
  Promise.all([startNode('east'), startNode('west')]);

const newTable = (): string => `CREATE TABLE "${randomUUID()}" ()`;
/** The client itself gives up long before the hold would expire: the refusal must come sooner. */
const bounded = (text: string): pg.QueryConfig => ({ text, query_timeout: 10_000 }) as pg.QueryConfig;
const timesRun = (text: string): number => database.statements().filter((one) => one === text).length;

async function expectVerified({ folder }: RunningCountersign): Promise<void> {
  expect(await countersign(['audit', 'verify', join(folder, 'audit')])).toMatchObject({ code: 0 });
}

describe('two nodes', () => {
  test('held on one, approved through the other: it runs once, and each log has its part', async () => {
    const [east, west] = await startTwo();
    const text = newTable();
    const ran = (await connectAgent(east)).query(text);
    const hold = await new Approver(west).approve(text);
    expect((await ran).command).toBe('CREATE');
    expect(timesRun(text)).toBe(1);
    await eventually(async () => (await new Approver(west).get(hold.id)).state === 'executed', {
      what: 'the other node knowing that it ran',
    });
    const types = ({ folder }: RunningCountersign): string[] =>
      loggedRecords(join(folder, 'audit'))
        .map(({ type }) => type)
        .filter((type) => type.startsWith('hold.'));
    expect(types(east)).toEqual(['hold.requested', 'hold.consumed', 'hold.executed']);
    expect(types(west)).toEqual(['hold.approved']);
    await Promise.all([east.stop(), west.stop()]);
    await expectVerified(east);
    await expectVerified(west);
  });

  test('an agent’s budget is one on both', async () => {
    const few = { agentRows: 100 };
    const bus = new Redis(redis.address.url);
    const greetings: string[] = [];
    bus.on('pmessage', (_, __, text: string) => greetings.push(text));
    await bus.psubscribe('*:bus:spending');
    const [east, west] = await Promise.all([startNode('east', {}, few), startNode('west', {}, few)]);
    // What a node has sent before they have met is not counted by the other.
    await eventually(() => greetings.length >= 3, { what: 'the nodes greeting each other' });
    bus.disconnect();
    const [there, here] = await Promise.all([connectAgent(east), connectAgent(west)]);
    expect((await there.query('SELECT generate_series(1, 100)')).rowCount).toBe(100);
    const approver = new Approver(west);
    // What is sent here alone would not pass it: one row at a time, until the other has said what it sent.
    for (let rows = 0; rows < 90; rows++) {
      const text = `SELECT '${randomUUID()}'`;
      const answer = here.query(text).then(
        () => null,
        (error: pg.DatabaseError) => error.code,
      );
      const held = await Promise.race([answer, approver.waiting(text)]);
      if (held === null) continue;
      expect(held).toMatchObject({ rule: { name: 'budget-agent' } });
      await approver.vote(held as Awaited<ReturnType<Approver['waiting']>>, 'deny');
      expect(await answer).toBe('42501');
      return;
    }
    throw new Error('the other node never counted what this one sent');
  });

  test('denied through the other', async () => {
    const [east, west] = await startTwo();
    const text = newTable();
    const failure = failureOf((await connectAgent(east)).query(text));
    const approver = new Approver(west);
    await approver.vote(await approver.waiting(text), 'deny', 'not this one');
    expect(await failure).toMatchObject({
      code: '42501',
      message: 'denied by alice@example.com: not this one',
    });
    expect(timesRun(text)).toBe(0);
  });

  test('votes that race on both nodes: one counts, the others are told, and a denied one never runs', async () => {
    const [east, west] = await startTwo();
    const agent = await connectAgent(east);
    const [here, there] = [new Approver(east), new Approver(west, CAROL)];
    const decisions = new Set<string>();
    for (let round = 0; round < 8; round++) {
      const text = newTable();
      const ended = agent.query(text).then(
        () => 'ran',
        (error: { code: string }) => error.code,
      );
      const hold = await here.waiting(text);
      const votes = [
        () => here.vote(hold, 'approve'),
        () => there.vote(hold, 'deny'),
        () => there.vote(hold, 'approve'),
      ];
      const answers = await Promise.all((round % 2 === 0 ? votes : votes.reverse()).map((vote) => vote()));
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409]);
      const how = await ended;
      decisions.add(how);
      const winner = answers.find(({ status }) => status === 200)?.body.state;
      expect(how).toBe(winner === 'denied' ? '42501' : 'ran');
      expect(timesRun(text)).toBe(how === 'ran' ? 1 : 0);
    }
    expect(decisions.size).toBeGreaterThan(0);
  });

  test('a node killed with its hold: the other shows it expired in time, and no vote makes it run', async () => {
    const [east, west] = await Promise.all([
      startNode('east', { wait: '4s', waitInTransaction: '4s', ttl: '4s' }),
      startNode('west'),
    ]);
    const [early, late] = [newTable(), newTable()];
    const lost = Promise.all(
      [early, late].map(async (text) => failureOf((await connectAgent(east)).query(text))),
    );
    const approver = new Approver(west);
    const [voted, expired] = [await approver.waiting(early), await approver.waiting(late)];
    // The kill falls between the approval and the relay: the node does not get to hear of the vote.
    east.signal('SIGSTOP');
    expect(await approver.vote(voted, 'approve')).toMatchObject({ status: 200, body: { state: 'approved' } });
    await east.kill9();
    await lost;
    await eventually(async () => (await approver.get(expired.id)).state === 'expired', {
      what: 'the hold of the killed node being expired',
    });
    expect(await approver.vote(expired, 'approve')).toMatchObject({ status: 410, body: { code: 'expired' } });
    expect(await approver.list()).toEqual([]);
    // Back again on the same log, it does not take up what it has forgotten.
    const config = await sceneConfig(database, {
      node: 'east',
      holds: { store: 'redis', redis: redis.address.url },
    });
    const again = await startCountersign(config, { folder: east.folder });
    running.push(again);
    await (await connectAgent(again)).query('SELECT 1');
    expect([timesRun(early), timesRun(late)]).toEqual([0, 0]);
    await Promise.all([again.stop(), west.stop()]);
    await expectVerified(again);
    await expectVerified(west);
  });
});

describe.each([
  ['paused', () => redis.pause(), () => redis.resume()],
  ['killed', () => redis.kill(), () => redis.start()],
] as const)('Redis %s', (_, hurt, heal) => {
  test('reads flow, what waits and what comes is refused with ZC003, and all works again afterwards', async () => {
    const proxy = await startNode('east');
    const [waiting, reading, asking] = [
      await connectAgent(proxy),
      await connectAgent(proxy),
      await connectAgent(proxy),
    ];
    const [held, fresh, later] = [newTable(), newTable(), newTable()];
    const approver = new Approver(proxy);
    const refused = failureOf(waiting.query(bounded(held)));
    await approver.waiting(held);
    await hurt();
    try {
      const atOnce = failureOf(asking.query(bounded(fresh)));
      expect((await reading.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
      expect(await atOnce).toMatchObject({ code: 'ZC003' });
      expect(await refused).toMatchObject({ code: 'ZC003' });
      expect((await reading.query('SELECT count(*) FROM notes')).rowCount).toBe(1);
      // The sessions that were refused are usable, and know their status.
      expect((await waiting.query('SELECT 2 AS two')).rows).toEqual([{ two: 2 }]);
      expect(await approver.request('GET', '/v1/holds')).toMatchObject({
        status: 503,
        body: { code: 'approvals_unavailable' },
      });
      expect((await approver.request('GET', '/readyz')).status).toBe(503);
    } finally {
      await heal();
    }
    await eventually(async () => (await approver.request('GET', '/readyz')).status === 200, {
      what: 'being ready again',
    });
    const ran = waiting.query(later);
    await approver.approve(later);
    await ran;
    expect([timesRun(held), timesRun(fresh), timesRun(later)]).toEqual([0, 0, 1]);
    // Whoever kept the old hold's page open cannot make it run either.
    const old = (await approver.list('all')).find(({ statement }) => statement.text === held);
    if (old !== undefined) expect((await approver.vote(old, 'approve')).status).not.toBe(500);
    await proxy.stop();
    expect(timesRun(held)).toBe(0);
    await expectVerified(proxy);
  });
});

test('no Redis at the start: serve starts and says so; reads flow, holds are refused, until it is there', async () => {
  const port = await freePort();
  const proxy = await startNode('east', { redis: `redis://:not-shown@127.0.0.1:${port}` });
  expect(proxy.stderr()).toMatch(/approvals are unavailable/);
  expect(proxy.stderr()).not.toMatch(/not-shown/);
  const agent = await connectAgent(proxy);
  expect((await agent.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  const text = newTable();
  expect(await failureOf(agent.query(text))).toMatchObject({ code: 'ZC003' });
  expect((await new Approver(proxy).request('GET', '/readyz')).status).toBe(503);
  expect(timesRun(text)).toBe(0);
});
