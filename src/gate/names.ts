// The session's prepared statements and portals, as the server knows them. Pure.
// Answers come later than frames go out, so a name may for a while stand for one of several candidates: what was there
// before and what a Parse that is still on its way may put in its place. Whoever judges an Execute judges them all.

import type { Intent } from '../audit/intent.ts';
import type { Verdict } from '../rules/verdict.ts';
import type { Facts, Unknown } from '../sql/facts.ts';
import type { Bind } from '../wire/frontend.ts';
import { nameKey } from '../wire/frontend.ts';
import { nothingSpent, type Spent } from './budget.ts';
import { type ClaimChange, claimChanges } from './claims.ts';

export interface Prepared {
  /** SQL text as it was sent, for the record and the approver. */
  readonly sql: string;
  readonly statements: readonly (Facts | Unknown)[];
  readonly parameterTypes: readonly number[];
  /** It names no other statement or cursor, makes none and claims nothing: what runs is what stands in it, and changes nothing here. */
  readonly selfContained: boolean;
  /** The newest intent to run it, which recording.ts keeps here to use it again. */
  intended: { readonly intent: Intent; readonly verdict: Verdict } | null;
}

export function preparedOf(
  sql: string,
  statements: readonly (Facts | Unknown)[],
  parameterTypes: readonly number[],
): Prepared {
  const known = statements.filter((statement) => statement.known);
  return {
    sql,
    statements,
    parameterTypes,
    selfContained: known.every((one) => one.names.length === 0 && claimChanges(one).length === 0),
    intended: null,
  };
}

export interface Portal {
  readonly name: string;
  readonly statementName: string;
  /** Every statement that it may have been bound to; the one, once the server has bound it. */
  prepared: readonly Prepared[];
  readonly formats: Bind['formats'];
  readonly values: Bind['values'];
  /** It outlives its transaction (DECLARE … WITH HOLD). */
  readonly hold: boolean;
  /** However many pieces it is driven in. */
  readonly spent: Spent;
  /** The server said PortalSuspended: what it runs was judged when it started. */
  suspended: boolean;
}

/** A Parse or a Bind, or a statement (PREPARE, DECLARE). */
type MadeBy = 'message' | 'SQL';

/** Counts the Syncs that the client has sent. */
interface Segment {
  number: number;
}

interface Candidate<Value> {
  readonly value: Value;
  /** The segment in which a message made it; null where SQL makes it, whose failure may skip nothing. */
  readonly segment: number | null;
  readonly bytes: number;
  sure: boolean;
}

/**
 * More than a client that means well leaves unanswered under one name. Each Bind has all candidates of its statement and
 * each Execute all of its portal, so a name with a thousand would make a million statements of one Execute.
 */
const CANDIDATES_MAX = 16;

class Candidates<Value> {
  readonly #byName = new Map<string, Candidate<Value>[]>();
  readonly #segment: Segment;
  readonly #weigh: (value: Value) => number;
  #bytes = 0;

  constructor(segment: Segment, weigh: (value: Value) => number) {
    this.#segment = segment;
    this.#weigh = weigh;
  }

  get size(): number {
    return this.#byName.size;
  }

  /** What is kept under all names, roughly. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What would be kept with `value` in place of what surely has this name. What is on its way counts until it is answered. */
  bytesWith(name: string, value: Value): number {
    const replaced = this.#byName.get(name)?.find((candidate) => candidate.sure);
    return this.#bytes - (replaced?.bytes ?? 0) + this.#weigh(value);
  }

  /** How many names there would be with this one. The unnamed is none: every session may have one of each kind. */
  sizeWith(name: string): number {
    if (name === '') return 0;
    return this.#byName.size - (this.#byName.has('') ? 1 : 0) + (this.#byName.has(name) ? 0 : 1);
  }

  /**
   * All that this name may stand for in a message sent now. What a message made since the last Sync is alone: had that
   * failed, the server would ignore this one too. Nothing where there are too many to tell.
   */
  get(name: string): readonly Value[] {
    const candidates = this.#byName.get(name) ?? [];
    const newest = candidates.at(-1);
    if (newest?.segment === this.#segment.number) return [newest.value];
    return candidates.length > CANDIDATES_MAX ? [] : candidates.map((candidate) => candidate.value);
  }

  /** What the server has under this name; undefined when nothing is certain. */
  certain(name: string): Value | undefined {
    return this.#byName.get(name)?.find((candidate) => candidate.sure)?.value;
  }

  /** It is on its way to the server. */
  expect(name: string, value: Value, by: MadeBy): void {
    const segment = by === 'message' ? this.#segment.number : null;
    const candidate = { value, segment, bytes: this.#weigh(value), sure: false };
    this.#bytes += candidate.bytes;
    const others = this.#byName.get(name);
    if (others === undefined) this.#byName.set(name, [candidate]);
    else others.push(candidate);
  }

  /** The server has it: it took the place of whatever had this name before. */
  confirm(name: string, value: Value): void {
    const candidates = this.#byName.get(name);
    const at = candidates?.findIndex((candidate) => candidate.value === value) ?? -1;
    if (candidates === undefined || at < 0) return;
    for (const replaced of candidates.splice(0, at)) this.#bytes -= replaced.bytes;
    (candidates[0] as Candidate<Value>).sure = true;
  }

  /** The server never made it. */
  reject(name: string, value: Value): void {
    const candidates = this.#byName.get(name);
    // Answers come in order, so it is among the first, and the many behind it need not be looked at.
    const at = candidates?.findIndex((candidate) => candidate.value === value) ?? -1;
    if (candidates === undefined || at < 0) return;
    for (const rejected of candidates.splice(at, 1)) this.#bytes -= rejected.bytes;
    if (candidates.length === 0) this.#byName.delete(name);
  }

  /** The server has dropped what it had under this name; what is on its way stays. */
  drop(name: string): void {
    this.#keep(name, (candidate) => !candidate.sure);
  }

  dropAll(which: (value: Value) => boolean): void {
    if (this.#byName.size === 0) return;
    for (const name of this.#byName.keys()) {
      this.#keep(name, (candidate) => !candidate.sure || !which(candidate.value));
    }
  }

  #keep(name: string, keep: (candidate: Candidate<Value>) => boolean): void {
    const candidates = this.#byName.get(name);
    if (candidates === undefined) return;
    if (candidates.every(keep)) return;
    const kept = candidates.filter((candidate) => {
      const stays = keep(candidate);
      if (!stays) this.#bytes -= candidate.bytes;
      return stays;
    });
    if (kept.length === 0) this.#byName.delete(name);
    else this.#byName.set(name, kept);
  }
}

/** A change to the names that a statement makes when it succeeds. */
export type NameChange =
  | { readonly kind: 'statement'; readonly name: string; readonly prepared: Prepared }
  | { readonly kind: 'portal'; readonly name: string; readonly portal: Portal }
  | { readonly kind: 'drop statement'; readonly name: string | null }
  | { readonly kind: 'drop portal'; readonly name: string | null }
  /** Of no name; comes with the others because it comes true when they do. */
  | ClaimChange;

export class Names {
  readonly #segment: Segment = { number: 0 };
  readonly statements = new Candidates<Prepared>(this.#segment, bytesOfPrepared);
  readonly portals = new Candidates<Portal>(this.#segment, bytesOfPortal);

  /** The limit that would be passed by making this: `most` names of a kind, `mostBytes` kept for all of them; or null. */
  exceededBy(change: NameChange, most: number, mostBytes: number): 'preparedStatements' | 'prepared' | null {
    const { statements, portals } = this;
    if (change.kind === 'statement') {
      if (statements.sizeWith(change.name) > most) return 'preparedStatements';
      return statements.bytesWith(change.name, change.prepared) + portals.bytes > mostBytes
        ? 'prepared'
        : null;
    }
    if (change.kind === 'portal') {
      if (portals.sizeWith(change.name) > most) return 'preparedStatements';
      return portals.bytesWith(change.name, change.portal) + statements.bytes > mostBytes ? 'prepared' : null;
    }
    return null;
  }

  /** The client has sent a Sync: what fails before it does not keep the server from running what comes behind it. */
  synced(): void {
    this.#segment.number++;
  }

  expect(change: NameChange, by: MadeBy = 'SQL'): void {
    if (change.kind === 'statement') this.statements.expect(change.name, change.prepared, by);
    if (change.kind === 'portal') this.portals.expect(change.name, change.portal, by);
  }

  confirm(change: NameChange): void {
    switch (change.kind) {
      case 'statement':
        return this.statements.confirm(change.name, change.prepared);
      case 'portal':
        this.#settleBinding(change.portal);
        return this.portals.confirm(change.name, change.portal);
      case 'drop statement':
        return change.name === null ? this.statements.dropAll(() => true) : this.statements.drop(change.name);
      case 'drop portal':
        return change.name === null ? this.portals.dropAll(() => true) : this.portals.drop(change.name);
      case 'claim':
        return;
      default:
        return change satisfies never;
    }
  }

  reject(change: NameChange): void {
    if (change.kind === 'statement') this.statements.reject(change.name, change.prepared);
    if (change.kind === 'portal') this.portals.reject(change.name, change.portal);
  }

  /**
   * Answers come in order, so what the server has under the statement's name when it answers the Bind is what it has
   * bound. A cursor is not among these: its statement has no name.
   */
  #settleBinding(portal: Portal): void {
    const bound = this.statements.certain(portal.statementName);
    if (bound !== undefined && portal.prepared.includes(bound)) portal.prepared = [bound];
  }

  /** Portals end with their transaction, all but holdable cursors. */
  transactionEnded(): void {
    this.portals.dropAll((portal) => !portal.hold);
  }
}

/** Of a name, and what is kept with it, measured roughly: without text, facts and values. */
const NAME_BYTES = 512;
/** Of a relation, a function or a reason among a statement's facts; a text of a megabyte may name 100,000 of them. */
const FACT_BYTES = 64;

function bytesOfPrepared({ sql, statements }: Prepared): number {
  let facts = 0;
  for (const statement of statements) {
    if (statement.known)
      facts += statement.relations.length + statement.functions.length + statement.reasons.length;
  }
  return NAME_BYTES + sql.length + facts * FACT_BYTES;
}

/** With its statement, which stays for as long as the portal does, whatever becomes of its own name. */
function bytesOfPortal({ prepared, values }: Portal): number {
  let bytes = NAME_BYTES;
  for (const value of values) bytes += value === null ? 0 : value.length;
  for (const bound of prepared) bytes += bytesOfPrepared(bound);
  return bytes;
}

/** What a statement does to the names when the server completes it. */
export function nameChanges(statement: Facts | Unknown): NameChange[] {
  if (!statement.known) return [];
  const changes: NameChange[] = claimChanges(statement);
  for (const use of statement.names) {
    switch (use.kind) {
      case 'prepare':
        changes.push({ kind: 'statement', name: nameKey(use.name), prepared: fromSql(use.body) });
        break;
      case 'declare':
        changes.push({
          kind: 'portal',
          name: nameKey(use.name),
          portal: cursorOf(use.name, use.body, use.hold),
        });
        break;
      case 'deallocate':
        changes.push({ kind: 'drop statement', name: use.name === null ? null : nameKey(use.name) });
        break;
      case 'close':
        changes.push({ kind: 'drop portal', name: use.name === null ? null : nameKey(use.name) });
        break;
      case 'execute':
      case 'fetch':
        break;
      default:
        use satisfies never;
    }
  }
  return changes;
}

const fromSql = (body: Facts): Prepared => preparedOf(body.text, [body], []);

function cursorOf(name: string, body: Facts, hold: boolean): Portal {
  return {
    name: nameKey(name),
    statementName: '',
    prepared: [fromSql(body)],
    formats: [],
    values: [],
    hold,
    spent: nothingSpent(),
    suspended: false,
  };
}

/** The budgets of the cursors that `statement` drives. */
export function spentByCursors(statement: Facts | Unknown, names: Names): Spent[] {
  return cursorsIn(statement).flatMap((name) => names.portals.get(nameKey(name)).map(({ spent }) => spent));
}

/** It drives a cursor and nothing else. */
export const isFetch = (statement: Facts | Unknown): boolean => cursorsIn(statement).length > 0;

const cursorsIn = (statement: Facts | Unknown): string[] =>
  statement.known ? statement.names.flatMap((use) => (use.kind === 'fetch' ? [use.name] : [])) : [];

/**
 * Everything that `statement` would run: itself, what an EXECUTE in it names and what a FETCH in it drives, whatever of
 * them there may be, and what those name in turn (a Parse may hold an EXECUTE). A name that is not known here is
 * Unknown, and unknown holds.
 */
export function whatRuns(statement: Facts | Unknown, names: Names): (Facts | Unknown)[] {
  const runs: (Facts | Unknown)[] = [statement];
  const seen = new Set<string>();
  // It grows while it is walked.
  for (const running of runs) {
    if (!running.known) continue;
    for (const use of running.names) {
      if (use.kind !== 'execute' && use.kind !== 'fetch') continue;
      const key = nameKey(use.name);
      if (seen.has(`${use.kind} ${key}`)) continue;
      seen.add(`${use.kind} ${key}`);
      const found =
        use.kind === 'execute' ? names.statements.get(key) : names.portals.get(key).flatMap(boundTo);
      const what = use.kind === 'execute' ? 'prepared statement' : 'cursor';
      if (found.length === 0) runs.push(unknownName(running.text, `${what} "${use.name}"`));
      for (const prepared of found) runs.push(...prepared.statements);
    }
  }
  return runs;
}

/** What a portal may run; of a statement that was not made here, Unknown, also where another candidate is known. */
export function boundTo(portal: Portal): readonly Prepared[] {
  if (portal.prepared.length > 0) return portal.prepared;
  const unknown = unknownName('', `prepared statement "${portal.statementName}"`);
  return [preparedOf('', [unknown], [])];
}

export function unknownName(text: string, what: string): Unknown {
  return {
    known: false,
    text,
    reason: 'name',
    detail: `${what} was not made through this connection, so what it would run is not known`,
  };
}
