// Budgets as numbers: what counts where, what is forgotten when, and what a person's yes gives.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Account, AgentAccounts, Budget, nothingSpent } from '../../src/gate/budget.ts';

const WINDOW_MS = 60_000;
const NO_LIMIT = { rows: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY };

function budgets(limits: Partial<AgentAccounts['limits']> = {}) {
  let nowMs = 0;
  const accounts = new AgentAccounts(
    { statement: NO_LIMIT, session: NO_LIMIT, agent: NO_LIMIT, windowMs: WINDOW_MS, ...limits },
    { nowMs: () => nowMs, monoUs: () => nowMs * 1000 },
  );
  return {
    of: (agent: string) => new Budget(accounts, agent),
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}

describe('an account', () => {
  test('has what was spent within the window, give or take a step', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ afterMs: fc.integer({ min: 0, max: 10_000 }), rows: fc.integer({ min: 1, max: 9 }) }),
        ),
        (steps) => {
          const account = new Account(WINDOW_MS);
          const spent: { atMs: number; rows: number }[] = [];
          let nowMs = 0;
          for (const { afterMs, rows } of steps) {
            nowMs += afterMs;
            account.moveOn(nowMs);
            account.spend(rows, rows * 10);
            spent.push({ atMs: nowMs, rows });
            const since = (ms: number): number =>
              spent.filter(({ atMs }) => atMs > nowMs - ms).reduce((sum, one) => sum + one.rows, 0);
            // Never forgotten too early, and no later than by a step.
            expect(account.rows).toBeGreaterThanOrEqual(since(WINDOW_MS));
            expect(account.rows).toBeLessThanOrEqual(since(WINDOW_MS + WINDOW_MS / 60 + 1));
            expect(account.bytes).toBe(account.rows * 10);
          }
        },
      ),
    );
  });

  test('forgets nothing of a window, however often it is looked at', () => {
    const account = new Account(WINDOW_MS);
    account.spend(1, 1);
    for (let ms = 0; ms < WINDOW_MS; ms += 7) account.moveOn(ms);
    expect(account.rows).toBe(1);
    for (let ms = WINDOW_MS; ms <= 2 * WINDOW_MS; ms += 7) account.moveOn(ms);
    expect(account.isEmpty).toBe(true);
  });
});

describe('a row', () => {
  test.each([
    ['statement', 'rows', { statement: { rows: 2, bytes: 1000 } }],
    ['statement', 'bytes', { statement: { rows: 1000, bytes: 29 } }],
    ['session', 'rows', { session: { rows: 2, bytes: 1000 } }],
    ['session', 'bytes', { session: { rows: 1000, bytes: 29 } }],
    ['agent', 'rows', { agent: { rows: 2, bytes: 1000 } }],
    ['agent', 'bytes', { agent: { rows: 1000, bytes: 29 } }],
  ] as const)('that would pass the %s’s %s is not counted anywhere', (of, unit, limits) => {
    const budget = budgets(limits).of('bot');
    const spent = nothingSpent();
    const most = budget.of({ statementRows: null, statementBytes: null })!;
    expect(budget.spend([spent], most, 10)).toBeNull();
    expect(budget.spend([spent], most, 10)).toBeNull();
    const [limit] = Object.values(limits);
    for (let i = 0; i < 3; i++) {
      expect(budget.spend([spent], most, 10)).toEqual({ of, unit, limit: limit![unit] });
    }
    expect(spent).toMatchObject({ rows: 2, bytes: 20, free: false });
  });

  test('counts for all sessions of its agent, and for no other agent', () => {
    const node = budgets({ agent: { rows: 3, bytes: 1000 } });
    const most = NO_LIMIT;
    for (let i = 0; i < 3; i++) expect(node.of('bot').spend([nothingSpent()], most, 1)).toBeNull();
    expect(node.of('bot').spend([nothingSpent()], most, 1)).toMatchObject({ of: 'agent' });
    expect(node.of('another').spend([nothingSpent()], most, 1)).toBeNull();
  });

  test('is free again when the window has passed, also within one long statement', () => {
    const node = budgets({ session: { rows: 1, bytes: 1000 } });
    const budget = node.of('bot');
    budget.moveOn();
    const spent = nothingSpent();
    expect(budget.spend([spent], NO_LIMIT, 1)).toBeNull();
    expect(budget.spend([spent], NO_LIMIT, 1)).toMatchObject({ of: 'session' });
    node.pass(2 * WINDOW_MS);
    budget.moveOn();
    expect(budget.spend([spent], NO_LIMIT, 1)).toBeNull();
  });
});

describe('a yes', () => {
  test('to a statement frees it, and nothing else', () => {
    const budget = budgets({ session: { rows: 3, bytes: 1000 } }).of('bot');
    const spent = nothingSpent();
    const most = { rows: 1, bytes: 1000 };
    budget.spend([spent], most, 1);
    const exceeded = budget.spend([spent], most, 1)!;
    budget.forgive(exceeded, [spent]);
    expect(budget.spend([spent], most, 1)).toBeNull();
    const others = [nothingSpent(), nothingSpent(), nothingSpent()];
    // What was sent with leave is not counted: two of the session's three are still there.
    expect(others.map((other) => budget.spend([other], most, 1)?.of ?? null)).toEqual([
      null,
      null,
      'session',
    ]);
  });

  test('to a session gives as much again, once', () => {
    const budget = budgets({ session: { rows: 1, bytes: 1000 } }).of('bot');
    budget.spend([nothingSpent()], NO_LIMIT, 1);
    budget.forgive(budget.spend([nothingSpent()], NO_LIMIT, 1)!, []);
    expect(budget.spend([nothingSpent()], NO_LIMIT, 1)).toBeNull();
    expect(budget.spend([nothingSpent()], NO_LIMIT, 1)).toMatchObject({ of: 'session' });
  });
});

test('a rule may leave less, or more, than the configuration; rules that enforce nothing stop nothing', () => {
  const budget = budgets({ statement: { rows: 10, bytes: 100 } }).of('bot');
  expect(budget.of({ statementRows: 3, statementBytes: null })).toEqual({ rows: 3, bytes: 100 });
  expect(budget.of({ statementRows: null, statementBytes: 1000 })).toEqual({ rows: 10, bytes: 1000 });
  expect(budget.of(null)).toBeNull();
});
