// What agents are sent on the nodes that share a Redis, so that their budgets are one. Each node says now and then how much
// it has sent to whom in all; the others count what is more than it said before. A text that is lost is made up for by the
// next. Whoever may write to the bus can have rows counted that nobody sent, or not counted; they can approve holds too.
import { randomSecret } from '../base/ids.ts';
import type { AgentAccounts, Amount } from './budget.ts';
import type { Bus } from './cancel-relay.ts';

/** How far the nodes may be apart: what an agent is sent in this time by each of the others. */
const EVERY_MS = 500;
const ADDRESS = 'spending';
/** Agents in one text. */
const MOST = 500;
/** Nodes that are remembered; one that restarts has a new name here. */
const MOST_NODES = 1_000;

export interface SpendingOptions {
  readonly accounts: AgentAccounts;
  readonly bus: Bus;
  readonly onProblem: (error: unknown) => void;
}

export class Spending {
  readonly #options: SpendingOptions;
  /** Until the process ends. Not the node's name: a node that restarts begins at nothing. */
  readonly #self = randomSecret(16).toString('hex');
  /** What each node has said last, of each agent. */
  readonly #heard = new Map<string, Map<string, Amount>>();
  readonly #told = new Map<string, Amount>();
  #timer: NodeJS.Timeout | null = null;

  constructor(options: SpendingOptions) {
    this.#options = options;
  }

  async listen(): Promise<void> {
    await this.#options.bus.listen(ADDRESS, (text) => this.#hear(text));
    await this.#greet();
    this.#timer = setInterval(() => void this.tell(), EVERY_MS).unref();
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  /** Says what has changed. Never rejects: when Redis is down, each node counts for itself. */
  async tell(): Promise<void> {
    const { accounts } = this.#options;
    const changed = accounts
      .totals()
      .filter(([agent, total]) => this.#told.get(agent)?.bytes !== total.bytes);
    for (let at = 0; at < changed.length; at += MOST) await this.#say('sent', changed.slice(at, at + MOST));
  }

  /** Says from where to count what it will send. */
  async #greet(): Promise<void> {
    const totals = this.#options.accounts.totals();
    for (let at = 0; at === 0 || at < totals.length; at += MOST) {
      await this.#say('so far', totals.slice(at, at + MOST));
    }
  }

  async #say(what: Said['what'], totals: Said['totals']): Promise<void> {
    const plain = totals.map(([agent, { rows, bytes }]) => [agent, rows, bytes]);
    try {
      await this.#options.bus.send(ADDRESS, JSON.stringify([this.#self, what, plain]));
      for (const [agent, total] of totals) this.#told.set(agent, total);
    } catch {
      // The hold store has the same Redis, and tells of its outages.
    }
  }

  #hear(text: string): void {
    const said = readSaid(text);
    if (said === null) {
      this.#options.onProblem(new Error('a text on the bus about what was sent cannot be read'));
      return;
    }
    if (said.node === this.#self) return;
    const known = this.#heard.get(said.node);
    const heard = known ?? new Map<string, Amount>();
    if (known === undefined) this.#meet(said.node, heard);
    for (const [agent, total] of said.totals) {
      const before = heard.get(agent) ?? NOTHING;
      if (total.rows < before.rows || total.bytes < before.bytes) continue;
      heard.set(agent, total);
      // What it sent before we met may be days old, and nobody says how much of it is within the window.
      const old = before === NOTHING && (known === undefined || said.what === 'so far');
      if (!old)
        this.#options.accounts.spendElsewhere(agent, total.rows - before.rows, total.bytes - before.bytes);
    }
  }

  #meet(node: string, heard: Map<string, Amount>): void {
    this.#heard.set(node, heard);
    const [oldest] = this.#heard.keys();
    if (this.#heard.size > MOST_NODES && oldest !== undefined) this.#heard.delete(oldest);
    // Nor does it know from where to count what this one sends.
    void this.#greet();
  }
}

const NOTHING: Amount = { rows: 0, bytes: 0 };

interface Said {
  readonly node: string;
  readonly what: 'so far' | 'sent';
  readonly totals: readonly (readonly [agent: string, total: Amount])[];
}

/** `[node, what, [[agent, rows, bytes], …]]`; null for anything else. */
function readSaid(text: string): Said | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!Array.isArray(value)) return null;
  const [node, what, sent]: unknown[] = value;
  if (typeof node !== 'string' || node.length !== 32 || !Array.isArray(sent) || sent.length > MOST)
    return null;
  if (what !== 'so far' && what !== 'sent') return null;
  const totals: [string, Amount][] = [];
  for (const entry of sent as unknown[]) {
    if (!Array.isArray(entry)) return null;
    const [agent, rows, bytes]: unknown[] = entry;
    if (typeof agent !== 'string' || agent.length > 256 || !isCount(rows) || !isCount(bytes)) return null;
    totals.push([agent, { rows, bytes }]);
  }
  return { node, what, totals };
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
