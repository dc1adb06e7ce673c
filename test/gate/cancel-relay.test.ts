// CancelRequests between nodes on a bus that the test can read, break and write to.
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type CancelKey, CancelKeys } from '../../src/gate/cancel.ts';
import { type Bus, CancelRelay } from '../../src/gate/cancel-relay.ts';
import type { Ignored } from '../../src/gate/tally.ts';

class TestBus implements Bus {
  readonly sent: { readonly address: string; readonly text: string }[] = [];
  /** What does not arrive. */
  loses: (text: string) => boolean = () => false;
  down = false;
  readonly #listeners = new Map<string, ((text: string) => void)[]>();

  async listen(address: string, listener: (text: string) => void): Promise<void> {
    this.#listeners.set(address, [...(this.#listeners.get(address) ?? []), listener]);
  }

  async listeners(address: string): Promise<number> {
    if (this.down) throw new Error('down');
    return this.#listeners.get(address)?.length ?? 0;
  }

  async send(address: string, text: string): Promise<void> {
    if (this.down) throw new Error('down');
    this.sent.push({ address, text });
    if (this.loses(text)) return;
    for (const listener of this.#listeners.get(address) ?? []) queueMicrotask(() => listener(text));
  }
}

interface TestNode {
  readonly keys: CancelKeys;
  readonly relay: CancelRelay;
  readonly counted: Ignored[];
  readonly cancelled: string[];
  issue(name: string): CancelKey;
}

async function nodeOn(bus: Bus, node: number): Promise<TestNode> {
  const keys = new CancelKeys(node);
  const counted: Ignored[] = [];
  const cancelled: string[] = [];
  const relay = new CancelRelay({ keys, node, bus, count: (what) => counted.push(what) });
  await relay.listen();
  const issue = (name: string): CancelKey => keys.issue(0, async () => void cancelled.push(name));
  return { keys, relay, counted, cancelled, issue };
}

const wrong = ({ processId, secretKey }: CancelKey): CancelKey => ({
  processId,
  secretKey: Buffer.from(secretKey.map((byte) => byte ^ 1)),
});

let bus: TestBus;
beforeEach(() => {
  bus = new TestBus();
});

test('a key reaches the session on the node that it names', async () => {
  const [east, west] = [await nodeOn(bus, 1), await nodeOn(bus, 2)];
  const key = east.issue('session');
  await west.relay.pass(key);
  expect(east.cancelled).toEqual(['session']);
  expect(west.counted).toEqual([]);
});

test('it is passed on when the cancel has been delivered, not before', async () => {
  const [east, west] = [await nodeOn(bus, 1), await nodeOn(bus, 2)];
  let deliver = (): void => {};
  const key = east.keys.issue(0, () => new Promise((resolve) => (deliver = resolve)));
  let passed = false;
  const passing = west.relay.pass(key).then(() => (passed = true));
  await vi.waitUntil(() => bus.sent.some(({ text }) => text.startsWith('try')));
  await new Promise(setImmediate);
  expect(passed).toBe(false);
  deliver();
  await passing;
});

test('a wrong key and a session that is gone do nothing, and are counted', async () => {
  const [east, west] = [await nodeOn(bus, 1), await nodeOn(bus, 2)];
  const key = east.issue('session');
  await west.relay.pass(wrong(key));
  east.keys.revoke(key);
  await west.relay.pass(key);
  expect(east.cancelled).toEqual([]);
  expect(west.counted).toEqual(Array(2).fill('cancel request with an unknown key'));
});

test('of a node that is not there, nothing is sent', async () => {
  const west = await nodeOn(bus, 2);
  await west.relay.pass(new CancelKeys(3).issue(0, async () => {}));
  expect(west.counted).toEqual(['cancel request with an unknown key']);
  expect(bus.sent).toEqual([]);
});

test('nodes with the same number: each tries it, the one that has it cancels', async () => {
  const [first, second, third] = [await nodeOn(bus, 1), await nodeOn(bus, 1), await nodeOn(bus, 2)];
  const key = second.issue('session');
  await third.relay.pass(key);
  // Also when it comes to the other of the two, which has looked already and hears its own question.
  await first.relay.pass(key);
  expect(second.cancelled).toEqual(['session', 'session']);
  for (const node of [first, third]) {
    await node.relay.pass(wrong(key));
    expect(node.counted).toEqual(['cancel request with an unknown key']);
  }
});

test('a node that is alone with its number asks nobody about it', async () => {
  const [east] = [await nodeOn(bus, 1), await nodeOn(bus, 2)];
  await east.relay.pass(wrong(east.issue('session')));
  expect(east.counted).toEqual(['cancel request with an unknown key']);
  expect(bus.sent).toEqual([]);
});

test('when the bus is down the client is let go at once, and it is counted', async () => {
  const [east, west] = [await nodeOn(bus, 1), await nodeOn(bus, 2)];
  bus.down = true;
  await west.relay.pass(east.issue('session'));
  expect(west.counted).toEqual(['cancel request that the other nodes could not be asked about']);
});

describe('when an answer gets lost', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test.each(['ask', 'lock', 'try', 'tried'])(
    '%s: the client is let go in the end, and it is counted',
    async (lost) => {
      const [east, west] = [await nodeOn(bus, 1), await nodeOn(bus, 2)];
      bus.loses = (text) => text.startsWith(`${lost} `);
      const passing = west.relay.pass(east.issue('session'));
      await vi.advanceTimersByTimeAsync(10_000);
      await passing;
      expect(west.counted).toEqual(['cancel request that its node did not confirm in time']);
    },
  );
});

describe('whoever reads the bus', () => {
  test('finds the key on it in no form', async () => {
    const [east, west] = [await nodeOn(bus, 1), await nodeOn(bus, 2)];
    const key = east.keys.issue(2, async () => {});
    await west.relay.pass(key);
    const all = bus.sent.map(({ text }) => text).join('\n');
    for (const encoding of ['hex', 'base64', 'latin1'] as const) {
      expect(all).not.toContain(key.secretKey.toString(encoding));
    }
  });

  test('and sends everything again, cancels nothing', async () => {
    const [east, west] = [await nodeOn(bus, 1), await nodeOn(bus, 2)];
    await west.relay.pass(east.issue('session'));
    const heard = [...bus.sent];
    for (const { address, text } of [...heard, ...heard]) await bus.send(address, text);
    await new Promise(setImmediate);
    expect(east.cancelled).toEqual(['session']);
  });
});

test('whatever is written to the bus, nodes cancel nothing and go on', async () => {
  const [east, west] = [await nodeOn(bus, 1), await nodeOn(bus, 2)];
  const key = east.issue('session');
  const hex = (length: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`));
  const texts = fc.oneof(
    fc.string(),
    fc.tuple(hex(32), hex(32)).map(([id, replyTo]) => `ask ${id} ${replyTo}`),
    fc.tuple(hex(32), hex(64)).map(([id, publicKey]) => `lock ${id} ${publicKey}`),
    fc.tuple(hex(64), hex(112)).map(([publicKey, box]) => `try ${publicKey} ${box}`),
    hex(32).map((id) => `tried ${id} yes`),
  );
  const addresses = () => ['node-1', 'node-2', ...new Set(bus.sent.map(({ address }) => address))];
  await fc.assert(
    fc.asyncProperty(texts, fc.nat(), async (text, at) => {
      const all = addresses();
      await bus.send(all[at % all.length] as string, text);
      await new Promise(setImmediate);
    }),
    { numRuns: 300 },
  );
  expect(east.cancelled).toEqual([]);
  await west.relay.pass(key);
  expect(east.cancelled).toEqual(['session']);
});
