// What every hold store must do, run on each of them: memory.test.ts, redis.test.ts.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newHoldId } from '../../src/base/ids.ts';
import type { HoldChange, HoldEvent, HoldStore } from '../../src/holds/hold.ts';
import { eventually } from '../services/wait.ts';
import { approval, approved, BINDING, consumption, denial, follow, must, request } from './sample.ts';

export interface StoreUnderTest {
  readonly store: HoldStore;
  /** Another node's view of the same holds; the same object where a store belongs to one process. */
  readonly other: HoldStore;
  /** Returns once the store's clock is `ms` further. */
  pass(ms: number): Promise<void>;
  close(): Promise<void>;
}

export function conformance(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`${name}: the contract of a hold store`, () => {
    let tested: StoreUnderTest;
    let store: HoldStore;
    let other: HoldStore;
    beforeEach(async () => {
      tested = await open();
      store = tested.store;
      other = tested.other;
    });
    afterEach(() => tested.close());

    it('gives back what was requested, to every node', async () => {
      const asked = request();
      const hold = await store.create(asked);
      expect(hold).toMatchObject({
        version: 1,
        state: 'pending',
        votes: [],
        grantUntilMs: null,
        closedAtMs: null,
        closedBecause: null,
      });
      expect(hold.request).toEqual({
        ...asked,
        requestedAtMs: hold.request.requestedAtMs,
        deadlineMs: hold.request.deadlineMs,
      });
      expect(hold.request.deadlineMs - hold.request.requestedAtMs).toBe(60_000);
      expect(await store.get(asked.id)).toEqual(hold);
      expect(await other.get(asked.id)).toEqual(hold);
      expect(store.ready()).toBe(true);
    });

    it('knows no hold that was never requested', async () => {
      expect(await store.get(newHoldId())).toBeNull();
      expect(await store.apply(newHoldId(), { type: 'expire' })).toMatchObject({
        ok: false,
        refusal: 'not_found',
      });
      expect(await store.list('all')).toEqual([]);
    });

    it('refuses a second hold of the same id', async () => {
      const asked = request();
      const hold = await store.create(asked);
      must(await store.apply(asked.id, denial(hold)));
      await expect(store.create(asked)).rejects.toMatchObject({ code: 'internal' });
      expect((await store.get(asked.id))?.state).toBe('denied');
    });

    it('goes from request to outcome', async () => {
      const hold = await store.create(request({ approvals: { count: 2 } }));
      const { id } = hold.request;
      const once = must(await other.apply(id, approval(hold, 'first@example.com')));
      expect(once).toMatchObject({ state: 'pending', version: 2 });
      const twice = must(await store.apply(id, approval(once, 'second@example.com')));
      expect(twice).toMatchObject({ state: 'approved', version: 3 });
      expect(twice.grantUntilMs).toBeGreaterThan(twice.request.requestedAtMs);
      expect(must(await store.apply(id, consumption))).toMatchObject({ state: 'consumed', version: 4 });
      const done = must(await store.apply(id, { type: 'outcome', state: 'executed' }));
      expect(done).toMatchObject({ state: 'executed', version: 5 });
      expect(await other.get(id)).toEqual(done);
      expect(done.votes.map((vote) => vote.voter)).toEqual(['first@example.com', 'second@example.com']);
    });

    it('refuses with the hold as it is, and changes nothing', async () => {
      const hold = await store.create(request());
      const refused = await store.apply(hold.request.id, approval(hold, 'OWNER@example.com '));
      expect(refused).toEqual({
        ok: false,
        refusal: 'self_approval',
        message: 'nobody decides their own request',
        hold,
      });
      expect(await store.get(hold.request.id)).toEqual(hold);
    });

    it('lists open holds and all holds, the newest last', async () => {
      const first = await store.create(request());
      await tested.pass(2);
      const second = await approved(store);
      await tested.pass(2);
      const third = await store.create(request());
      must(await store.apply(first.request.id, denial(first)));
      const ids = (holds: readonly { request: { id: string } }[]): string[] => holds.map((h) => h.request.id);
      expect(ids(await other.list('open'))).toEqual([second.request.id, third.request.id]);
      expect(ids(await other.list('all'))).toEqual([first.request.id, second.request.id, third.request.id]);
      must(await store.apply(second.request.id, consumption));
      expect(ids(await store.list('open'))).toEqual([third.request.id]);
    });

    it('lets exactly one of twenty racing callers consume', async () => {
      const { request: asked, version } = await approved(store);
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? store : other).apply(asked.id, consumption)),
      );
      expect(results.filter((result) => result.ok)).toHaveLength(1);
      for (const result of results) if (!result.ok) expect(result.refusal).toBe('decided');
      expect(await other.get(asked.id)).toMatchObject({ state: 'consumed', version: version + 1 });
    });

    it('counts one of several racing votes that saw the same version', async () => {
      const hold = await store.create(request({ approvals: { count: 3 } }));
      const results = await Promise.all(
        Array.from({ length: 10 }, (_, i) =>
          (i % 2 === 0 ? store : other).apply(hold.request.id, approval(hold, `voter-${i}@example.com`)),
        ),
      );
      expect(results.filter((result) => result.ok)).toHaveLength(1);
      for (const result of results) if (!result.ok) expect(result.refusal).toBe('stale');
      expect((await store.get(hold.request.id))?.votes).toHaveLength(1);
    });

    it('ends a race of a withdrawal and a consumption with one of them', async () => {
      for (let round = 0; round < 10; round++) {
        const { id } = (await approved(store)).request;
        const events: HoldEvent[] = [consumption, { type: 'withdraw', because: 'client disconnected' }];
        const results = await Promise.all(
          events.map((event, i) => (i === 0 ? store : other).apply(id, event)),
        );
        expect(results.filter((result) => result.ok)).toHaveLength(1);
        const won = results.findIndex((result) => result.ok);
        expect((await store.get(id))?.state).toBe(won === 0 ? 'consumed' : 'withdrawn');
      }
    });

    it('does not let an approval be used for another statement', async () => {
      const { request: asked } = await approved(store);
      const result = await store.apply(asked.id, { type: 'consume', binding: BINDING.replace(/^b/, 'c') });
      expect(result).toMatchObject({ ok: false, refusal: 'stale' });
      expect((await store.get(asked.id))?.state).toBe('approved');
    });

    it('sweeps what has passed its time, and nothing else', async () => {
      const short = await store.create(request({ deadlineMs: 1_000_030 }));
      const granted = await approved(store, { grantMs: 30 });
      const long = await store.create(request());
      expect(await store.apply(long.request.id, { type: 'expire' })).toMatchObject({
        refusal: 'bad_request',
      });
      await tested.pass(60);
      expect(await store.apply(short.request.id, approval(short))).toMatchObject({ refusal: 'expired' });
      expect(await store.apply(granted.request.id, consumption)).toMatchObject({ refusal: 'expired' });

      const swept = (await Promise.all([store.sweep(), other.sweep(), store.sweep()])).flat();
      const ended = swept.map((change) => [change.hold.request.id, change.hold.state, change.event?.type]);
      expect(ended.sort()).toEqual(
        [
          [short.request.id, 'expired', 'expire'],
          [granted.request.id, 'lapsed', 'lapse'],
        ].sort(),
      );
      expect(await store.sweep()).toEqual([]);
      expect((await store.list('open')).map((hold) => hold.request.id)).toEqual([long.request.id]);
    });

    it('tells watchers on every node, each version once, until they stop', async () => {
      const hold = await store.create(request({ approvals: { count: 2 } }));
      const { id } = hold.request;
      const here = follow(store, id);
      const there = follow(other, id);
      const stopped = follow(other, id);
      stopped.stop();
      const once = must(await store.apply(id, approval(hold, 'first@example.com')));
      await eventually(() => here.seen.length === 1 && there.seen.length === 1, { what: 'the first vote' });
      must(await other.apply(id, approval(once, 'second@example.com')));
      await eventually(() => here.seen.length === 2 && there.seen.length === 2, { what: 'the second vote' });
      for (const { seen, errors } of [here, there]) {
        expect(seen.map((version) => [version.version, version.state])).toEqual([
          [2, 'pending'],
          [3, 'approved'],
        ]);
        expect(errors).toEqual([]);
      }
      expect(stopped.seen).toEqual([]);
    });

    it('tells a watcher that came late', async () => {
      const hold = await approved(store);
      const late = follow(other, hold.request.id);
      await eventually(() => late.seen.length > 0, { what: 'the approval before the watch' });
      expect(late.seen).toEqual([hold]);
    });

    it('tells a watcher of a hold that is not there', async () => {
      const watcher = follow(store, newHoldId());
      await eventually(() => watcher.errors.length > 0, { what: 'lost' });
      expect(watcher.errors[0]).toMatchObject({ code: 'approvals_unavailable' });
    });

    it('tells every change once and in order, on every node', async () => {
      const heard: HoldChange[][] = [[], []];
      const stops = [store, other].map((at, i) => at.onChange((change) => heard[i]?.push(change)));
      const hold = await store.create(request());
      const { id } = hold.request;
      must(await other.apply(id, approval(hold)));
      must(await store.apply(id, consumption));
      must(await other.apply(id, { type: 'outcome', state: 'failed' }));
      await eventually(() => heard.every((changes) => changes.length >= 4), { what: 'four changes' });
      for (const changes of heard) {
        expect(changes.map((c) => [c.hold.version, c.hold.state, c.event?.type ?? null])).toEqual([
          [1, 'pending', null],
          [2, 'approved', 'vote'],
          [3, 'consumed', 'consume'],
          [4, 'failed', 'outcome'],
        ]);
        expect(changes[3]?.hold).toEqual(await store.get(id));
      }
      for (const stop of stops) stop();
      await store.create(request());
      const watcher = follow(store, (await approved(store)).request.id);
      await eventually(() => watcher.seen.length > 0);
      expect(heard.map((changes) => changes.length)).toEqual([4, 4]);
    });

    it('survives a listener that throws', async () => {
      const hold = await store.create(request());
      store.watch(
        hold.request.id,
        () => {
          throw new Error('a bug');
        },
        () => {},
      );
      const watcher = follow(store, hold.request.id);
      must(await store.apply(hold.request.id, approval(hold)));
      await eventually(() => watcher.seen.length === 1, { what: 'the other watcher' });
    });

    it('answers nothing after it was closed', async () => {
      const hold = await store.create(request());
      const closing = store.close();
      expect(store.ready()).toBe(false);
      await closing;
      for (const answer of [
        () => store.get(hold.request.id),
        () => store.list('all'),
        () => store.create(request()),
        () => store.apply(hold.request.id, approval(hold)),
        () => store.sweep(),
      ]) {
        await expect(answer()).rejects.toMatchObject({ code: 'approvals_unavailable' });
      }
    });
  });
}
