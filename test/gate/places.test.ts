// Places are counted once however often they are given back, and strangers make room for each other by address.
import { expect, test } from 'vitest';
import { Places, partyOf, Strangers } from '../../src/gate/places.ts';

test('a place is given back once, and by key', () => {
  const places = new Places();
  const one = places.take('a', 2);
  const two = places.take('a', 2);
  expect(places.take('a', 2)).toBeNull();
  expect(places.take('b', 2)).not.toBeNull();
  one?.();
  one?.();
  expect(places.take('a', 2)).not.toBeNull();
  expect(places.take('a', 2)).toBeNull();
  two?.();
  expect(places.take('a', 2)).not.toBeNull();
});

test('an IPv6 /64 is one party, and an IPv4 address however it is written', () => {
  expect(partyOf('2001:db8::1')).toBe(partyOf('2001:db8::ffff'));
  expect(partyOf('2001:db8::1')).not.toBe(partyOf('2001:db8:0:1::1'));
  expect(partyOf('::ffff:192.0.2.1')).toBe(partyOf('192.0.2.1'));
});

test('one too many: the oldest of the party with the most goes', () => {
  const strangers = new Strangers<string>(3);
  expect(strangers.add('a', 'a1')).toBeNull();
  expect(strangers.add('b', 'b1')).toBeNull();
  expect(strangers.add('b', 'b2')).toBeNull();
  expect(strangers.add('c', 'c1')).toBe('b1');
  strangers.delete('b', 'b1');
  strangers.delete('b', 'b1');
  strangers.delete('a', 'a1');
  expect(strangers.add('c', 'c2')).toBeNull();
  expect(strangers.add('d', 'd1')).toBe('c1');
});
