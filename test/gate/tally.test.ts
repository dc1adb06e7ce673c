// What is ignored is told at once when it happens first, then once a minute at most, and never twice the same.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { IGNORED, Tally } from '../../src/gate/tally.ts';

const [UNKNOWN, UNREACHABLE] = IGNORED;
let told: Readonly<Record<string, number>>[];
let tally: Tally;
beforeEach(() => {
  vi.useFakeTimers();
  told = [];
  tally = new Tally((counts) => told.push(counts));
});
afterEach(() => {
  vi.useRealTimers();
});

test('a flood is two lines in its first minute, and nothing is lost', () => {
  for (let i = 0; i < 10_000; i++) tally.count(UNKNOWN);
  expect(told).toEqual([{ [UNKNOWN]: 1 }]);
  tally.count(UNREACHABLE);
  vi.advanceTimersByTime(60_000);
  expect(told.slice(1)).toEqual([{ [UNKNOWN]: 10_000, [UNREACHABLE]: 1 }]);
});

test('where nothing happens, nothing is told; after a pause the next is told at once', () => {
  tally.count(UNKNOWN);
  vi.advanceTimersByTime(600_000);
  expect(told).toHaveLength(1);
  tally.count(UNKNOWN);
  expect(told).toEqual([{ [UNKNOWN]: 1 }, { [UNKNOWN]: 2 }]);
});

test('the end tells what is left, once', () => {
  tally.count(UNKNOWN);
  tally.count(UNKNOWN);
  tally.close();
  tally.close();
  expect(told).toEqual([{ [UNKNOWN]: 1 }, { [UNKNOWN]: 2 }]);
  expect(vi.getTimerCount()).toBe(0);
});
