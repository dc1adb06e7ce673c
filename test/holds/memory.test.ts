import { describe, expect, it } from 'vitest';
import { MemoryHoldStore } from '../../src/holds/memory.ts';
import { conformance } from './conformance.ts';
import { approval, approved, consumption, denial, must, request } from './sample.ts';

class TestClock {
  #ms = 1_000_000;
  nowMs(): number {
    return this.#ms;
  }
  monoUs(): number {
    return this.#ms * 1000;
  }
  pass(ms: number): void {
    this.#ms += ms;
  }
}

conformance('memory', async () => {
  const clock = new TestClock();
  const store = new MemoryHoldStore({ clock });
  return { store, other: store, pass: async (ms) => clock.pass(ms), close: () => store.close() };
});

describe('memory: what it forgets', () => {
  const HOUR_MS = 60 * 60 * 1000;

  it('keeps the last thousand that have ended, and everything open', async () => {
    const store = new MemoryHoldStore({ clock: new TestClock() });
    const open = await store.create(request());
    const running = await approved(store);
    must(await store.apply(running.request.id, consumption));
    const ended = [];
    for (let i = 0; i < 1_010; i++) {
      const hold = await store.create(request());
      must(await store.apply(hold.request.id, denial(hold)));
      ended.push(hold.request.id);
    }
    expect(await store.get(ended[9]!)).toBeNull();
    expect(await store.get(ended[20]!)).not.toBeNull();
    expect(await store.get(open.request.id)).not.toBeNull();
    expect(must(await store.apply(running.request.id, { type: 'outcome', state: 'executed' })).state).toBe(
      'executed',
    );
    expect((await store.list('all')).length).toBeLessThanOrEqual(1_002);
  });

  it('forgets what ended a day ago', async () => {
    const clock = new TestClock();
    const store = new MemoryHoldStore({ clock });
    const hold = await store.create(request());
    must(await store.apply(hold.request.id, denial(hold)));
    clock.pass(23 * HOUR_MS);
    await store.sweep();
    expect(await store.get(hold.request.id)).not.toBeNull();
    clock.pass(HOUR_MS);
    await store.sweep();
    expect(await store.get(hold.request.id)).toBeNull();
  });

  it('does not keep huge statements alive', async () => {
    const store = new MemoryHoldStore({ clock: new TestClock() });
    const text = 'x'.repeat(10 * 1024 * 1024);
    for (let i = 0; i < 6; i++) {
      const asked = request();
      const hold = await store.create({ ...asked, statement: { ...asked.statement, text } });
      must(await store.apply(hold.request.id, denial(hold)));
    }
    expect(await store.list('all')).toHaveLength(3);
  });

  it('does not change with the object that was handed in', async () => {
    const store = new MemoryHoldStore({ clock: new TestClock() });
    const asked = request();
    const hold = await store.create(asked);
    (asked.requesters as string[]).length = 0;
    expect(await store.apply(hold.request.id, approval(hold, 'owner@example.com'))).toMatchObject({
      refusal: 'self_approval',
    });
  });
});
