// What we know of a statement before it runs. Values only; `understand.ts` makes them, rules and the log read them.
// Everything here is plain data, safe to share between sessions and to cache by SQL text.

export const STATEMENT_CLASSES = [
  'read',
  'write',
  'ddl',
  'privilege',
  'export',
  'import',
  'code',
  'admin',
  'session',
  'transaction',
  'maintenance',
  'notify',
  'unknown',
] as const;
export type StatementClass = (typeof STATEMENT_CLASSES)[number];

export interface RelationUse {
  /** As written and folded as Postgres folds; null where the statement names no schema. */
  readonly schema: string | null;
  readonly name: string;
  readonly use: 'read' | 'insert' | 'update' | 'delete' | 'define' | 'lock';
}

export interface FunctionUse {
  readonly schema: string | null;
  readonly name: string;
}

export interface SettingUse {
  /** GUC name in lower case; `*` where it is not a constant (set_config of an expression) or all of them (RESET ALL). */
  readonly name: string;
  /** The new value when it is constant; null when it is reset to its default or not a constant. */
  readonly value: string | null;
  readonly how: 'set' | 'reset' | 'set_config';
  /** The name or the value is not a constant: it could be anything. */
  readonly dynamic: boolean;
}

/** What a statement does to the session's names, which the gate follows as the server does. */
export type NameUse =
  | { readonly kind: 'prepare'; readonly name: string; readonly body: Facts }
  | { readonly kind: 'execute'; readonly name: string }
  /** name null: all of them (DEALLOCATE ALL, DISCARD ALL). */
  | { readonly kind: 'deallocate'; readonly name: string | null }
  /** DECLARE CURSOR; `hold`: it outlives its transaction. */
  | { readonly kind: 'declare'; readonly name: string; readonly body: Facts; readonly hold: boolean }
  /** FETCH or MOVE: runs the portal of that name, whoever made it. */
  | { readonly kind: 'fetch'; readonly name: string }
  | { readonly kind: 'close'; readonly name: string | null };

/** What names alone leave open, and the catalog of the database can answer (catalog.ts). */
export interface Open {
  /** `classes` and `reasons` without what is there only because a function or an operator is not a built-in one. */
  readonly classes: readonly StatementClass[];
  readonly reasons: readonly string[];
  /** Every operator by its symbol, also those that another spelling stands for: `=` for IN, `~~` for LIKE. */
  readonly operators: readonly FunctionUse[];
  /** Types that something is cast to. */
  readonly types: readonly FunctionUse[];
  /** `x` of `t.x`: a column, or the call x(t) in other words. */
  readonly attributes: readonly string[];
}

/** One statement that the grammar understood in full. */
export interface Facts {
  readonly known: true;
  /** This statement's own text within the frame. */
  readonly text: string;
  /** Postgres command tags, this statement's first, then those of statements nested in it. */
  readonly tags: readonly string[];
  readonly classes: readonly StatementClass[];
  readonly relations: readonly RelationUse[];
  readonly functions: readonly FunctionUse[];
  readonly settings: readonly SettingUse[];
  /** The weakest WHERE of every UPDATE, DELETE and MERGE in it; `absent` when there is none of those. */
  readonly where: 'absent' | 'none' | 'constant' | 'real';
  /** Constant LIMIT / FETCH FIRST of the outermost query, in rows; null when there is none or it is not constant. */
  readonly limit: number | null;
  /**
   * An aggregate gathers rows into one value (json_agg, string_agg, array_agg, …) that is sent to the client, with no
   * real WHERE, bounded subquery or catalog source to say how many: one row may then hold a whole table.
   */
  readonly collects: boolean;
  /** Every object that it defines is local to the session. False when it defines none. */
  readonly temporary: boolean;
  /**
   * Sets client_encoding, standard_conforming_strings or backslash_quote to what the parser does not assume, or to a
   * value that is not constant.
   */
  readonly lexing: boolean;
  /** A rule's answer may change with the constants, so the shape of the text alone must not be cached. */
  readonly dependsOnLiterals: boolean;
  /** Reasons, in a person's words, for classes that are not plain from the tag: `pg_read_file reads server files`. */
  readonly reasons: readonly string[];
  readonly names: readonly NameUse[];
  readonly open: Open;
}

/** Could not tell. The compiler makes every caller face it; rules see `classes: ['unknown']`. */
export interface Unknown {
  readonly known: false;
  readonly text: string;
  readonly reason: 'syntax' | 'statement' | 'encoding' | 'limit' | 'name' | 'parser';
  /** For a person: the parser's message with its position, the node that is not in the table, the unknown name. */
  readonly detail: string;
}

/** One frame's SQL text: every statement in it, in order; empty for an empty query. */
export type Understanding =
  | { readonly known: true; readonly sql: string; readonly statements: readonly Facts[] }
  | Unknown;
