// What records of every type are made of: the fields that all of them have, and how the log writes people, times, counts,
// and what is too long for an entry.
import { formatTime } from '../base/clock.ts';
import { CountersignError } from '../base/errors.ts';
import type { Vote } from '../holds/hold.ts';
import { canonicalJson, isObject, type Json, type JsonObject } from './canonical.ts';
import type { Identity } from './record.ts';

export const RECORD_VERSION = 1;
/** C2SP entry bundles give an entry's length in 16 bits. */
export const LEAF_MAX_BYTES = 65_535;

/** The fields that every record has. */
export interface Common {
  readonly seq: number;
  readonly node: string;
  readonly epoch: number;
  readonly timeMs: number;
  readonly monoUs: number;
}

/** A text, or the pieces of one: texts, whole numbers as decimals, and UTF-8 that was encoded before. */
export type Text = string | readonly (string | number | Buffer)[];

export interface Encoded {
  /** Canonical JSON. */
  readonly leaf: Text;
  /** Canonical JSON; null when the record opens nothing. */
  readonly opening: string | null;
}

export function textOf(text: Text): string {
  return typeof text === 'string' ? text : text.map(String).join('');
}

/** A leaf that is too long has its long lists and strings cut, visibly. */
export function withinBounds(text: string): string {
  if (text.length * 3 <= LEAF_MAX_BYTES || Buffer.byteLength(text) <= LEAF_MAX_BYTES) return text;
  const fields = JSON.parse(text) as JsonObject;
  for (let most = 1024; most >= 1; most /= 2) {
    const shorter = canonicalJson({ ...(shortened(fields, most) as JsonObject), cut: true });
    if (Buffer.byteLength(shorter) <= LEAF_MAX_BYTES) return shorter;
  }
  throw new CountersignError('internal', `a record of type ${String(fields['type'])} is too long to be cut`);
}

/** Every list and string at most `most` long, the last place saying how many there were. Depends on its input only. */
function shortened(value: Json, most: number): Json {
  if (typeof value === 'string') {
    const room = Math.max(most, 64);
    return value.length <= room ? value : `${value.slice(0, room)}… [${value.length} characters in all]`;
  }
  if (Array.isArray(value)) {
    const kept: Json[] = value.slice(0, most).map((item: Json) => shortened(item, most));
    return value.length <= most ? kept : [...kept, `… [${value.length} in all]`];
  }
  if (!isObject(value)) return value;
  const keys = Object.keys(value).sort();
  const kept: [string, Json][] = keys
    .slice(0, Math.max(most, 64))
    .map((key) => [shortened(key, most) as string, shortened(value[key] ?? null, most)]);
  return Object.fromEntries(kept);
}

export function whoOf(who: Identity): JsonObject {
  return {
    agent: who.agent,
    authenticated_by: who.authenticatedBy,
    client_address: who.clientAddress,
    database: who.database,
    on_behalf_of: [...who.onBehalfOf],
    owner: who.owner,
    role: who.role,
  };
}

// Sessions keep one Identity for their life, and in most records it is the longest part.
const identities = new WeakMap<Identity, string>();

/** Canonical JSON. */
export function whoText(who: Identity): string {
  let text = identities.get(who);
  if (text === undefined) {
    text = canonicalJson(whoOf(who));
    identities.set(who, text);
  }
  return text;
}

export function voteOf(vote: Vote): JsonObject {
  return {
    channel: vote.channel,
    decision: vote.decision,
    groups: vote.groups,
    reason: vote.reason,
    time: formatTime(vote.atMs),
    voter: vote.voter,
  };
}

let lastMs = Number.NaN;
let lastText = '';

export function timeOf(epochMs: number): string {
  if (epochMs !== lastMs) {
    lastText = formatTime(epochMs);
    lastMs = epochMs;
  }
  return lastText;
}

export function count(value: number): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new CountersignError('internal', `the log cannot write ${value} where a count belongs`);
}
