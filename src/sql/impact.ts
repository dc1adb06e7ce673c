// What one statement would do, as far as can be told without running it: what an approver sees before saying yes. Values
// only, JSON-safe; plan.ts, locks.ts and plpgsql.ts read some of it from texts, gate/impact.ts asks the server for the rest.
// Every number is the planner's estimate or the state of a moment, as another session of the same role sees it.
import type { StatementClass } from './facts.ts';

export interface Impact {
  /** The statement's command tag; several statements of one frame stand in their order. */
  readonly tag: string;
  /** null: a statement that has no plan, such as DROP TABLE. */
  readonly rows: Rows | UnknownRows | null;
  /** The relations that it touches, largest first. */
  readonly relations: readonly RelationSize[];
  readonly locks: readonly LockNeed[];
  /** Foreign keys that a DELETE, UPDATE of the key, or TRUNCATE follows. */
  readonly cascades: readonly Cascade[];
  readonly triggers: readonly FiringTrigger[];
  /** What a DROP … CASCADE takes with it, as pg_describe_object names it. */
  readonly dependents: readonly string[];
  /** Of a DO or of a function in PL/pgSQL; null for every other statement. */
  readonly body: Body | null;
  /** Which of all this could not be found out and why, in a person's words. */
  readonly unknown: readonly string[];
}

/** By the plan. Unknown rows are never few. */
export interface Rows {
  readonly known: true;
  readonly writes: readonly RowsWritten[];
  /** The largest scans, largest first: rows that they give, not rows that they look at. */
  readonly scans: readonly RowsRead[];
  /** Rows sent to the client. */
  readonly returns: number;
  /** Rows that array_agg, string_agg, json_agg and their like gather into values; 0 where there are none. */
  readonly gathers: number;
  /** A plan for any parameters: those of this statement were not, or could not be, put in. */
  readonly generic: boolean;
}

export interface UnknownRows {
  readonly known: false;
  readonly why: string;
}

export const WRITE_KINDS = ['insert', 'update', 'delete', 'merge'] as const;

export interface RowsWritten {
  readonly kind: (typeof WRITE_KINDS)[number];
  readonly relation: string;
  readonly rows: number;
}

export interface RowsRead {
  readonly relation: string;
  /** As the plan calls it: `Seq Scan`. */
  readonly scan: string;
  readonly rows: number;
}

export interface RelationSize {
  readonly relation: string;
  /** As the manual calls it: `table`, `view`, `partitioned table`. */
  readonly kind: string;
  /** With indexes, TOAST and partitions. */
  readonly bytes: number;
  /** The statistics' last word; null where there are none yet. */
  readonly rows: number | null;
}

export const LOCK_MODES = [
  'ACCESS SHARE',
  'ROW SHARE',
  'ROW EXCLUSIVE',
  'SHARE UPDATE EXCLUSIVE',
  'SHARE',
  'SHARE ROW EXCLUSIVE',
  'EXCLUSIVE',
  'ACCESS EXCLUSIVE',
] as const;
export type LockMode = (typeof LOCK_MODES)[number];

/** Whether the table's file is written anew; null where that depends on what the text does not say. */
export type Rewrites = boolean | null;

export interface LockNeed {
  readonly relation: string;
  readonly mode: LockMode;
  readonly rewrites: Rewrites;
  /** Sessions, the asking one aside, that hold now what this would wait for; null: not looked up. */
  readonly blockers: number | null;
  /** Sessions that wait for a lock on it already. Whoever comes while this waits, waits behind it. */
  readonly waiting: number | null;
}

export interface Cascade {
  /** The foreign key, and the table that has it. */
  readonly constraint: string;
  readonly relation: string;
  /** `CASCADE`, `SET NULL`, `SET DEFAULT`, `RESTRICT`, `NO ACTION`; `TRUNCATE` for TRUNCATE … CASCADE. */
  readonly action: string;
  /** Estimated rows of that table, all of them. */
  readonly rows: number | null;
}

export interface FiringTrigger {
  readonly trigger: string;
  readonly relation: string;
  readonly calls: string;
}

export interface Body {
  /** Why it could not be read; null where it was. */
  readonly unread: string | null;
  readonly statements: readonly BodyStatement[];
  /** There are more, which are not shown. */
  readonly cut: boolean;
}

export interface BodyStatement {
  /** In the body, from 1; 0 where the parser does not say. */
  readonly line: number;
  /** Of EXECUTE, the expression whose value is run. */
  readonly text: string;
  /** EXECUTE: what runs is made while it runs. */
  readonly dynamic: boolean;
  readonly tags: readonly string[];
  readonly classes: readonly StatementClass[];
}
