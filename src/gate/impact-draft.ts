// An impact in the making: what the statement's own text tells, filled up by what the server answers. Whatever the server
// has not said when it is finished stands in `unknown`.
import type { Facts, Unknown } from '../sql/facts.ts';
import type {
  Cascade,
  FiringTrigger,
  Impact,
  LockMode,
  LockNeed,
  RelationSize,
  Rows,
  UnknownRows,
} from '../sql/impact.ts';
import { type Outline, outlineOf } from '../sql/outline.ts';
import { UnknownNode } from '../sql/tree.ts';
import type { NamedRelation } from './impact-catalog.ts';

export const RELATIONS_SHOWN = 20;
const LOCKS_SHOWN = 20;

/** A relation that the server has. */
export interface Found {
  readonly oid: number;
  /** pg_class.relkind */
  readonly kind: string;
  /** With its schema. */
  readonly relation: string;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** pg_class.relkind in the manual's words. */
const KINDS: Readonly<Record<string, string>> = {
  r: 'table',
  p: 'partitioned table',
  v: 'view',
  m: 'materialized view',
  f: 'foreign table',
  S: 'sequence',
  i: 'index',
  I: 'partitioned index',
  t: 'TOAST table',
  c: 'composite type',
};

/** It is read several times here, and the proxy has one thread. */
const TEXT_MAX = 64 * 1024;

/** Whatever can be made of its facts, its tree may be deeper than the rest of the stack. */
function outlineWithin(facts: Facts): Outline | null {
  if (facts.text.length > TEXT_MAX) return null;
  try {
    return outlineOf(facts);
  } catch (error) {
    if (error instanceof RangeError || error instanceof UnknownNode) return null;
    throw error;
  }
}

/** A relation by the name that the statement has for it. */
export const keyOf = ({ schema, name }: NamedRelation): string => JSON.stringify([schema, name]);
const written = ({ schema, name }: NamedRelation): string => (schema === null ? name : `${schema}.${name}`);

export class ImpactDraft {
  readonly #statement: Facts | Unknown;
  /** null: it could not be read. */
  readonly outline: Outline | null;
  readonly unknown: string[] = [];
  readonly relations: RelationSize[] = [];
  readonly cascades: Mutable<Cascade>[] = [];
  readonly triggers: FiringTrigger[] = [];
  readonly dependents: string[] = [];
  rows: Rows | UnknownRows | null = null;
  /** Nothing more is to come. */
  done = false;
  #locks: Mutable<LockNeed>[];

  constructor(statement: Facts | Unknown) {
    this.#statement = statement;
    this.outline = statement.known ? outlineWithin(statement) : null;
    this.#locks = (this.outline?.locks ?? []).map(({ mode, rewrites, ...name }) => ({
      relation: written(name),
      mode,
      rewrites,
      blockers: null,
      waiting: null,
    }));
    const plan = this.outline?.plan ?? null;
    if (this.outline === null) {
      const why = statement.known ? 'its text is too long, or too deep, to be looked into' : statement.detail;
      this.rows = { known: false, why };
    } else if (plan !== null && 'why' in plan) this.rows = { known: false, why: plan.why };
  }

  get locks(): readonly Mutable<LockNeed>[] {
    return this.#locks;
  }

  /** Every relation that the statement names. */
  named(): NamedRelation[] {
    const named = new Map<string, NamedRelation>();
    const relations = this.#statement.known ? this.#statement.relations : [];
    for (const { schema, name } of [...relations, ...(this.outline?.locks ?? [])]) {
      named.set(keyOf({ schema, name }), { schema, name });
    }
    return [...named.values()];
  }

  /** Names become those of the server; what is not there is not locked: it is about to be made, or an error. */
  set found(found: ReadonlyMap<string, Found>) {
    const locks = this.outline?.locks ?? [];
    this.#locks = this.#locks.flatMap((lock, i) => {
      const target = locks[i];
      const there = target === undefined ? undefined : found.get(keyOf(target));
      return there === undefined ? [] : [{ ...lock, relation: there.relation }];
    });
  }

  /** A lock that the statement's text does not show. */
  lock(relation: string, mode: LockMode): void {
    if (this.#locks.some((lock) => lock.relation === relation)) return;
    this.#locks.push({ relation, mode, rewrites: false, blockers: null, waiting: null });
  }

  failed(why: string): void {
    this.unknown.push(why);
    if (this.rows === null && this.outline?.plan !== null) this.rows = { known: false, why };
  }

  finish(): Impact {
    const statement = this.#statement;
    return {
      tag: statement.known ? (statement.tags[0] ?? '') : '',
      rows: this.rows,
      relations: this.relations
        .slice(0, RELATIONS_SHOWN)
        .map((relation) => ({ ...relation, kind: KINDS[relation.kind] ?? relation.kind })),
      locks: this.#locks.slice(0, LOCKS_SHOWN).map((lock) => ({ ...lock })),
      cascades: this.cascades.map((cascade) => ({ ...cascade })),
      triggers: [...this.triggers],
      dependents: [...this.dependents],
      body: this.outline?.body ?? null,
      unknown: [...this.unknown],
    };
  }
}
