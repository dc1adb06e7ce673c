// What a vote names (the statement's hash) and what an approval covers (the binding). A changed literal, comment,
// parameter, role or search_path is another request, so nothing here normalises anything.
import { createHash, createHmac } from 'node:crypto';
import type { SessionId } from '../base/ids.ts';

/** Exactly what the server would run: bytes as the client sent them. */
export interface StatementBytes {
  readonly sql: Uint8Array;
  /** Type OIDs given in Parse; may be fewer than the values, or none. */
  readonly parameterTypes: readonly number[];
  /** Format codes given in Bind: none, one for all, or one each. */
  readonly parameterFormats: readonly number[];
  /** Bind's values in order; null is NULL. Empty in the simple protocol. */
  readonly parameterValues: readonly (Uint8Array | null)[];
}

/** Who asks, where, under which rules: what an approval of a statement is limited to. */
export interface BindingScope {
  readonly agent: string;
  readonly owner: string;
  readonly onBehalfOf: readonly string[];
  readonly database: string;
  readonly role: string;
  /** The session's search_path as the server last told it; null when it never did. */
  readonly searchPath: string | null;
  readonly rulesHash: string;
  /** While a client waits: its session and a nonce that never leaves this process. null for both on a ticket. */
  readonly session: SessionId | null;
  readonly nonce: Uint8Array | null;
}

/** Shortest key that is worth the name: HMAC-SHA-256's own output length. */
const KEY_BYTES = 32;

/** Hex SHA-256 over the SQL and its parameters. Says what is to run, and nothing of who asks. */
export function statementSha256(statement: StatementBytes): string {
  return createHash('sha256')
    .update(encode('countersign statement v1', statementParts(statement)))
    .digest('hex');
}

/**
 * Hex HMAC-SHA-256 over scope and statement under `key`, which only those who consume approvals hold: with the key a
 * reader of Redis could find out parameter values by guessing.
 */
export function bindingOf(key: Uint8Array, scope: BindingScope, statement: StatementBytes): string {
  if (key.length < KEY_BYTES) throw new RangeError(`a binding key has at least ${KEY_BYTES} bytes`);
  const parts: Part[] = [
    scope.agent,
    scope.owner,
    scope.onBehalfOf,
    scope.database,
    scope.role,
    scope.searchPath,
    scope.rulesHash,
    scope.session,
    scope.nonce,
    statementParts(statement),
  ];
  return createHmac('sha256', key).update(encode('countersign binding v1', parts)).digest('hex');
}

function statementParts(statement: StatementBytes): Part[] {
  return [statement.sql, statement.parameterTypes, statement.parameterFormats, statement.parameterValues];
}

/** What can stand in an encoding. */
export type Part = string | number | null | Uint8Array | readonly Part[];

const TAGS = { null: 0, number: 1, string: 2, bytes: 3, list: 4 } as const;
const HEAD_BYTES = 9;

/**
 * Different parts never give the same bytes. Each part is one byte for its kind and eight for its size or value, big
 * endian, then what it holds; a list's size is its number of parts. Strings go as UTF-16 because UTF-8 would fold
 * every lone surrogate into one character. `purpose` keeps two uses of one key apart.
 */
export function encode(purpose: string, parts: readonly Part[]): Buffer {
  const chunks: Uint8Array[] = [];
  write(chunks, [purpose, ...parts]);
  return Buffer.concat(chunks);
}

function write(chunks: Uint8Array[], part: Part): void {
  if (part === null) {
    chunks.push(head(TAGS.null, 0));
  } else if (typeof part === 'number') {
    chunks.push(head(TAGS.number, part));
  } else if (typeof part === 'string') {
    const units = Buffer.from(part, 'utf16le');
    chunks.push(head(TAGS.string, units.length), units);
  } else if (part instanceof Uint8Array) {
    chunks.push(head(TAGS.bytes, part.length), part);
  } else {
    chunks.push(head(TAGS.list, part.length));
    for (const item of part) write(chunks, item);
  }
}

function head(tag: number, value: number): Buffer {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new RangeError('only whole numbers from 0 can be encoded');
  const bytes = Buffer.alloc(HEAD_BYTES);
  bytes.writeUInt8(tag, 0);
  bytes.writeBigUInt64BE(BigInt(value), 1);
  return bytes;
}
