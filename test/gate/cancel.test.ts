// A CancelRequest reaches the session whose key it carries, whole, and no other.
import { describe, expect, it } from 'vitest';
import { CancelKeys, nodeNumber, nodeNumberOf } from '../../src/gate/cancel.ts';

const NODE = nodeNumber('east');

describe('CancelKeys', () => {
  it('calls the session that a key was issued to, each time', async () => {
    const keys = new CancelKeys(NODE);
    const called: string[] = [];
    const one = keys.issue(0, async () => void called.push('one'));
    const two = keys.issue(0, async () => void called.push('two'));
    expect(one.processId).not.toBe(two.processId);
    expect(await keys.use(two)).toBe(true);
    expect(await keys.use(one)).toBe(true);
    expect(await keys.use(one)).toBe(true);
    expect(called).toEqual(['two', 'one', 'one']);
  });

  it('is silent about every other key', async () => {
    const keys = new CancelKeys(NODE);
    let called = 0;
    const key = keys.issue(0, async () => void called++);
    const other = keys.issue(0, async () => void called++);
    const flipped = Buffer.from(key.secretKey);
    flipped[3] = (flipped[3] as number) ^ 1;
    expect(await keys.use({ ...key, secretKey: flipped })).toBe(false);
    expect(await keys.use({ ...key, secretKey: key.secretKey.subarray(0, 3) })).toBe(false);
    expect(await keys.use({ ...key, secretKey: Buffer.concat([key.secretKey, Buffer.from([0])]) })).toBe(
      false,
    );
    expect(await keys.use({ ...key, secretKey: Buffer.alloc(0) })).toBe(false);
    if (!other.secretKey.equals(key.secretKey))
      expect(await keys.use({ ...key, secretKey: other.secretKey })).toBe(false);
    expect(await keys.use({ ...key, processId: 0 })).toBe(false);
    expect(called).toBe(0);
  });

  it('is done when the session is done: whoever sees the end of it may send the next statement', async () => {
    const keys = new CancelKeys(NODE);
    let delivered = (): void => {};
    const key = keys.issue(0, () => new Promise((resolve) => (delivered = resolve)));
    let done = false;
    const using = keys.use(key).then(() => (done = true));
    await new Promise(setImmediate);
    expect(done).toBe(false);
    delivered();
    await using;
  });

  it('forgets a key that is revoked', async () => {
    const keys = new CancelKeys(NODE);
    let called = 0;
    const key = keys.issue(0, async () => void called++);
    keys.revoke(key);
    expect(await keys.use(key)).toBe(false);
    expect(called).toBe(0);
  });

  it.each([
    [0, 4],
    [1, 4],
    [2, 32],
  ])('issues keys as the server does for protocol 3.%i: %i bytes, none twice', (minor, length) => {
    const keys = new CancelKeys(NODE);
    const issued = Array.from({ length: 2000 }, () => keys.issue(minor, async () => {}));
    expect(new Set(issued.map(({ processId }) => processId)).size).toBe(2000);
    for (const { processId, secretKey } of issued) {
      expect(processId).toBeGreaterThan(0);
      expect(processId).toBeLessThan(2 ** 31);
      expect(secretKey).toHaveLength(length);
    }
    expect(new Set(issued.map(({ secretKey }) => secretKey.toString('hex'))).size).toBeGreaterThan(1990);
  });

  it.each(['east', 'west', 'node-1', 'x'.repeat(63)])('a key names its node: %s', (name) => {
    const node = nodeNumber(name);
    const keys = new CancelKeys(node);
    for (let i = 0; i < 100; i++) expect(nodeNumberOf(keys.issue(0, async () => {}))).toBe(node);
  });

  it('the highest and the lowest number make process ids too', () => {
    for (const node of [0, 4095]) {
      const { processId } = new CancelKeys(node).issue(0, async () => {});
      expect(processId).toBeGreaterThan(0);
      expect(processId).toBeLessThan(2 ** 31);
      expect(nodeNumberOf({ processId })).toBe(node);
    }
  });
});
