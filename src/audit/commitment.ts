// What may have to be erased one day (SQL, parameters, the hash over both) stands in the leaf as a commitment,
// SHA-256(0x02 ‖ 16-byte random salt ‖ bytes); the salt and the value stand beside the leaf and open it.
import { hash } from 'node:crypto';
import { randomSecret } from '../base/ids.ts';
import { canonicalJson, isObject, type Json, type JsonObject } from './canonical.ts';

const SALT_BYTES = 16;
const COMMITMENT_PREFIX = 0x02;

/** What a record says only behind commitments; null for what it does not have. */
export interface Concealed {
  readonly sql: string | null;
  readonly parameters: readonly (string | null)[] | null;
  readonly statementSha256: string | null;
}

export interface Commitments {
  /** Base64. */
  readonly sql: string | null;
  readonly parameters: string | null;
  readonly statementSha256: string | null;
  /** Canonical JSON of what opens them; null for a `digest` record, whose commitments stay closed. */
  readonly opening: string | null;
}

/** A commitment, and the canonical JSON of what opens it. */
export interface Sealed {
  /** Base64. */
  readonly commitment: string;
  readonly opening: string;
}

export function conceal(values: Concealed, record: 'full' | 'digest'): Commitments {
  const parameters = sealed(values.parameters);
  const sql = sealed(values.sql);
  const statementSha256 = sealed(values.statementSha256);
  return {
    parameters: parameters?.commitment ?? null,
    sql: sql?.commitment ?? null,
    statementSha256: statementSha256?.commitment ?? null,
    opening: record === 'full' ? openingOf(parameters, sql, statementSha256) : null,
  };
}

/** The opening of a record that keeps its values; null where it has none. */
export function openingOf(
  parameters: Sealed | null,
  sql: Sealed | null,
  statementSha256: Sealed | null,
): string | null {
  let openings = '';
  // In canonical order.
  if (parameters !== null) openings += `,"parameters":${parameters.opening}`;
  if (sql !== null) openings += `,"sql":${sql.opening}`;
  if (statementSha256 !== null) openings += `,"statement_sha256":${statementSha256.opening}`;
  return openings === '' ? null : `{${openings.slice(1)}}`;
}

export function sealed(value: string | readonly (string | null)[] | null): Sealed | null {
  if (value === null) return null;
  const saltStart = reserveSalt();
  // Canonical: there is nothing in it to sort.
  const json = JSON.stringify(value);
  const commitment = commitWith(pool, saltStart, typeof value === 'string' ? value : json);
  const salt = pool.toString('base64', saltStart, saltStart + SALT_BYTES);
  return { commitment, opening: `{"salt":"${salt}","value":${json}}` };
}

/** The commitment that an opening's value and salt make; strings by their UTF-8 bytes, all else by canonical JSON. */
function commitmentTo(value: Json, salt: Buffer): string {
  return commitWith(salt, 0, typeof value === 'string' ? value : canonicalJson(value));
}

/** The value beside a leaf; undefined when it is not there. */
export function opened(opening: JsonObject | null, name: string): Json | undefined {
  const entry = opening?.[name];
  return isObject(entry) ? entry['value'] : undefined;
}

const COMMITMENT = '_commitment';

/** What is wrong between a leaf's commitments and what opens them. Only `digest` records may keep theirs closed. */
export function openingProblems(leaf: JsonObject, opening: JsonObject | null): readonly string[] {
  const problems: string[] = [];
  let count = 0;
  if (leaf['record'] === 'digest' && opening !== null) problems.push('it keeps what was not to be kept');
  for (const key of Object.keys(leaf)) {
    if (!key.endsWith(COMMITMENT)) continue;
    const commitment = leaf[key];
    const name = key.slice(0, -COMMITMENT.length);
    const entry = opening?.[name];
    if (commitment === null) continue;
    if (entry === undefined) {
      if (opening !== null || leaf['record'] !== 'digest') problems.push(`its ${name} is missing`);
      continue;
    }
    count++;
    const salt = isObject(entry) && typeof entry['salt'] === 'string' ? entry['salt'] : '';
    const bytes = Buffer.from(salt, 'base64');
    const value = isObject(entry) ? entry['value'] : undefined;
    const isWhole =
      isObject(entry) &&
      Object.keys(entry).length === 2 &&
      bytes.length === SALT_BYTES &&
      bytes.toString('base64') === salt;
    if (!isWhole || value === undefined || commitmentTo(value, bytes) !== commitment) {
      problems.push(`its ${name} is not what was written: the commitment does not fit`);
    }
  }
  if (opening !== null && Object.keys(opening).length !== count)
    problems.push('it opens what it does not have');
  return problems;
}

const POOL_BYTES = 256 * SALT_BYTES;
let pool: Buffer = Buffer.alloc(0);
let poolUsed = 0;

/** Where in `pool` a salt stands that nobody else gets. */
function reserveSalt(): number {
  if (poolUsed >= pool.length) {
    pool = randomSecret(POOL_BYTES);
    poolUsed = 0;
  }
  const start = poolUsed;
  poolUsed += SALT_BYTES;
  return start;
}

const TEXT_START = 1 + SALT_BYTES;
const scratch = Buffer.alloc(16 * 1024);
scratch[0] = COMMITMENT_PREFIX;

/** The salt is `SALT_BYTES` bytes of `salts` from `saltStart` on. */
function commitWith(salts: Buffer, saltStart: number, text: string): string {
  // One buffer for all but giants: a statement of many megabytes must not stay in memory.
  const room = TEXT_START + text.length * 3;
  const buffer = room <= scratch.length ? scratch : Buffer.allocUnsafe(room);
  buffer[0] = COMMITMENT_PREFIX;
  for (let i = 0; i < SALT_BYTES; i++) buffer[1 + i] = salts[saltStart + i] as number;
  const end = TEXT_START + buffer.write(text, TEXT_START);
  return hash('sha256', buffer.subarray(0, end), 'base64');
}
