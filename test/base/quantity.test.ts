// Durations and sizes as operators write them, and the near misses that must not pass for something else.
import { expect, test } from 'vitest';
import { nearest } from '../../src/base/nearest.ts';
import { parseDurationMs, parseSizeBytes } from '../../src/base/quantity.ts';

test.each([
  ['300ms', 300],
  ['45s', 45_000],
  ['30m', 1_800_000],
  ['2h', 7_200_000],
  ['24d', 2_073_600_000],
  ['25d', null],
  ['0s', null],
  ['45', null],
  ['-1s', null],
  ['1.5s', null],
  ['45 s', null],
  ['45S', null],
  ['s', null],
  ['', null],
  ['1m30s', null],
  ['1constructor', null],
  ['99999999999999999s', null],
])('duration %j', (text, ms) => expect(parseDurationMs(text)).toBe(ms));

test.each([
  ['1B', 1],
  ['64KiB', 65_536],
  ['10MiB', 10_485_760],
  ['2GiB', 2_147_483_648],
  ['10MB', null],
  ['10', null],
  ['0B', null],
  ['10mib', null],
  ['999999999999999GiB', null],
  ['', null],
])('size %j', (text, bytes) => expect(parseSizeBytes(text)).toBe(bytes));

test.each([
  ['pasword', 'password'],
  ['Password', 'password'],
  ['wait_in_transaction', 'waitInTransaction'],
  ['hsot', 'host'],
  ['zzz', null],
  ['', null],
  ['x'.repeat(100), null],
])('nearest to %j', (word, known) =>
  expect(nearest(word, ['password', 'host', 'port', 'waitInTransaction'])).toBe(known),
);
