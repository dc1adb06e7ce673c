// What the body of a function in PL/pgSQL or SQL holds: the SQL statements in it, each with facts of its own, and EXECUTE marked as what it is.
// For the person who decides. Such a body is `code` whatever stands in it; nothing here lets anything through.
import type { StatementClass } from './facts.ts';
import type { Body, BodyStatement } from './impact.ts';
import { parsePlpgsql } from './parse.ts';
import { childOf, listOf, type Node, textOf } from './tree.ts';
import { understand } from './understand.ts';

/** A person reads no more than this. */
const STATEMENTS_SHOWN = 50;
const TEXT_SHOWN = 500;

/** The body that `statement` brings, whose own text is `text`; null where it brings none. */
export function bodyOf(statement: Node, text: string): Body | null {
  const language = languageOf(statement);
  if (language === null) return null;
  if (language === 'sql') return sqlBody(statement);
  if (language !== 'plpgsql') return unread(`the body is in ${language}, which is not read here`);
  const parsed = parsePlpgsql(text);
  if (!parsed.ok) return unread(`the body could not be read: ${parsed.detail}`);
  try {
    const all = [...found(parsed.tree, 0)].sort((a, b) => a.line - b.line).map(shown);
    return listed(
      all.filter(({ tags, classes, dynamic }) => dynamic || tags.length > 0 || !onlyReads(classes)),
    );
  } catch (error) {
    if (error instanceof RangeError) return unread('the body is nested too deeply to be read');
    throw error;
  }
}

const onlyReads = (classes: readonly StatementClass[]): boolean => classes.every((one) => one === 'read');

const listed = (statements: readonly BodyStatement[]): Body => ({
  unread: null,
  statements: statements.slice(0, STATEMENTS_SHOWN),
  cut: statements.length > STATEMENTS_SHOWN,
});

const unread = (why: string): Body => ({ unread: why, statements: [], cut: false });

/** A body in SQL that is written as a string, as most are. */
function sqlBody(statement: Node): Body | null {
  const written = listOf(statement, 'options').find((one) => textOf(one, 'defname') === 'as');
  const list = written === undefined ? null : childOf(written, 'arg');
  const [first] = list === null ? [] : list.kind === 'List' ? listOf(list, 'items') : [list];
  const sql = first === undefined ? null : textOf(first, 'sval');
  if (sql === null) return null;
  const understood = understand(sql);
  if (!understood.known) return unread(`the body could not be read: ${understood.detail}`);
  return listed(understood.statements.map((facts) => shown({ line: 0, sql: facts.text, what: 'statement' })));
}

/** null: no statement with a body of text. DO is in PL/pgSQL where it does not say. */
function languageOf(statement: Node): string | null {
  if (statement.kind === 'DoStmt') return option(statement, 'args', 'language') ?? 'plpgsql';
  // BEGIN ATOMIC and RETURN are SQL, and the grammar has read them already.
  if (statement.kind !== 'CreateFunctionStmt' || statement.fields['sql_body'] !== undefined) return null;
  return option(statement, 'options', 'language');
}

/** Folded by the grammar, but where it is written as a string. */
function option(statement: Node, field: string, name: string): string | null {
  for (const one of listOf(statement, field)) {
    if (textOf(one, 'defname') !== name) continue;
    const value = childOf(one, 'arg');
    const text = value === null ? null : textOf(value, 'sval');
    if (text !== null) return text.toLowerCase();
  }
  return null;
}

interface Found {
  readonly line: number;
  readonly sql: string;
  /** What of PL/pgSQL it stands in. */
  readonly what: 'statement' | 'expression' | 'dynamic';
}

type Tree = Readonly<Record<string, unknown>>;

const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Fields whose expression is run as SQL, whatever statement they stand in: OPEN … FOR EXECUTE, RETURN QUERY EXECUTE. */
const DYNAMIC_FIELD = 'dynquery';
/** Statements that run the expression in their `query`: EXECUTE, FOR … IN EXECUTE. */
const DYNAMIC: ReadonlySet<string> = new Set(['PLpgSQL_stmt_dynexecute', 'PLpgSQL_stmt_dynfors']);

/** Every piece of SQL. `within`: the node of PL/pgSQL that it stands in, `field`: where in it. */
function* found(value: unknown, line: number, within = '', field = ''): Generator<Found> {
  if (Array.isArray(value)) {
    for (const item of value as unknown[]) yield* found(item, line, within, field);
    return;
  }
  if (!isTree(value)) return;
  const own = typeof value['lineno'] === 'number' ? value['lineno'] : line;
  for (const [name, inside] of Object.entries(value)) {
    if (name === 'PLpgSQL_expr' && isTree(inside)) {
      const sql = inside['query'];
      const dynamic = field === DYNAMIC_FIELD || (field === 'query' && DYNAMIC.has(within));
      // RAW_PARSE_DEFAULT: whole statements. The others are expressions and assignments.
      const what = (inside['parseMode'] ?? 0) === 0 ? 'statement' : 'expression';
      if (typeof sql === 'string') yield { line: own, sql, what: dynamic ? 'dynamic' : what };
    } else if (name.startsWith('PLpgSQL_')) yield* found(inside, own, name, field);
    else yield* found(inside, own, within, name);
  }
}

function shown({ line, sql, what }: Found): BodyStatement {
  const text = sql.length <= TEXT_SHOWN ? sql : `${sql.slice(0, TEXT_SHOWN)}…`;
  if (what === 'dynamic') return { line, text, dynamic: true, tags: [], classes: ['code'] };
  const understood = understand(what === 'statement' ? sql : `SELECT ${withoutTarget(sql)}`);
  if (!understood.known) return { line, text, dynamic: false, tags: [], classes: ['unknown'] };
  return {
    line,
    text,
    dynamic: false,
    tags: what === 'statement' ? understood.statements.flatMap(({ tags }) => tags) : [],
    classes: [...new Set(understood.statements.flatMap(({ classes }) => classes))],
  };
}

/** `x := 1 + f(2)` is an expression behind its target. */
function withoutTarget(sql: string): string {
  return /^\s*[\w".[\]]+\s*:?=(?!=)/.test(sql) ? sql.replace(/^[^=]*=/, '') : sql;
}
