// SQL text to the parse tree of Postgres's own grammar (libpg-query, WebAssembly). Neighbours: tree.ts reads the tree.
// A parse that overflows the stack or traps leaves the instance in a state nobody can vouch for, so it is thrown away
// and a spare takes its place at once. Making the next spare takes no I/O: it is there at the next turn of the event loop.
import { readFileSync } from 'node:fs';
import createParser, { type ParserInstance } from 'libpg-query/wasm/libpg-query.js';
import { tooCostly } from './cost.ts';

export interface ParsedStatement {
  /** The statement's own text, without the semicolon. */
  readonly text: string;
  /** `{ Kind: body }`, as the library gives it. */
  readonly tree: unknown;
}

export type ParseResult =
  | { readonly ok: true; readonly statements: readonly ParsedStatement[] }
  | { readonly ok: false; readonly reason: 'syntax' | 'limit' | 'parser'; readonly detail: string };

const SPARES = 2;
/** WebAssembly memory never shrinks. Past this an instance has served one large text and is let go. */
const MEMORY_BYTES_MAX = 192 * 1024 * 1024;

const spares: ParserInstance[] = [];
let instance: ParserInstance | undefined;
let ordered = 0;

let compiled: WebAssemblyModule | undefined;

/** The library finds, reads and compiles its file once; from then on an instance is made from the compiled module. */
async function make(): Promise<ParserInstance> {
  const module = compiled;
  if (module !== undefined) {
    return createParser({
      instantiateWasm(imports, receive) {
        const made = new WebAssembly.Instance(module, imports);
        receive(made, module);
        return made.exports;
      },
    });
  }
  let path = '';
  const made = await createParser({
    locateFile(name, directory) {
      path = directory + name;
      return path;
    },
  });
  compiled = new WebAssembly.Module(readFileSync(path));
  return made;
}

async function order(): Promise<void> {
  ordered++;
  try {
    const made = await make();
    if (instance === undefined) instance = made;
    else spares.push(made);
  } finally {
    ordered--;
  }
}

function restock(): void {
  // Counted beforehand: an order that fails at once must not be repeated here for ever. It is asked for again at the
  // next parse; meanwhile texts are Unknown, never let through.
  for (let missing = SPARES - spares.length - ordered; missing > 0; missing--) order().catch(() => undefined);
}

/** At start-up, once; `parse` answers `parser` until it is done. Throws where WebAssembly cannot be loaded. */
export async function loadParser(): Promise<void> {
  if (instance === undefined) await order();
  while (spares.length < SPARES) await order();
}

interface RawStatement {
  readonly stmt: unknown;
  /** In bytes of UTF-8, absent for 0. */
  readonly stmt_location?: number;
  /** In bytes; absent: to the end. */
  readonly stmt_len?: number;
}

interface Failure {
  readonly ok: false;
  readonly reason: 'syntax' | 'limit' | 'parser';
  readonly detail: string;
}

/** One call of the parser; an instance that did not come back from it in order is not used again. */
function withInstance<Answer extends object>(
  sql: string,
  call: (parser: ParserInstance) => Answer,
): Answer | Failure {
  const costly = tooCostly(sql);
  if (costly !== null) return { ok: false, reason: 'limit', detail: costly };
  if (instance === undefined) {
    instance = spares.shift();
    // Not from here: the stack may be near its end.
    queueMicrotask(restock);
  }
  if (instance === undefined) {
    return { ok: false, reason: 'parser', detail: 'the parser is being restarted' };
  }
  let answer: Answer;
  try {
    answer = call(instance);
  } catch (error) {
    // Nothing that could fail in its turn where the stack has just ended; the next parse takes a spare.
    instance = undefined;
    const deep = error instanceof RangeError;
    return {
      ok: false,
      reason: deep ? 'limit' : 'parser',
      detail: deep ? 'nested too deeply to be understood' : 'the parser failed on this text',
    };
  }
  if (instance.HEAPU8.length > MEMORY_BYTES_MAX) instance = undefined;
  return answer;
}

/** `sql` must be well-formed and hold no NUL: C stops reading at one. */
export function parse(sql: string): ParseResult {
  const answer = withInstance(sql, (parser) => ask(parser, sql));
  if ('ok' in answer) return answer;
  if ('message' in answer) {
    if (answer.message.startsWith('memory exhausted')) {
      return { ok: false, reason: 'limit', detail: 'nested too deeply to be understood' };
    }
    const where = answer.position > 0 ? ` at character ${answer.position}` : '';
    return { ok: false, reason: 'syntax', detail: `${shorten(answer.message)}${where}` };
  }
  const { stmts } = JSON.parse(answer.tree) as { stmts: RawStatement[] };
  return { ok: true, statements: slice(sql, stmts) };
}

/**
 * The parse tree of a DO, or a CREATE FUNCTION or PROCEDURE, in PL/pgSQL: one statement that `parse` has read before.
 * What the message says of a body that is none comes from PL/pgSQL's own compiler.
 */
export function parsePlpgsql(
  sql: string,
): { readonly ok: true; readonly tree: unknown } | { readonly ok: false; readonly detail: string } {
  const answer = withInstance(sql, (parser) => {
    const { text, free } = passed(parser, sql);
    const result = parser._wasm_parse_plpgsql(text);
    if (result === 0) throw new Error('out of memory');
    const said = parser.UTF8ToString(result);
    free();
    parser._wasm_free_string(result);
    return { said };
  });
  if ('ok' in answer) return answer;
  if (!answer.said.startsWith('{')) return { ok: false, detail: shorten(answer.said) };
  return { ok: true, tree: JSON.parse(answer.said) as unknown };
}

/** The texts of its tokens, comments among them, as the server's lexer has them; null where there is no telling. */
export function scan(sql: string): readonly string[] | null {
  const answer = withInstance(sql, (parser) => {
    const { text, free } = passed(parser, sql);
    const result = parser._wasm_scan(text);
    if (result === 0) throw new Error('out of memory');
    const said = parser.UTF8ToString(result);
    free();
    parser._wasm_free_string(result);
    return { said };
  });
  return 'ok' in answer || !answer.said.startsWith('{') ? null : tokensOf(answer.said);
}

function tokensOf(answer: string): readonly string[] | null {
  try {
    const { tokens } = JSON.parse(answer) as { tokens: { text: string }[] };
    return tokens.map(({ text }) => text);
  } catch {
    // Not every byte that may stand in a token is written as JSON would have it.
    return null;
  }
}

/** The text where the parser can read it. */
function passed(parser: ParserInstance, sql: string): { readonly text: number; readonly free: () => void } {
  const byteCount = parser.lengthBytesUTF8(sql) + 1;
  const text = parser._malloc(byteCount);
  if (text === 0) throw new Error('out of memory');
  parser.stringToUTF8(sql, text, byteCount);
  return { text, free: () => parser._free(text) };
}

/** Postgres puts the offending token into its message, however long. */
function shorten(message: string): string {
  return message.length <= 200 ? message : `${message.slice(0, 200)}…`;
}

function ask(parser: ParserInstance, sql: string): { tree: string } | { message: string; position: number } {
  const { text, free } = passed(parser, sql);
  const result = parser._wasm_parse_query_raw(text);
  if (result === 0) throw new Error('out of memory');
  // PgQueryParseResult { char *parse_tree; char *stderr_buffer; PgQueryError *error; }
  const error = parser.getValue(result + 8, 'i32');
  const tree = parser.getValue(result, 'i32');
  let answer: { tree: string } | { message: string; position: number };
  if (error !== 0) {
    // PgQueryError { char *message; char *funcname; char *filename; int lineno; int cursorpos; char *context; }
    const message = parser.UTF8ToString(parser.getValue(error, 'i32'));
    answer = { message, position: parser.getValue(error + 16, 'i32') };
  } else if (tree === 0) throw new Error('no parse tree');
  else answer = { tree: parser.UTF8ToString(tree) };
  // Only on the way out of an orderly call: after a trap the instance goes, and its memory with it.
  free();
  parser._wasm_free_parse_result(result);
  return answer;
}

function slice(sql: string, raw: readonly RawStatement[]): ParsedStatement[] {
  if (raw.length === 1) return [{ text: trim(sql), tree: raw[0]?.stmt }];
  const bytes = Buffer.from(sql, 'utf8');
  return raw.map(({ stmt, stmt_location: start = 0, stmt_len: length }) => ({
    text: trim(bytes.toString('utf8', start, length === undefined ? bytes.length : start + length)),
    tree: stmt,
  }));
}

const BLANK = new Set([' ', '\t', '\n', '\r', '\f', '\v', ';']);

/** By hand: a regular expression for trailing blanks takes quadratic time on long runs of them. */
function trim(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && BLANK.has(text[start] ?? '')) start++;
  while (end > start && BLANK.has(text[end - 1] ?? '')) end--;
  return text.slice(start, end);
}
