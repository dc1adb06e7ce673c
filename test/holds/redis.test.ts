import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { newHold, step } from '../../src/holds/machine.ts';
import { RedisHoldStore, type RedisHoldStoreOptions } from '../../src/holds/redis.ts';
import { TRANSITION, transitionArguments } from '../../src/holds/transition.ts';
import { sharedRedis } from '../services/shared.ts';
import { eventually } from '../services/wait.ts';
import { conformance } from './conformance.ts';
import { approval, approved, consumption, denial, follow, must, request } from './sample.ts';

let url = '';
let redis: Redis;
beforeAll(async () => {
  ({ url } = await sharedRedis());
  redis = new Redis(url);
});
afterAll(() => redis.disconnect());

async function nowMs(): Promise<number> {
  const [seconds = 0, microseconds = 0] = (await redis.time()).map(Number);
  return seconds * 1000 + Math.floor(microseconds / 1000);
}

const openStore = (tenant: string, options: Partial<RedisHoldStoreOptions> = {}): Promise<RedisHoldStore> =>
  RedisHoldStore.open({ url, clock: systemClock, tenant, ...options });

conformance('redis', async () => {
  const tenant = randomUUID();
  const [store, other] = await Promise.all([openStore(tenant), openStore(tenant)]);
  return {
    store,
    other,
    pass: async (ms) => {
      const end = (await nowMs()) + ms;
      await eventually(async () => (await nowMs()) >= end);
    },
    close: async () => {
      await Promise.all([store.close(), other.close()]);
    },
  };
});

describe('redis: what lies there', () => {
  let tenant = '';
  let store: RedisHoldStore;
  let problems: unknown[] = [];
  const key = (name: string): string => `cs:{${tenant}}:${name}`;
  beforeEach(async () => {
    tenant = randomUUID();
    problems = [];
    store = await openStore(tenant, { onProblem: (error) => problems.push(error), timings: { pollMs: 50 } });
    return () => store.close();
  });

  it('lives by the clock of Redis, not by that of the node', async () => {
    const hold = await store.create(request({ requestedAtMs: 5_000, deadlineMs: 35_000 }));
    const now = await nowMs();
    expect(hold.request.requestedAtMs).toBeGreaterThan(now - 10_000);
    expect(hold.request.requestedAtMs).toBeLessThanOrEqual(now);
    expect(hold.request.deadlineMs - hold.request.requestedAtMs).toBe(30_000);
    expect(await store.sweep()).toEqual([]);
  });

  it('leaves nothing for ever', async () => {
    const DAY_MS = 24 * 60 * 60 * 1000;
    const open = await store.create(request());
    expect(await redis.pttl(key(`hold:${open.request.id}`))).toBeGreaterThan(7 * DAY_MS);
    must(await store.apply(open.request.id, denial(open)));
    const left = await redis.pttl(key(`hold:${open.request.id}`));
    expect(left).toBeGreaterThan(6 * DAY_MS);
    expect(left).toBeLessThanOrEqual(7 * DAY_MS);
    expect(await redis.zcard(key('open'))).toBe(0);

    const asked = request();
    const large = await store.create({
      ...asked,
      statement: { ...asked.statement, text: 'x'.repeat(100_000) },
    });
    must(await store.apply(large.request.id, denial(large)));
    expect(await redis.pttl(key(`hold:${large.request.id}`))).toBeLessThanOrEqual(60 * 60 * 1000);

    // Older than what is kept: the index lets go of it when the next one comes.
    await redis.zadd(key('index'), (await nowMs()) - 8 * DAY_MS, 'h_0000000000000000');
    await store.create(request());
    expect(await redis.zscore(key('index'), 'h_0000000000000000')).toBeNull();
  });

  it.each([
    ['no JSON', { progress: '{' }],
    ['another type', { progress: '{"version":"1"}' }],
    ['a state that does not exist', { progress: '{"version":1,"state":"blessed","votes":[]}' }],
    ['a request of another hold', { request: JSON.stringify(request()) }],
    ['no request', { request: '' }],
  ])('takes no hold that is damaged: %s', async (_, fields) => {
    const sound = await store.create(request());
    const hold = await store.create(request());
    const { id } = hold.request;
    const watcher = follow(store, id);
    await redis.hset(key(`hold:${id}`), { ...fields, version: '2' });
    const unavailable = { code: 'approvals_unavailable' };
    await expect(store.get(id)).rejects.toMatchObject(unavailable);
    await expect(store.apply(id, approval(hold))).rejects.toMatchObject(unavailable);
    await eventually(() => watcher.errors.length > 0, { what: 'the watcher told' });
    expect((await store.list('open')).map((listed) => listed.request.id)).toEqual([sound.request.id]);
    await redis.zadd(key('open'), 1, id);
    expect(await store.sweep()).toEqual([]);
    expect(await redis.zscore(key('open'), id)).toBeNull();
    expect(problems.length).toBeGreaterThan(0);
  });

  it('believes no approval without the votes for it', async () => {
    const { version: _, ...rest } = await store.create(request());
    const { request: asked, ...progress } = { ...rest, version: 2 };
    const forge = async (votes: unknown[]): Promise<void> => {
      const grantUntilMs = (await nowMs()) + 60_000;
      const forged = { ...progress, state: 'approved', votes, grantUntilMs };
      await redis.hset(key(`hold:${asked.id}`), {
        version: '2',
        state: 'approved',
        due: String(grantUntilMs),
        progress: JSON.stringify(forged),
      });
    };
    await forge([]);
    await expect(store.apply(asked.id, consumption)).rejects.toMatchObject({ code: 'approvals_unavailable' });
    const own = {
      voter: 'owner@example.com',
      groups: [],
      decision: 'approve',
      reason: null,
      atMs: 1,
      channel: 'api',
    };
    await forge([own]);
    await expect(store.apply(asked.id, consumption)).rejects.toMatchObject({ code: 'approvals_unavailable' });
    await forge([{ ...own, voter: 'dba@example.com' }]);
    expect(await store.apply(asked.id, consumption)).toMatchObject({ ok: true });
  });

  it('is not woken into anything by a forged message or event', async () => {
    const heard: unknown[] = [];
    store.onChange((change) => heard.push(change));
    const hold = await store.create(request());
    const watcher = follow(store, hold.request.id);
    await redis.publish(key('changes'), hold.request.id);
    await redis.publish(key('changes'), 'approve everything');
    await redis.xadd(key('events'), '*', 'id', hold.request.id, 'progress', '{}', 'event', 'null');
    await redis.xadd(key('events'), '*', 'nothing', 'here');
    must(await store.apply(hold.request.id, denial(hold)));
    await eventually(() => watcher.seen.length > 0 && heard.length > 1 && problems.length > 1, {
      what: 'the real denial',
    });
    expect(watcher.seen.map((seen) => seen.state)).toEqual(['denied']);
    expect(heard).toHaveLength(2);
    expect(problems).toHaveLength(2);
  });

  it('tells apart tenants of one Redis', async () => {
    const hold = await store.create(request());
    const stranger = await openStore(`${tenant}.x`);
    expect(await stranger.get(hold.request.id)).toBeNull();
    expect(await stranger.list('all')).toEqual([]);
    await stranger.close();
  });

  it.each([
    ['http://user:hunter2@db.example.com'],
    ['redis://user:hunter2@db.example.com:port'],
    ['hunter2'],
  ])('refuses an address that is none, without repeating it: %s', (address) => {
    let thrown: unknown;
    try {
      new RedisHoldStore({ url: address, clock: systemClock });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: 'config' });
    expect(String(thrown)).not.toContain('hunter2');
  });

  it.each(['', 'a b', 'a}', 'x'.repeat(65)])('refuses the tenant %j', (name) => {
    expect(() => new RedisHoldStore({ url, clock: systemClock, tenant: name })).toThrow(/tenant/);
  });
});

describe('redis: the script', () => {
  let keys: string[] = [];
  const run = (
    op: string,
    ...rest: [...Parameters<typeof transitionArguments>] extends [string, ...infer R] ? R : never
  ) => redis.eval(TRANSITION, 4, ...keys, ...transitionArguments(op, ...rest));
  beforeEach(() => {
    const tenant = randomUUID();
    keys = ['hold', 'open', 'index', 'events'].map((name) => `cs:{${tenant}}:${name}`);
  });

  it('does an operation once, however often it is asked', async () => {
    const now = await nowMs();
    const hold = newHold(request({ requestedAtMs: now, deadlineMs: now + 60_000 }));
    expect(await run('a', 'c', hold, null)).toBe('done');
    expect(await run('a', 'c', hold, null)).toBe('done');
    const event = approval(hold);
    const next = must(step(hold, event, now));
    expect(await run('b', 'c', next, event)).toBe('done');
    const gone = must(step(next, { type: 'revoke', by: 'dba', reason: 'oops' }, now));
    expect(await run('c', 'c', gone, { type: 'revoke', by: 'dba', reason: 'oops' })).toBe('done');
    // A late retry of the vote, after the hold has gone on.
    expect(await run('b', 'c', next, event)).toBe('done');
    expect(await redis.xlen(keys[3]!)).toBe(3);
    expect(await redis.hget(keys[0]!, 'state')).toBe('revoked');
  });

  it('writes nothing when version, clock or binding stand against it', async () => {
    const now = await nowMs();
    const past = newHold(request({ requestedAtMs: now - 20, deadlineMs: now - 10 }));
    const yes = approval(past);
    const onPast = must(step(past, yes, now - 15));
    expect(await run('a', 'c', onPast, yes)).toBe('missing');
    expect(await run('b', 'c', past, null)).toBe('done');
    expect(await run('c', 'c', past, null)).toBe('version');
    expect(await run('d', 'c', onPast, yes)).toBe('late');
    expect(await redis.hget(keys[0]!, 'state')).toBe('pending');

    keys[0] += '2';
    const hold = newHold(request({ requestedAtMs: now, deadlineMs: now + 60_000 }));
    expect(await run('a', 'c', hold, null)).toBe('done');
    const expired = must(step(hold, { type: 'expire' }, now + 60_000));
    expect(await run('b', 'c', expired, { type: 'expire' })).toBe('early');
    const event = approval(hold);
    const next = must(step(hold, event, now));
    expect(await run('c', 'c', next, event)).toBe('done');
    expect(await run('d', 'c', next, event)).toBe('version');
    const used = must(step(next, consumption, now));
    expect(await run('e', 'c', used, { type: 'consume', binding: 'x' })).toBe('binding');
    const lapsed = must(step(next, { type: 'lapse' }, now + 60_000));
    expect(await run('f', 'c', lapsed, { type: 'lapse' })).toBe('early');
    expect(await run('g', 'c', used, consumption)).toBe('done');

    keys[0] += '3';
    const brief = newHold(request({ requestedAtMs: now, deadlineMs: now + 60_000, grantMs: 0 }));
    expect(await run('a', 'c', brief, null)).toBe('done');
    const granted = must(step(brief, event, now));
    expect(await run('b', 'c', granted, event)).toBe('done');
    const tooLate = { ...granted, state: 'consumed', version: 3 } as const;
    expect(await run('c', 'c', tooLate, consumption)).toBe('late');
    expect(await redis.hget(keys[0]!, 'state')).toBe('approved');
  });

  it('keeps a bounded stream of events', async () => {
    const fill = "for i = 1, 11000 do redis.call('XADD', KEYS[1], '*', 'old', i) end";
    await redis.eval(fill, 1, keys[3]!);
    expect(await run('a', 'c', newHold(request()), null)).toBe('done');
    // Redis trims whole blocks of a hundred entries.
    expect(await redis.xlen(keys[3]!)).toBeLessThanOrEqual(10_200);
  });
});

it('opens within its time also where nothing answers', async () => {
  const store = await RedisHoldStore.open({
    url: 'redis://127.0.0.1:1',
    clock: systemClock,
    timings: { commandMs: 100 },
  });
  expect(store.ready()).toBe(false);
  await expect(approved(store)).rejects.toMatchObject({ code: 'approvals_unavailable' });
  await store.close();
});
