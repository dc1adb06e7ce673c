// Rows and bytes that may still flow before a person is asked: of a statement, of a session, of an agent. Estimates lie,
// so what counts is what the server sends, at the header of each row and before its first byte has gone out.
import type { Clock } from '../base/clock.ts';
import type { RuleBudgets } from '../rules/verdict.ts';

/** Rows, and bytes with the messages' headers; Infinity where there is no such limit. */
export interface Amount {
  readonly rows: number;
  readonly bytes: number;
}

export interface BudgetLimits {
  readonly statement: Amount;
  /** Within `windowMs`. */
  readonly session: Amount;
  /** Within `windowMs`, over all sessions of the agent. */
  readonly agent: Amount;
  readonly windowMs: number;
}

/** What a statement has sent. A portal that is driven in pieces, by Execute or by FETCH, keeps one for its life. */
export interface Spent {
  rows: number;
  bytes: number;
  /** What it may send unasked, as it was when it began; null: all that there is. */
  most: Amount | null;
  /** A person has said that it may send the rest. */
  free: boolean;
}

export const nothingSpent = (): Spent => ({ rows: 0, bytes: 0, most: null, free: false });

/** A budget that the next row would pass. */
export interface Exceeded {
  readonly of: 'statement' | 'session' | 'agent';
  readonly unit: 'rows' | 'bytes';
  readonly limit: number;
}

/** In how many steps a window moves on. */
const STEPS = 60;

/** A step of the window, with the totals at its beginning. */
interface Step extends Amount {
  readonly fromMs: number;
  /** When something may last have been spent in it. */
  toMs: number;
}

/** What has been sent within the window: the difference of two running totals, so that a row costs two additions. */
export class Account {
  readonly #stepMs: number;
  readonly #windowMs: number;
  #rows = 0;
  #bytes = 0;
  /** Those that are still within the window, the oldest first. */
  #steps: Step[] = [];
  #before: Amount = { rows: 0, bytes: 0 };
  #elsewhere: Amount = { rows: 0, bytes: 0 };

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
    this.#stepMs = windowMs / STEPS;
  }

  get rows(): number {
    return this.#rows - this.#before.rows;
  }

  get bytes(): number {
    return this.#bytes - this.#before.bytes;
  }

  /** Forgets what was sent before the window. To be called before something is spent; `nowMs` never goes back. */
  moveOn(nowMs: number): void {
    const newest = this.#steps.at(-1);
    if (newest !== undefined && nowMs - newest.fromMs < this.#stepMs) newest.toMs = nowMs;
    else this.#steps.push({ fromMs: nowMs, toMs: nowMs, rows: this.#rows, bytes: this.#bytes });
    // A step is forgotten whole: rather too late than too early.
    let gone = 0;
    while ((this.#steps[gone]?.toMs ?? nowMs) <= nowMs - this.#windowMs) gone++;
    if (gone === 0) return;
    this.#steps.splice(0, gone);
    this.#before = this.#steps[0] as Step;
  }

  spend(rows: number, bytes: number): void {
    this.#rows += rows;
    this.#bytes += bytes;
  }

  /** What another node has sent. */
  spendElsewhere(rows: number, bytes: number): void {
    this.#elsewhere = { rows: this.#elsewhere.rows + rows, bytes: this.#elsewhere.bytes + bytes };
    this.spend(rows, bytes);
  }

  /** All that has ever been sent here, within the window or not. */
  get ownTotal(): Amount {
    return { rows: this.#rows - this.#elsewhere.rows, bytes: this.#bytes - this.#elsewhere.bytes };
  }

  /** A person has allowed as much again. */
  forgive(): void {
    this.#before = { rows: this.#rows, bytes: this.#bytes };
    this.#steps = [];
  }

  /** Nothing of it is left in the window. */
  get isEmpty(): boolean {
    return this.rows === 0 && this.bytes === 0;
  }
}

/** The accounts of a node's agents. */
export class AgentAccounts {
  readonly limits: BudgetLimits;
  readonly #clock: Clock;
  readonly #accounts = new Map<string, Account>();

  constructor(limits: BudgetLimits, clock: Clock) {
    this.limits = limits;
    this.#clock = clock;
  }

  of(agent: string): Account {
    this.#sweep();
    let account = this.#accounts.get(agent);
    if (account === undefined) {
      account = new Account(this.limits.windowMs);
      this.#accounts.set(agent, account);
    }
    return account;
  }

  get nowMs(): number {
    return this.#clock.monoUs() / 1000;
  }

  /** Of every agent that has an account: all that has ever been sent here. */
  totals(): [agent: string, total: Amount][] {
    return [...this.#accounts].map(([agent, account]) => [agent, account.ownTotal]);
  }

  spendElsewhere(agent: string, rows: number, bytes: number): void {
    const account = this.of(agent);
    account.moveOn(this.nowMs);
    account.spendElsewhere(rows, bytes);
  }

  /** Agents come and go under names that a token gives them. */
  #sweep(): void {
    if (this.#accounts.size < 1000) return;
    for (const [agent, account] of this.#accounts) {
      account.moveOn(this.nowMs);
      if (account.isEmpty) this.#accounts.delete(agent);
    }
  }
}

/** One session's view of the budgets. */
export class Budget {
  readonly #accounts: AgentAccounts;
  readonly #session: Account;
  readonly #agentName: string;
  #agent: Account;

  constructor(accounts: AgentAccounts, agent: string) {
    this.#accounts = accounts;
    this.#session = new Account(accounts.limits.windowMs);
    this.#agentName = agent;
    this.#agent = accounts.of(agent);
  }

  /** What a statement under these rules may send; null where nothing is enforced. */
  of(budgets: RuleBudgets | null): Amount | null {
    if (budgets === null) return null;
    const { statement } = this.#accounts.limits;
    return {
      rows: budgets.statementRows ?? statement.rows,
      bytes: budgets.statementBytes ?? statement.bytes,
    };
  }

  /** To be called before rows are counted. */
  moveOn(): void {
    const { nowMs } = this.#accounts;
    this.#session.moveOn(nowMs);
    this.#agent = this.#accounts.of(this.#agentName);
    this.#agent.moveOn(nowMs);
  }

  /** Counts a row of `bytes` for `spends`; or counts nothing, and says which budget it would pass. */
  spend(spends: readonly Spent[], most: Amount, bytes: number): Exceeded | null {
    // One cursor that may go on frees nothing that stands beside it.
    if (spends.length > 0 && spends.every(({ free }) => free)) return null;
    for (const spent of spends) {
      if (spent.free) continue;
      if (spent.rows + 1 > most.rows) return { of: 'statement', unit: 'rows', limit: most.rows };
      if (spent.bytes + bytes > most.bytes) return { of: 'statement', unit: 'bytes', limit: most.bytes };
    }
    const { session, agent } = this.#accounts.limits;
    const passed =
      passes('session', this.#session, session, bytes) ?? passes('agent', this.#agent, agent, bytes);
    if (passed !== null) return passed;
    for (const spent of spends) {
      spent.rows++;
      spent.bytes += bytes;
    }
    this.#session.spend(1, bytes);
    this.#agent.spend(1, bytes);
    return null;
  }

  /** A person has said yes: the statement sends the rest, and of a session's or an agent's budget there is as much again. */
  forgive({ of }: Exceeded, spends: readonly Spent[]): void {
    // The statement's own comes first; a cursor that it drives besides was not what was asked about.
    const [own] = spends;
    if (own !== undefined) own.free = true;
    if (of !== 'statement') this.#session.forgive();
    if (of === 'agent') this.#agent.forgive();
  }
}

function passes(of: 'session' | 'agent', account: Account, limit: Amount, bytes: number): Exceeded | null {
  if (account.rows + 1 > limit.rows) return { of, unit: 'rows', limit: limit.rows };
  return account.bytes + bytes > limit.bytes ? { of, unit: 'bytes', limit: limit.bytes } : null;
}
