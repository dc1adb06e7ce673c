// What a database has besides what every database has, at one moment: plain rows. gate/catalog-queries.ts reads them;
// catalog.ts answers from them.

/** OIDs below this are the server's own; what users and extensions make comes after. */
export const FIRST_USER_OID = 16384;

export interface FunctionRow {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: 'function' | 'procedure' | 'aggregate' | 'window';
  readonly volatility: 'immutable' | 'stable' | 'volatile';
  /** SECURITY DEFINER. */
  readonly definer: boolean;
  readonly language: string;
  /** It came with an extension, which a superuser or the database's owner installed as a whole. */
  readonly extension: boolean;
  /** Of a function in SQL, and `form`: as it was written, or as the server shows what it parsed (SQL-standard body). */
  readonly body: string | null;
  readonly form: 'text' | 'parsed';
  /** Expressions of its arguments' defaults. */
  readonly defaults: string | null;
  /** It can be called with one row, so also as `row.name`. */
  readonly takesRow: boolean;
  /** OIDs of the types of its result, and the relation whose rows it returns, or 0. */
  readonly results: readonly number[];
  readonly rowsOf: number;
}

export interface RelationRow {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: 'table' | 'view' | 'materialized view' | 'foreign table' | 'sequence';
  /** A view's query. */
  readonly definition: string | null;
}

/** A rewrite rule; also the one that makes a view a view. */
export interface RuleRow {
  readonly oid: number;
  readonly relation: number;
  readonly name: string;
  readonly event: 'select' | 'insert' | 'update' | 'delete';
  /** Null for a view's own: its definition stands with the relation. */
  readonly definition: string | null;
}

export interface OperatorRow {
  readonly schema: string;
  readonly name: string;
  readonly function: CalledRow;
  /** OIDs of types; 0: no such operand. */
  readonly operands: readonly number[];
}

export interface CastRow {
  readonly source: TypeName;
  readonly target: TypeName;
  readonly function: CalledRow;
  readonly context: 'explicit' | 'assignment' | 'implicit';
}

export interface TypeName {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
}

export interface TypeRow extends TypeName {
  /** A domain's: the type below it; else 0. */
  readonly base: number;
  /** A domain's conditions. */
  readonly checks: readonly { readonly constraint: number; readonly expression: string }[];
}

/** A function that something else calls: one of the snapshot, or a built-in one. */
export interface CalledRow {
  readonly oid: number;
  readonly name: string;
}

/** Object `of` calls function `on`, or a rule `of` reads view `on`, as pg_depend has it: whatever they are named. */
export interface DependencyRow {
  readonly of: number;
  readonly kind: 'rule' | 'function' | 'constraint' | 'rule reads';
  readonly on: number;
}

export interface TriggerRow {
  readonly relation: number;
  readonly name: string;
  readonly function: string;
}

export interface Snapshot {
  readonly functions: readonly FunctionRow[];
  readonly relations: readonly RelationRow[];
  readonly rules: readonly RuleRow[];
  readonly operators: readonly OperatorRow[];
  readonly casts: readonly CastRow[];
  readonly types: readonly TypeRow[];
  readonly dependencies: readonly DependencyRow[];
  /** Built-in functions that an aggregate of the users calls. */
  readonly aggregates: readonly { readonly aggregate: number; readonly calls: string }[];
  /** Which relations have columns of a type that an operator or cast of the users is for. */
  readonly columns: readonly { readonly relation: number; readonly type: number }[];
  readonly triggers: readonly TriggerRow[];
  /** Partitions and heirs. */
  readonly children: readonly { readonly parent: number; readonly child: number }[];
}
