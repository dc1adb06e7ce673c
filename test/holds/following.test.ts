// The moments that a real Redis does not show on demand: changes that come while one is looking.
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { HoldId } from '../../src/base/ids.ts';
import { type FollowedStore, Following } from '../../src/holds/following.ts';
import type { Hold } from '../../src/holds/hold.ts';
import { Listeners } from '../../src/holds/listeners.ts';
import { newHold } from '../../src/holds/machine.ts';
import { request } from './sample.ts';

/** A store whose answers wait until the test lets them go, each with what was true when it was asked. */
class SlowStore implements FollowedStore {
  hold: Hold = newHold(request());
  events: { readonly position: string; readonly change: { hold: Hold; event: null } | null }[] = [];
  asked = { read: 0, versions: 0, eventsAfter: 0 };
  #answers: (() => void)[] = [];

  #later<T>(value: T): Promise<T> {
    return new Promise((resolve) => this.#answers.push(() => resolve(value)));
  }
  /** Answers what has been asked, and what that makes to be asked, until it is quiet. */
  async answer(): Promise<void> {
    while (this.#answers.length > 0) {
      for (const answer of this.#answers.splice(0)) answer();
      await turn();
    }
  }
  read(): Promise<Hold | null> {
    this.asked.read++;
    return this.#later(this.hold);
  }
  versions(ids: readonly HoldId[]): Promise<readonly string[]> {
    this.asked.versions++;
    return this.#later(ids.map(() => String(this.hold.version)));
  }
  endOfEvents(): Promise<string> {
    return this.#later(String(this.events.length));
  }
  eventsAfter(position: string): Promise<SlowStore['events']> {
    this.asked.eventsAfter++;
    return this.#later(this.events.slice(Number(position), Number(position) + 2));
  }
  happen(count: number): void {
    for (let i = 0; i < count; i++) {
      this.hold = { ...this.hold, version: this.hold.version + 1 };
      this.events.push({
        position: String(this.events.length + 1),
        change: { hold: this.hold, event: null },
      });
    }
  }
}

async function followed() {
  const store = new SlowStore();
  const problems: unknown[] = [];
  const listeners = new Listeners((error) => problems.push(error));
  const following = new Following(store, listeners, (error) => problems.push(error));
  const { id } = store.hold.request;
  const seen: number[] = [];
  const changes: number[] = [];
  listeners.watch(
    id,
    (hold) => seen.push(hold.version),
    () => {},
  );
  listeners.onChange((change) => changes.push(change.hold.version));
  following.readEvents();
  await store.answer();
  return { store, following, id, seen, changes, problems };
}

describe('following', () => {
  it('looks again when it is woken while it looks', async () => {
    const { store, following, id, seen } = await followed();
    store.happen(1);
    following.wake(id);
    store.happen(1);
    following.wake(id);
    await store.answer();
    expect(seen).toEqual([2, 3]);
  });

  it('reads on when it is woken while it reads', async () => {
    const { store, following, changes } = await followed();
    following.wake(null);
    store.happen(1);
    following.wake(null);
    await store.answer();
    expect(changes).toEqual([2]);
  });

  it('reads all there is, in order, each once', async () => {
    const { store, following, changes } = await followed();
    store.happen(5);
    following.wake(null);
    await store.answer();
    following.wake(null);
    await store.answer();
    expect(changes).toEqual([2, 3, 4, 5, 6]);
  });

  it('passes over what is damaged', async () => {
    const { store, following, changes } = await followed();
    store.events.push({ position: '1', change: null });
    store.happen(1);
    following.wake(null);
    await store.answer();
    expect(changes).toEqual([2]);
  });

  it('does not read a hold that nobody watches, nor one that has not changed', async () => {
    const { store, following } = await followed();
    following.wake(request().id);
    following.poll();
    await store.answer();
    expect(store.asked.read).toBe(0);
  });

  it('asks for one thing once at a time, however often it is woken', async () => {
    const { store, following, id } = await followed();
    const before = store.asked.eventsAfter;
    for (let i = 0; i < 100; i++) following.wake(id);
    following.poll();
    following.poll();
    await store.answer();
    expect(store.asked.read).toBeLessThanOrEqual(2);
    expect(store.asked.versions).toBe(1);
    expect(store.asked.eventsAfter - before).toBeLessThanOrEqual(4);
  });
});
