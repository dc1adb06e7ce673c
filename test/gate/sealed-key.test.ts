// A sealed key opens with its own lock, whole, and with no other.
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { makeLock, seal, unseal } from '../../src/gate/sealed-key.ts';

const keyOf = (length: number) => ({ processId: 0x7fff_fff0, secretKey: randomBytes(length) });

test.each([4, 32, 256])('a key of %i bytes comes out as it went in', (length) => {
  const lock = makeLock();
  const key = keyOf(length);
  expect(unseal(seal(key, lock.publicKey), lock)).toEqual(key);
});

test('neither another lock nor one that is made of both opens it', () => {
  const [lock, other] = [makeLock(), makeLock()];
  const box = seal(keyOf(4), lock.publicKey);
  expect(unseal(box, other)).toBeNull();
  expect(unseal(box, { ...other, publicKey: lock.publicKey })).toBeNull();
  expect(unseal(box, { ...lock, publicKey: other.publicKey })).toBeNull();
});

test('one changed bit anywhere, or one byte more or less, and nothing opens it', () => {
  const lock = makeLock();
  const box = seal(keyOf(4), lock.publicKey);
  for (let at = 0; at < box.length; at++) {
    const changed = Buffer.from(box);
    changed[at] = (changed[at] as number) ^ 1;
    expect(unseal(changed, lock), `byte ${at}`).toBeNull();
    expect(unseal(box.subarray(0, at), lock), `${at} bytes`).toBeNull();
  }
  expect(unseal(Buffer.concat([box, Buffer.alloc(1)]), lock)).toBeNull();
});

test('the same key sealed twice for one lock does not look the same', () => {
  const { publicKey } = makeLock();
  const key = keyOf(4);
  expect(seal(key, publicKey).equals(seal(key, publicKey))).toBe(false);
});

test('what is no public key is refused, also the one that would make the secret known', () => {
  for (const publicKey of [Buffer.alloc(0), Buffer.alloc(31), Buffer.alloc(32), Buffer.alloc(33)]) {
    expect(() => seal(keyOf(4), publicKey)).toThrow();
  }
});
