// Looks at sessions, with a clock held in the hand: nobody is ended early, and nobody who does something at all.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { endIdleSessions, type Idleness, type Sweepable } from '../../src/gate/idle.ts';

class Actor implements Sweepable {
  idleness: Idleness = 'idle';
  heardBytes = 0;
  readonly ended: string[] = [];
  endIdle(error: { code: string }): void {
    this.ended.push(error.code);
    this.idleness = 'busy'; // as whatever has ended
  }
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const clock = { monoUs: () => performance.now() * 1000 };
const LIMITS = { idleMs: 1_000, idleInTransactionMs: 500 };

test('never before its time, and within three looks after', () => {
  const actor = new Actor();
  const stop = endIdleSessions(new Set([actor]), LIMITS, clock);
  vi.advanceTimersByTime(1_000);
  expect(actor.ended).toEqual([]);
  vi.advanceTimersByTime(150);
  expect(actor.ended).toEqual(['idle_session']);
  stop();
});

test('whoever says something between looks stays, though nothing is ever seen under way', () => {
  const actor = new Actor();
  const stop = endIdleSessions(new Set([actor]), LIMITS, clock);
  for (let i = 0; i < 20; i++) {
    vi.advanceTimersByTime(900);
    actor.heardBytes++;
  }
  expect(actor.ended).toEqual([]);
  stop();
});

test('time is counted anew from the end of what was under way, and by what it is', () => {
  const actor = new Actor();
  const stop = endIdleSessions(new Set([actor]), LIMITS, clock);
  vi.advanceTimersByTime(900);
  actor.idleness = 'busy';
  vi.advanceTimersByTime(10_000);
  actor.idleness = 'idle';
  vi.advanceTimersByTime(900);
  actor.idleness = 'idle in transaction';
  vi.advanceTimersByTime(500);
  expect(actor.ended).toEqual([]);
  vi.advanceTimersByTime(200);
  expect(actor.ended).toEqual(['idle_in_transaction']);
  stop();
});

test('a process that was held up itself hears its clients before it ends them', () => {
  const actor = new Actor();
  let nowUs = 0;
  const stop = endIdleSessions(new Set([actor]), LIMITS, { monoUs: () => nowUs });
  vi.advanceTimersByTime(50);
  nowUs = 60_000_000;
  vi.advanceTimersByTime(50);
  expect(actor.ended).toEqual([]);
  // What it had sent meanwhile is read now.
  actor.heardBytes++;
  vi.advanceTimersByTime(50);
  expect(actor.ended).toEqual([]);
  stop();
});

test('without limits there is no timer at all', () => {
  endIdleSessions(new Set(), { idleMs: null, idleInTransactionMs: null }, clock);
  expect(vi.getTimerCount()).toBe(0);
});
