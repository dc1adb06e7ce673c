// A CancelRequest reaches the session whose key it carries, whole, and no other.
import { describe, expect, it } from 'vitest';
import { CancelKeys } from '../../src/gate/cancel.ts';

describe('CancelKeys', () => {
  it('calls the session that a key was issued to, each time', async () => {
    const keys = new CancelKeys();
    const called: string[] = [];
    const one = keys.issue(async () => void called.push('one'));
    const two = keys.issue(async () => void called.push('two'));
    expect(one.processId).not.toBe(two.processId);
    expect(await keys.use(two.processId, two.secretKey)).toBe(true);
    expect(await keys.use(one.processId, one.secretKey)).toBe(true);
    expect(await keys.use(one.processId, one.secretKey)).toBe(true);
    expect(called).toEqual(['two', 'one', 'one']);
  });

  it('is silent about every other key', async () => {
    const keys = new CancelKeys();
    let called = 0;
    const key = keys.issue(async () => void called++);
    const other = keys.issue(async () => void called++);
    const flipped = Buffer.from(key.secretKey);
    flipped[3] = (flipped[3] as number) ^ 1;
    expect(await keys.use(key.processId, flipped)).toBe(false);
    expect(await keys.use(key.processId, key.secretKey.subarray(0, 3))).toBe(false);
    expect(await keys.use(key.processId, Buffer.concat([key.secretKey, Buffer.from([0])]))).toBe(false);
    expect(await keys.use(key.processId, Buffer.alloc(0))).toBe(false);
    if (!other.secretKey.equals(key.secretKey))
      expect(await keys.use(key.processId, other.secretKey)).toBe(false);
    expect(await keys.use(0, key.secretKey)).toBe(false);
    expect(called).toBe(0);
  });

  it('is done when the session is done: whoever sees the end of it may send the next statement', async () => {
    const keys = new CancelKeys();
    let delivered = (): void => {};
    const key = keys.issue(() => new Promise((resolve) => (delivered = resolve)));
    let done = false;
    const using = keys.use(key.processId, key.secretKey).then(() => (done = true));
    await new Promise(setImmediate);
    expect(done).toBe(false);
    delivered();
    await using;
  });

  it('forgets a key that is revoked', async () => {
    const keys = new CancelKeys();
    let called = 0;
    const key = keys.issue(async () => void called++);
    keys.revoke(key);
    expect(await keys.use(key.processId, key.secretKey)).toBe(false);
    expect(called).toBe(0);
  });

  it('issues keys as protocol 3.0 has them, none twice', () => {
    const keys = new CancelKeys();
    const issued = Array.from({ length: 2000 }, () => keys.issue(async () => {}));
    expect(new Set(issued.map(({ processId }) => processId)).size).toBe(2000);
    for (const { processId, secretKey } of issued) {
      expect(processId).toBeGreaterThan(0);
      expect(processId).toBeLessThan(2 ** 31);
      expect(secretKey).toHaveLength(4);
    }
    expect(new Set(issued.map(({ secretKey }) => secretKey.toString('hex'))).size).toBeGreaterThan(1990);
  });
});
