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

export function conceal(values: Concealed, record: 'full' | 'digest'): Commitments {
  const parameters = sealed(values.parameters);
  const sql = sealed(values.sql);
  const statementSha256 = sealed(values.statementSha256);
  let openings = '';
  if (record === 'full') {
    // In canonical order.
    if (parameters !== null) openings += `,"parameters":${parameters.opening}`;
    if (sql !== null) openings += `,"sql":${sql.opening}`;
    if (statementSha256 !== null) openings += `,"statement_sha256":${statementSha256.opening}`;
  }
  return {
    parameters: parameters?.commitment ?? null,
    sql: sql?.commitment ?? null,
    statementSha256: statementSha256?.commitment ?? null,
    opening: openings === '' ? null : `{${openings.slice(1)}}`,
  };
}

function sealed(
  value: string | readonly (string | null)[] | null,
): { readonly commitment: string; readonly opening: string } | null {
  if (value === null) return null;
  const salt = newSalt();
  // Canonical: there is nothing in it to sort.
  const json = JSON.stringify(value);
  return {
    commitment: commit(salt, typeof value === 'string' ? value : json),
    opening: `{"salt":"${salt.toString('base64')}","value":${json}}`,
  };
}

/** The commitment that an opening's value and salt make; strings by their UTF-8 bytes, all else by canonical JSON. */
function commitmentTo(value: Json, salt: Buffer): string {
  return commit(salt, typeof value === 'string' ? value : canonicalJson(value));
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

function newSalt(): Buffer {
  if (pool.length < SALT_BYTES) pool = randomSecret(POOL_BYTES);
  const salt = pool.subarray(0, SALT_BYTES);
  pool = pool.subarray(SALT_BYTES);
  return salt;
}

const scratch = Buffer.alloc(16 * 1024);

function commit(salt: Buffer, text: string): string {
  const start = 1 + SALT_BYTES;
  // One buffer for all but giants: a statement of many megabytes must not stay in memory.
  const room = start + text.length * 3;
  const buffer = room <= scratch.length ? scratch : Buffer.allocUnsafe(room);
  buffer[0] = COMMITMENT_PREFIX;
  salt.copy(buffer, 1);
  const end = start + buffer.write(text, start);
  return hash('sha256', buffer.subarray(0, end), 'base64');
}
