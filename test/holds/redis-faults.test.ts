// What happens to holds when Redis, or the way to it, breaks. A server of this file's own, to hurt.
import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { CountersignError } from '../../src/base/errors.ts';
import { RedisHoldStore, type RedisHoldStoreOptions } from '../../src/holds/redis.ts';
import { type RedisServer, startRedis } from '../services/redis.ts';
import { eventually } from '../services/wait.ts';
import { openLink } from './redis-link.ts';
import { approval, approved, consumption, denial, follow, must, request } from './sample.ts';

const unavailable = { code: 'approvals_unavailable' };
/** Short, so that a test sees in a second what takes five in service; long where a test shuts a way out. */
const NEVER_MS = 10 * 60_000;
const QUICK = { commandMs: 300, pollMs: 100, pingMs: 100, lostMs: 600 };

let server: RedisServer;
let admin: Redis;
let tenant = '';
let problems: unknown[] = [];
const stores: RedisHoldStore[] = [];

async function openStore(options: Partial<RedisHoldStoreOptions> = {}): Promise<RedisHoldStore> {
  const store = await RedisHoldStore.open({
    url: server.address.url,
    clock: systemClock,
    tenant,
    onProblem: (error) => problems.push(error),
    ...options,
  });
  stores.push(store);
  return store;
}

beforeAll(async () => {
  server = await startRedis();
  admin = new Redis(server.address.url);
  admin.on('error', () => {});
});
afterAll(async () => {
  admin.disconnect();
  await server.close();
});
beforeEach(() => {
  tenant = randomUUID();
  problems = [];
});
afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.close()));
});

describe('a lost wake-up', () => {
  it('is found by polling, where no message ever comes', async () => {
    await admin.call('ACL', 'SETUSER', 'deaf', 'on', '>pw', '~*', '+@all', 'resetchannels');
    const url = server.address.url.replace('redis://', 'redis://deaf:pw@');
    const deaf = await openStore({ url, timings: { ...QUICK, pingMs: NEVER_MS } });
    const store = await openStore();
    const changes: number[] = [];
    deaf.onChange((change) => changes.push(change.hold.version));
    const hold = await store.create(request());
    const watcher = follow(deaf, hold.request.id);
    const yes = must(await store.apply(hold.request.id, approval(hold)));
    await eventually(() => watcher.seen.length > 0 && changes.length === 2, {
      what: 'the approval by polling',
    });
    expect(watcher.seen).toEqual([yes]);
    expect(changes).toEqual([1, 2]);
    expect(watcher.errors).toEqual([]);
  });

  it('is made good when the subscriber was cut off and comes back', async () => {
    const quiet = await openStore({ timings: { pollMs: NEVER_MS, pingMs: NEVER_MS, lostMs: NEVER_MS } });
    const store = await openStore();
    const hold = await store.create(request());
    const watcher = follow(quiet, hold.request.id);
    expect(await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')).toBeGreaterThan(0);
    must(await store.apply(hold.request.id, approval(hold)));
    await eventually(() => watcher.seen.length > 0, { what: 'the approval after subscribing again' });
    expect(watcher.seen[0]?.state).toBe('approved');
    // And from now on it is woken again.
    must(await store.apply(hold.request.id, consumption));
    await eventually(() => watcher.seen.length > 1, { what: 'the next wake-up' });
  });

  it('is made good when the subscriber sits behind a dead link', async () => {
    const link = await openLink(server.address.port);
    const behind = await openStore({
      url: link.url,
      timings: { ...QUICK, pollMs: NEVER_MS, lostMs: NEVER_MS },
    });
    const store = await openStore();
    const changes: number[] = [];
    behind.onChange((change) => changes.push(change.hold.version));
    const hold = await store.create(request());
    const watcher = follow(behind, hold.request.id);
    // The wake-up of the request must be through: it would make it look after the link is dead.
    await eventually(() => changes.length === 1);
    expect(link.goSilent('subscribe')).toBe(1);
    must(await store.apply(hold.request.id, approval(hold)));
    await eventually(() => watcher.seen.length > 0, { what: 'the approval after the ping went unanswered' });
    await behind.close();
    await link.close();
  });
});

describe('a subscription that is refused on coming back', () => {
  it('ends neither the process nor the watching', async () => {
    await admin.call('ACL', 'SETUSER', 'soon-deaf', 'reset', 'on', '>pw', '~*', '+@all', 'allchannels');
    const url = server.address.url.replace('redis://', 'redis://soon-deaf:pw@');
    const store = await openStore({ url, timings: QUICK });
    const hold = await store.create(request());
    const watcher = follow(store, hold.request.id);
    // Redis cuts off subscribers whose channels it takes away. An unhandled rejection here would fail the run.
    await admin.call('ACL', 'SETUSER', 'soon-deaf', 'resetchannels');
    await eventually(() => problems.length > 0, { what: 'the refusal reported' });
    expect(String(problems[0])).toContain('NOPERM');
    must(await (await openStore()).apply(hold.request.id, approval(hold)));
    await eventually(() => watcher.seen.length > 0, { what: 'the approval by polling' });
    await admin.call('ACL', 'SETUSER', 'soon-deaf', 'allchannels');
    await eventually(
      async () => String(await admin.call('PUBSUB', 'NUMSUB', `cs:{${tenant}}:changes`)).endsWith('2'),
      {
        what: 'subscribed again',
      },
    );
  });
});

describe('a lost reply', () => {
  it.each([
    ['a vote', 'vote'],
    ['a consumption', 'consume'],
  ])('to %s: asked again, done once', async (_, type) => {
    const link = await openLink(server.address.port);
    const behind = await openStore({ url: link.url });
    const hold = type === 'vote' ? await behind.create(request()) : await approved(behind);
    const { id } = hold.request;
    const events = await admin.xlen(`cs:{${tenant}}:events`);
    link.loseReplyTo('XADD');
    const result = await behind.apply(id, type === 'vote' ? approval(hold) : consumption);
    expect(link.lost()).toBe(1);
    expect(must(result)).toMatchObject({
      version: hold.version + 1,
      state: type === 'vote' ? 'approved' : 'consumed',
    });
    expect(await behind.get(id)).toEqual(must(result));
    expect(await admin.xlen(`cs:{${tenant}}:events`)).toBe(events + 1);
    await behind.close();
    await link.close();
  });

  it('to a request: one hold', async () => {
    const link = await openLink(server.address.port);
    const behind = await openStore({ url: link.url });
    link.loseReplyTo('XADD');
    const hold = await behind.create(request());
    expect(link.lost()).toBe(1);
    expect(await behind.list('all')).toEqual([hold]);
    await behind.close();
    await link.close();
  });
});

describe('Redis gone', () => {
  it.each(['stop', 'kill'] as const)(
    '%s: refused at once, watchers told, well again afterwards',
    async (how) => {
      const store = await openStore({ timings: QUICK });
      const changes: (string | undefined)[] = [];
      store.onChange((change) => changes.push(change.event?.type));
      const hold = await store.create(request());
      const { id } = hold.request;
      const watcher = follow(store, id);
      await server[how]();
      await eventually(() => !store.ready(), { what: 'the loss noticed' });

      const failures = await Promise.all(
        [
          store.create(request()),
          store.apply(id, approval(hold)),
          store.get(id),
          store.list('open'),
          store.sweep(),
        ].map((answer) =>
          answer.then(
            () => null,
            (error: unknown) => error,
          ),
        ),
      );
      for (const failure of failures) {
        expect(failure).toBeInstanceOf(CountersignError);
        expect(failure).toMatchObject(unavailable);
      }
      await eventually(() => watcher.errors.length > 0, { what: 'the watcher told' });
      for (const error of [...failures, ...problems, ...watcher.errors]) {
        expect(JSON.stringify(error) + String(error)).not.toMatch(/127\.0\.0\.1|localhost/);
      }

      await server.start();
      await eventually(() => store.ready(), { what: 'connected again' });
      must(await store.apply(id, denial(hold)));
      await eventually(() => watcher.seen.length > 0 && changes.length > 1, { what: 'told again' });
      expect(watcher.seen.map((seen) => seen.state)).toEqual(['denied']);
      expect(changes).toEqual([undefined, 'vote']);
      expect(watcher.errors).toHaveLength(1);
      expect(problems.length).toBeGreaterThan(0);
    },
  );

  it('hung: nobody waits for ever', async () => {
    const store = await openStore({ timings: QUICK });
    const hold = await store.create(request());
    const watcher = follow(store, hold.request.id);
    await server.pause();
    try {
      await expect(store.apply(hold.request.id, approval(hold))).rejects.toMatchObject(unavailable);
      await eventually(() => watcher.errors.length > 0, { what: 'the watcher told' });
    } finally {
      await server.resume();
    }
    // The vote may have reached Redis or not: either way it can be seen, and counts once.
    const now = await eventually(() => store.get(hold.request.id), { what: 'an answer after the hang' });
    expect(now?.votes.length).toBeLessThanOrEqual(1);
  });

  it('without its data: what was held is lost to those who wait, not approved', async () => {
    const store = await openStore({ timings: QUICK });
    const hold = await store.create(request());
    const watcher = follow(store, hold.request.id);
    await admin.flushall();
    await eventually(() => watcher.errors.length > 0, { what: 'the watcher told' });
    expect(await store.apply(hold.request.id, consumption)).toMatchObject({ refusal: 'not_found' });
    // An emptied Redis is a working one.
    expect((await approved(store)).state).toBe('approved');
  });
});

it('says nothing of names and passwords when it is not let in', async () => {
  const url = server.address.url.replace('redis://', 'redis://nobody:hunter2secret@');
  const store = await openStore({ url, timings: QUICK });
  const failure: unknown = await store.create(request()).catch((error: unknown) => error);
  expect(failure).toMatchObject(unavailable);
  await eventually(() => problems.length > 0, { what: 'the operator told' });
  for (const error of [failure, ...problems]) {
    expect(JSON.stringify(error) + String(error)).not.toMatch(/hunter2secret|nobody|127\.0\.0\.1/);
  }
  expect(String(problems[0])).toContain('WRONGPASS');
});

it('leaves no connection and no timer behind', async () => {
  const started = vi.spyOn(globalThis, 'setInterval');
  const stopped = vi.spyOn(globalThis, 'clearInterval');
  const sockets = (): number =>
    process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;
  const ours = async (): Promise<number> => {
    const clients = String(await admin.client('LIST'));
    return clients.split('\n').filter((client) => client.includes('name=countersign')).length;
  };
  const before = sockets();
  const store = await openStore();
  expect(await ours()).toBe(2);
  const timers = started.mock.results.map((result) => result.value as NodeJS.Timeout);
  expect(timers.length).toBeGreaterThan(0);
  // A command that has done its work ends, whether or not it closed its store.
  expect(timers.filter((timer) => timer.hasRef())).toEqual([]);
  await store.close();
  await eventually(async () => (await ours()) === 0, { what: 'both connections closed' });
  expect(sockets()).toBe(before);
  expect(stopped.mock.calls.map(([timer]) => timer)).toEqual(expect.arrayContaining(timers));
  vi.restoreAllMocks();
});

it('closes while Redis is away', async () => {
  const store = await openStore({ timings: QUICK });
  await server.stop();
  try {
    await eventually(() => !store.ready());
    await store.close();
  } finally {
    await server.start();
  }
});
