// The session's prepared statements and portals, as the server knows them. Pure.
// Answers come later than frames go out, so a name may for a while stand for one of several candidates: what was there
// before and what a Parse that is still on its way may put in its place. Whoever judges an Execute judges them all.

import type { Facts, Unknown } from '../sql/facts.ts';
import type { Bind } from '../wire/frontend.ts';
import { nameKey } from '../wire/frontend.ts';

export interface Prepared {
  /** SQL text as it was sent, for the record and the approver. */
  readonly sql: string;
  readonly statements: readonly (Facts | Unknown)[];
  readonly parameterTypes: readonly number[];
}

export interface Portal {
  readonly name: string;
  readonly statementName: string;
  /** Every statement that it may have been bound to. */
  readonly prepared: readonly Prepared[];
  readonly formats: Bind['formats'];
  readonly values: Bind['values'];
  /** It outlives its transaction (DECLARE … WITH HOLD). */
  readonly hold: boolean;
  /** The server said PortalSuspended: what it runs was judged when it started. */
  suspended: boolean;
}

class Candidates<Value> {
  readonly #byName = new Map<string, { value: Value; sure: boolean }[]>();

  get size(): number {
    return this.#byName.size;
  }

  get(name: string): readonly Value[] {
    return this.#byName.get(name)?.map((candidate) => candidate.value) ?? [];
  }

  /** It is on its way to the server. */
  expect(name: string, value: Value): void {
    const candidate = { value, sure: false };
    const others = this.#byName.get(name);
    if (others === undefined) this.#byName.set(name, [candidate]);
    else others.push(candidate);
  }

  /** The server has it: it took the place of whatever had this name before. */
  confirm(name: string, value: Value): void {
    const candidates = this.#byName.get(name);
    const at = candidates?.findIndex((candidate) => candidate.value === value) ?? -1;
    if (candidates === undefined || at < 0) return;
    candidates.splice(0, at);
    (candidates[0] as { sure: boolean }).sure = true;
  }

  /** The server never made it. */
  reject(name: string, value: Value): void {
    this.#keep(name, (candidate) => candidate.value !== value);
  }

  /** The server has dropped what it had under this name; what is on its way stays. */
  drop(name: string): void {
    this.#keep(name, (candidate) => !candidate.sure);
  }

  dropAll(which: (value: Value) => boolean): void {
    for (const name of [...this.#byName.keys()]) {
      this.#keep(name, (candidate) => !candidate.sure || !which(candidate.value));
    }
  }

  #keep(name: string, keep: (candidate: { value: Value; sure: boolean }) => boolean): void {
    const candidates = this.#byName.get(name);
    if (candidates === undefined) return;
    const kept = candidates.filter(keep);
    if (kept.length === 0) this.#byName.delete(name);
    else this.#byName.set(name, kept);
  }
}

/** A change to the names that a statement makes when it succeeds. */
export type NameChange =
  | { readonly kind: 'statement'; readonly name: string; readonly prepared: Prepared }
  | { readonly kind: 'portal'; readonly name: string; readonly portal: Portal }
  | { readonly kind: 'drop statement'; readonly name: string | null }
  | { readonly kind: 'drop portal'; readonly name: string | null };

export class Names {
  readonly statements = new Candidates<Prepared>();
  readonly portals = new Candidates<Portal>();

  expect(change: NameChange): void {
    if (change.kind === 'statement') this.statements.expect(change.name, change.prepared);
    if (change.kind === 'portal') this.portals.expect(change.name, change.portal);
  }

  confirm(change: NameChange): void {
    switch (change.kind) {
      case 'statement':
        return this.statements.confirm(change.name, change.prepared);
      case 'portal':
        return this.portals.confirm(change.name, change.portal);
      case 'drop statement':
        return change.name === null ? this.statements.dropAll(() => true) : this.statements.drop(change.name);
      case 'drop portal':
        return change.name === null ? this.portals.dropAll(() => true) : this.portals.drop(change.name);
      default:
        return change satisfies never;
    }
  }

  reject(change: NameChange): void {
    if (change.kind === 'statement') this.statements.reject(change.name, change.prepared);
    if (change.kind === 'portal') this.portals.reject(change.name, change.portal);
  }

  /** Portals end with their transaction, all but holdable cursors. */
  transactionEnded(): void {
    this.portals.dropAll((portal) => !portal.hold);
  }
}

/** What a statement does to the names when the server completes it. */
export function nameChanges(statement: Facts | Unknown): NameChange[] {
  if (!statement.known) return [];
  const changes: NameChange[] = [];
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

const fromSql = (body: Facts): Prepared => ({ sql: body.text, statements: [body], parameterTypes: [] });

function cursorOf(name: string, body: Facts, hold: boolean): Portal {
  return {
    name: nameKey(name),
    statementName: '',
    prepared: [fromSql(body)],
    formats: [],
    values: [],
    hold,
    suspended: false,
  };
}

/**
 * Everything that `statement` would run: itself, what an EXECUTE in it names and what a FETCH in it drives,
 * whatever of them there may be. A name that is not known here is Unknown, and unknown holds.
 */
export function whatRuns(statement: Facts | Unknown, names: Names): (Facts | Unknown)[] {
  const runs: (Facts | Unknown)[] = [statement];
  if (!statement.known) return runs;
  for (const use of statement.names) {
    if (use.kind === 'execute') {
      const found = names.statements.get(nameKey(use.name));
      runs.push(...found.flatMap((prepared) => prepared.statements));
      if (found.length === 0) runs.push(unknownName(statement.text, `prepared statement "${use.name}"`));
    } else if (use.kind === 'fetch') {
      const found = names.portals.get(nameKey(use.name));
      runs.push(...found.flatMap((portal) => portal.prepared.flatMap((prepared) => prepared.statements)));
      if (found.length === 0) runs.push(unknownName(statement.text, `cursor "${use.name}"`));
    }
  }
  return runs;
}

export function unknownName(text: string, what: string): Unknown {
  return {
    known: false,
    text,
    reason: 'name',
    detail: `${what} was not made through this connection, so what it would run is not known`,
  };
}
