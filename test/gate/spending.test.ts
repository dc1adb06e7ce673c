// What nodes say to each other of what they have sent: counted once, whatever is lost, repeated or made up on the way.
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { AgentAccounts } from '../../src/gate/budget.ts';
import type { Bus } from '../../src/gate/cancel-relay.ts';
import { Spending } from '../../src/gate/spending.ts';

const NO_LIMIT = { rows: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY };

/** Texts reach all listeners at once, unless they are lost. */
function wires() {
  const listeners: ((text: string) => void)[] = [];
  const texts: string[] = [];
  let lost = false;
  const bus: Bus = {
    listen: async (_, listener) => void listeners.push(listener),
    listeners: async () => listeners.length,
    send: async (_, text) => {
      texts.push(text);
      if (!lost) for (const listener of listeners) listener(text);
    },
  };
  return {
    bus,
    texts,
    say: (text: string) => {
      for (const listener of listeners) listener(text);
    },
    lose: (now: boolean) => {
      lost = now;
    },
  };
}

async function node(bus: Bus) {
  const accounts = new AgentAccounts(
    { statement: NO_LIMIT, session: NO_LIMIT, agent: NO_LIMIT, windowMs: 60_000 },
    systemClock,
  );
  const problems: unknown[] = [];
  const spending = new Spending({ accounts, bus, onProblem: (problem) => problems.push(problem) });
  await spending.listen();
  spending.close(); // told by hand
  return { accounts, spending, problems };
}

describe('two nodes', () => {
  test('each has what both have sent, however often it is said', async () => {
    const { bus, texts, say } = wires();
    const [east, west] = [await node(bus), await node(bus)];
    east.accounts.of('bot').spend(3, 30);
    west.accounts.of('bot').spend(4, 40);
    for (let i = 0; i < 3; i++) for (const { spending } of [east, west]) await spending.tell();
    for (const text of texts) say(text);
    for (const { accounts } of [east, west]) {
      expect([accounts.of('bot').rows, accounts.of('bot').bytes]).toEqual([7, 70]);
    }
    // A greeting and an answer each, and one text each: nothing has changed since.
    expect(texts).toHaveLength(6);
  });

  test('what was lost is made up for by the next', async () => {
    const { bus, lose } = wires();
    const [east, west] = [await node(bus), await node(bus)];
    east.accounts.of('bot').spend(3, 30);
    lose(true);
    await east.spending.tell();
    lose(false);
    expect(west.accounts.of('bot').rows).toBe(0);
    east.accounts.of('bot').spend(1, 10);
    await east.spending.tell();
    expect(west.accounts.of('bot').rows).toBe(4);
  });

  test('one that comes later does not count what was sent before it came', async () => {
    const { bus } = wires();
    const east = await node(bus);
    east.accounts.of('bot').spend(1000, 1000);
    await east.spending.tell();
    const west = await node(bus);
    expect(west.accounts.totals()).toEqual([]);
    east.accounts.of('bot').spend(5, 5);
    east.accounts.of('another').spend(7, 7);
    await east.spending.tell();
    expect(west.accounts.of('bot').rows).toBe(5);
    expect(west.accounts.of('another').rows).toBe(7);
  });
});

describe('what anybody may write to the bus', () => {
  test.each([
    'no JSON',
    '{}',
    '[]',
    `["${'a'.repeat(32)}", "sent", {}]`,
    `["${'a'.repeat(32)}", "sent", [["bot", -1, 0]]]`,
    `["${'a'.repeat(32)}", "sent", [["bot", 1e99, 0]]]`,
    `["${'a'.repeat(32)}", "sent", [["bot", "1", 0]]]`,
    `["${'a'.repeat(31)}", "sent", [["bot", 1, 1]]]`,
    `["${'a'.repeat(32)}", "sent", [["${'b'.repeat(300)}", 1, 1]]]`,
  ])('is told to the operator, and changes nothing: %s', async (text) => {
    const { bus, say } = wires();
    const { accounts, problems } = await node(bus);
    say(text);
    expect(problems).toHaveLength(1);
    expect(accounts.totals()).toEqual([]);
  });

  test('cannot give back what was spent', async () => {
    const { bus, say } = wires();
    const { accounts } = await node(bus);
    const other = 'a'.repeat(32);
    say(JSON.stringify([other, 'so far', []]));
    say(JSON.stringify([other, 'sent', [['bot', 10, 10]]]));
    say(JSON.stringify([other, 'sent', [['bot', 2, 2]]]));
    say(JSON.stringify([other, 'so far', [['bot', 2, 2]]]));
    expect(accounts.of('bot').rows).toBe(10);
  });
});
