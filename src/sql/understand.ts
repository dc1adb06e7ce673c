// SQL text to facts: the one door of this folder. Pure, cached by text, and it never throws: what cannot be understood
// is Unknown, with the reason.
import { isUtf8 } from 'node:buffer';
import { LRUCache } from 'lru-cache';
import type { Facts, Understanding, Unknown } from './facts.ts';
import { parse } from './parse.ts';
import { nodeOf, UnknownNode } from './tree.ts';
import { factsOf } from './walk.ts';

export { loadParser } from './parse.ts';

export interface UnderstandOptions {
  /** Statements in one text; more are Unknown `limit`. */
  readonly statementsMax?: number;
  /** Bytes of UTF-8 in one text; more are Unknown `limit`. */
  readonly bytesMax?: number;
}

const STATEMENTS_MAX = 1000;
/** The parser takes about 30 ms for a megabyte of literals, and the proxy has one thread. */
const BYTES_MAX = 16 * 1024 * 1024;

const CACHE_BYTES = 64 * 1024 * 1024;
/** Facts of one statement, measured roughly; strings aside. */
const FACTS_BYTES = 1500;
/** A text this large is a bulk load and will not come again. */
const CACHED_TEXT_MAX = 64 * 1024;

type Understood = Exclude<Understanding, Unknown>;

const cache = new LRUCache<string, Understanding>({
  maxSize: CACHE_BYTES,
  sizeCalculation: (understanding, sql) =>
    2 * sql.length + FACTS_BYTES * (understanding.known ? understanding.statements.length + 1 : 1),
});

const unknown = (text: string, reason: Unknown['reason'], detail: string): Unknown => ({
  known: false,
  text,
  reason,
  detail,
});

/** `sql` as the client sent it, without the NUL that ends it; a Buffer that is not UTF-8 is Unknown `encoding`. */
export function understand(sql: string | Buffer, options: UnderstandOptions = {}): Understanding {
  const bytesMax = options.bytesMax ?? BYTES_MAX;
  if (sql.length > bytesMax) {
    return unknown(
      typeof sql === 'string' ? sql : sql.toString('utf8'),
      'limit',
      `longer than ${bytesMax} bytes`,
    );
  }
  if (typeof sql !== 'string') {
    const text = sql.toString('utf8');
    return isUtf8(sql) ? understand(text, options) : unknown(text, 'encoding', 'not valid UTF-8');
  }
  const understanding = cache.get(sql) ?? read(sql, bytesMax, options.statementsMax ?? STATEMENTS_MAX);
  return within(understanding, options.statementsMax ?? STATEMENTS_MAX);
}

/** The cache is shared by callers with different limits. */
function within(understanding: Understanding, statementsMax: number): Understanding {
  if (!understanding.known || understanding.statements.length <= statementsMax) return understanding;
  return tooMany(understanding.sql, understanding.statements.length, statementsMax);
}

const tooMany = (sql: string, count: number, statementsMax: number): Unknown =>
  unknown(sql, 'limit', `${count} statements in one text; at most ${statementsMax} are understood`);

const LONE_SURROGATE = /\p{Surrogate}/u;

function read(sql: string, bytesMax: number, statementsMax: number): Understanding {
  if (sql.includes('\0')) return unknown(sql, 'encoding', 'holds a NUL byte');
  if (LONE_SURROGATE.test(sql)) return unknown(sql, 'encoding', 'holds half a character');
  if (sql.length > bytesMax / 3 && Buffer.byteLength(sql) > bytesMax) {
    return unknown(sql, 'limit', `longer than ${bytesMax} bytes`);
  }
  let understanding: Understanding;
  try {
    const parsed = parse(sql);
    if (!parsed.ok) {
      understanding = unknown(sql, parsed.reason, parsed.detail);
      // The parser may be well again at the next try.
      if (parsed.reason === 'parser') return understanding;
    } else if (parsed.statements.length > statementsMax) {
      return tooMany(sql, parsed.statements.length, statementsMax);
    } else {
      const statements = parsed.statements.map(
        ({ tree, text }): Facts => freeze(factsOf(nodeOf(tree), text)),
      );
      understanding = { known: true, sql, statements } satisfies Understood;
    }
  } catch (error) {
    understanding = explain(sql, error);
  }
  if (sql.length <= CACHED_TEXT_MAX) cache.set(sql, understanding);
  return understanding;
}

function explain(sql: string, error: unknown): Unknown {
  if (error instanceof UnknownNode) return unknown(sql, 'statement', error.message);
  if (error instanceof RangeError) return unknown(sql, 'limit', 'nested too deeply to be understood');
  return unknown(sql, 'parser', 'the parse tree could not be read');
}

/** Shared by every session that sends this text: nobody may change it. */
function freeze(facts: Facts): Facts {
  for (const value of Object.values(facts)) if (typeof value === 'object') Object.freeze(value);
  return Object.freeze(facts);
}
