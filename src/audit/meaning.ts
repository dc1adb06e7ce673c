// What the records must mean together, as a fold over them in order: nothing ran without a record before it, nothing
// held ran without enough people saying yes or was another statement than they saw, nothing ran twice on one approval.
// Memory grows with what is open, not with the log, but for a few hundred bytes per hold.
import { isObject, type Json, type JsonObject } from './canonical.ts';
import { opened } from './commitment.ts';

interface Session {
  readonly identity: string;
  /** Intents without a final outcome: seq → what was to become of it. */
  readonly intents: Map<number, string>;
}

interface HeldStatement {
  /** How many people its rule asks for; 1 where `hold.requested` is not in this log or does not say. */
  needed: number;
  consumed: boolean;
  /** The forwarded intent that used it. */
  usedBy: number | null;
  readonly versions: Set<number>;
  /** What was asked about, by the first record that names the hold. */
  asked: Asked | null;
}

/** What every record of a hold, and the intent that comes of it, must agree on. */
interface Asked {
  readonly session: string;
  readonly identity: string;
  readonly rule: string;
  /** null where it was not kept. */
  readonly statement: string | null;
}

export interface Counts {
  records: number;
  sessions: number;
  statements: number;
  refused: number;
  held: number;
  /** Forwarded, and the log ends, the session closes or the process was restarted without saying what came of it. */
  indeterminate: number;
}

export class Meaning {
  readonly counts: Counts = { records: 0, sessions: 0, statements: 0, refused: 0, held: 0, indeterminate: 0 };
  readonly #sessions = new Map<string, Session>();
  readonly #holds = new Map<string, HeldStatement>();
  #running = false;

  /** Everything that is wrong with this record, given those before it. Its fields fit its type (shape.ts). */
  take(leaf: JsonObject, opening: JsonObject | null): readonly string[] {
    const problems: string[] = [];
    const type = String(leaf['type']);
    this.counts.records++;
    if (type === 'started') this.#restart();
    else if (!this.#running && type !== 'recovered') problems.push('it is not preceded by `started`');
    if (type === 'stopped') this.#running = false;
    else if (type === 'session.open') this.#open(leaf, problems);
    else if (type === 'session.close') this.#close(leaf, problems);
    else if (type === 'statement.intent') this.#intent(leaf, problems);
    else if (type === 'statement.outcome') this.#outcome(leaf, problems);
    else if (type.startsWith('hold.')) this.#hold(type, leaf, problems);
    if (typeof leaf['hold'] === 'string') this.#asAsked(leaf['hold'], leaf, opening, problems);
    return problems;
  }

  /** At the end of the log: what is still open is indeterminate. */
  end(): Counts {
    for (const session of this.#sessions.values()) this.#countOpen(session);
    return this.counts;
  }

  #restart(): void {
    this.#running = true;
    for (const session of this.#sessions.values()) this.#countOpen(session);
    this.#sessions.clear();
  }

  #countOpen(session: Session): void {
    for (const fate of session.intents.values()) if (fate === 'forward') this.counts.indeterminate++;
  }

  #open(leaf: JsonObject, problems: string[]): void {
    const id = String(leaf['session']);
    if (this.#sessions.has(id)) problems.push(`session ${id} was open already`);
    this.#sessions.set(id, { identity: identityOf(leaf), intents: new Map() });
    this.counts.sessions++;
  }

  #close(leaf: JsonObject, problems: string[]): void {
    const session = this.#sessionOf(leaf, problems);
    if (session !== null) this.#countOpen(session);
    this.#sessions.delete(String(leaf['session']));
  }

  #sessionOf(leaf: JsonObject, problems: string[]): Session | null {
    const id = String(leaf['session']);
    const session = this.#sessions.get(id);
    if (session === undefined) {
      problems.push(`session ${id} is not open`);
      return null;
    }
    if (session.identity !== identityOf(leaf)) {
      problems.push(`session ${id} was opened under another identity`);
    }
    return session;
  }

  #intent(leaf: JsonObject, problems: string[]): void {
    const session = this.#sessionOf(leaf, problems);
    const fate = String(leaf['fate']);
    session?.intents.set(Number(leaf['seq']), fate);
    this.counts.statements++;
    if (leaf['hold'] !== null) this.counts.held++;
    if (fate === 'refuse') {
      this.counts.refused++;
      return;
    }
    if (leaf['refusal'] !== null) problems.push('it was forwarded, and carries the reason of a refusal');
    if (leaf['verdict'] === 'deny') problems.push('it was denied, and was forwarded');
    if (leaf['verdict'] === 'hold' && leaf['hold'] === null) {
      problems.push('it was to be held, and was forwarded without a hold');
    }
    if (leaf['hold'] !== null) this.#ran(String(leaf['hold']), leaf, problems);
  }

  /** Nothing may come between what was asked, what was decided and what ran. */
  #asAsked(id: string, leaf: JsonObject, opening: JsonObject | null, problems: string[]): void {
    const hold = this.#holdOf(id);
    const statement = opened(opening, 'statement_sha256');
    const now: Asked = {
      session: String(leaf['session']),
      identity: identityOf(leaf),
      rule: String(leaf['rule']),
      statement: typeof statement === 'string' ? statement : null,
    };
    const { asked } = hold;
    hold.asked = asked === null ? now : { ...asked, statement: asked.statement ?? now.statement };
    if (leaf['statement_sha256_commitment'] === null) {
      problems.push(`it names hold ${id}, and not the statement that was asked about`);
    }
    if (asked === null) return;
    for (const part of ['session', 'identity', 'rule', 'statement'] as const) {
      if (now[part] === asked[part]) continue;
      if (now[part] === null || asked[part] === null) continue;
      problems.push(`its ${part} is not that of hold ${id}`);
    }
  }

  #ran(id: string, leaf: JsonObject, problems: string[]): void {
    const hold = this.#holdOf(id);
    if (!hold.consumed) problems.push(`it ran on hold ${id}, which was not consumed before`);
    if (hold.usedBy !== null) problems.push(`hold ${id} was used already, by record ${hold.usedBy}`);
    hold.usedBy = Number(leaf['seq']);
    const votes = (leaf['votes'] as readonly Json[]).filter(isObject);
    const approvers = new Set(
      votes.filter((v) => v['decision'] === 'approve').map((v) => String(v['voter'])),
    );
    for (const vote of votes) {
      if (vote['decision'] !== 'approve')
        problems.push(`${String(vote['voter'])} denied hold ${id}, and it ran`);
      const own = ownVote(vote, leaf);
      if (own !== null) {
        problems.push(own);
        approvers.delete(String(vote['voter']));
      }
    }
    if (approvers.size < hold.needed) {
      problems.push(`it ran with ${approvers.size} of ${hold.needed} approvals that hold ${id} needs`);
    }
  }

  #outcome(leaf: JsonObject, problems: string[]): void {
    const session = this.#sessionOf(leaf, problems);
    if (session === null) return;
    const intent = Number(leaf['intent']);
    const result = String(leaf['result']);
    const fate = session.intents.get(intent);
    if (fate === undefined) {
      problems.push(`record ${intent} is no statement of its session that waits for an outcome`);
    } else if (fate === 'refuse' && result !== 'failed' && result !== 'skipped') {
      problems.push(`record ${intent} was refused, and has the outcome ${result}`);
    }
    // A suspended portal goes on: its statement has another outcome to come.
    if (result !== 'suspended') session.intents.delete(intent);
  }

  #hold(type: string, leaf: JsonObject, problems: string[]): void {
    const id = String(leaf['hold']);
    const hold = this.#holdOf(id);
    const version = Number(leaf['version']);
    if (hold.versions.has(version)) problems.push(`version ${version} of hold ${id} was recorded already`);
    hold.versions.add(version);
    const approvals = leaf['approvals'];
    if (isObject(approvals)) {
      hold.needed = Math.max(1, Number(approvals['count'] ?? 1));
    }
    if (type === 'hold.consumed') {
      if (hold.consumed) problems.push(`hold ${id} was consumed already`);
      hold.consumed = true;
    }
    const vote = leaf['vote'];
    const own = isObject(vote) ? ownVote(vote, leaf) : null;
    if (own !== null) problems.push(own);
  }

  #holdOf(id: string): HeldStatement {
    const known = this.#holds.get(id);
    if (known !== undefined) return known;
    const hold: HeldStatement = {
      needed: 1,
      consumed: false,
      usedBy: null,
      versions: new Set(),
      asked: null,
    };
    this.#holds.set(id, hold);
    return hold;
  }
}

/** Who a session belongs to. Its role may change on the way; these may not. */
function identityOf(leaf: JsonObject): string {
  const who = leaf['who'] as JsonObject;
  return JSON.stringify([who['agent'], who['owner'], who['on_behalf_of'], who['authenticated_by']]);
}

/** Nobody decides their own. */
function ownVote(vote: JsonObject, leaf: JsonObject): string | null {
  const who = leaf['who'] as JsonObject;
  const chain = Array.isArray(who['on_behalf_of']) ? (who['on_behalf_of'] as readonly Json[]) : [];
  const voter = vote['voter'] ?? null;
  return [who['agent'], who['owner'], ...chain].includes(voter)
    ? `${String(voter)} voted on a statement of their own`
    : null;
}
