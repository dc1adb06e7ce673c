// Reading records back for a person: the newest, those that follow, one by its number. Checks nothing; verify.ts does.
import { statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { CountersignError } from '../base/errors.ts';
import { isObject, type Json, type JsonObject } from './canonical.ts';
import { opened } from './commitment.ts';
import { listSegments, readLines, type Segment } from './segments.ts';

const FOLLOW_MS = 200;
const PROGRESS_LINES = 10_000;
const RECORD_START = Buffer.from('{"leaf":');

export interface StoredRecord {
  readonly seq: number;
  readonly leaf: JsonObject;
  /** null when the record has none, or it was not kept. */
  readonly opening: JsonObject | null;
}

/** An opened value of a record: its SQL, its parameters; undefined when it is not there. */
export function openedValue(record: StoredRecord, name: string): Json | undefined {
  return opened(record.opening, name);
}

function parseStored(bytes: Buffer): StoredRecord | null {
  if (!bytes.subarray(0, RECORD_START.length).equals(RECORD_START)) return null;
  try {
    const value = JSON.parse(bytes.toString('utf8')) as Json;
    const leaf = isObject(value) ? value['leaf'] : undefined;
    const opening = isObject(value) ? value['opening'] : undefined;
    const seq = isObject(leaf) ? leaf['seq'] : undefined;
    if (!isObject(leaf) || typeof seq !== 'number') return null;
    return { seq, leaf, opening: isObject(opening) ? opening : null };
  } catch {
    return null;
  }
}

/** Where the newest records end, for following on. */
export interface Position {
  readonly segment: Segment;
  readonly offset: number;
}

/** The last `count` records, oldest first. Lines that cannot be read are passed over. */
export function readLast(dir: string, count: number): { records: StoredRecord[]; end: Position | null } {
  const segments = listSegments(dir);
  let records: StoredRecord[] = [];
  let end: Position | null = null;
  for (let i = segments.length - 1; i >= 0 && (records.length < count || end === null); i--) {
    const segment = segments[i] as Segment;
    const ring: Buffer[] = [];
    let offset = 0;
    for (const raw of readLines(segment.path)) {
      if (!raw.ended) break;
      offset = raw.offset + raw.bytes.length + 1;
      if (!raw.bytes.subarray(0, RECORD_START.length).equals(RECORD_START)) continue;
      ring.push(Buffer.from(raw.bytes));
      // Twice as many as needed, then half away: one move per record on average.
      if (ring.length >= count * 2 + 2) ring.splice(0, ring.length - count);
    }
    end ??= { segment, offset };
    records = [...ring.flatMap((bytes) => parseStored(bytes) ?? []), ...records];
  }
  return { records: count === 0 ? [] : records.slice(-count), end };
}

/** Records as they are written, until `signal` says stop. */
export async function* follow(
  dir: string,
  from: Position | null,
  signal: AbortSignal,
): AsyncGenerator<StoredRecord, void, undefined> {
  let position = from;
  while (!signal.aborted) {
    const segments = listSegments(dir);
    let segment: Segment | undefined =
      position === null
        ? segments[0]
        : (segments.find((s) => s.path === position?.segment.path) ?? position.segment);
    while (segment !== undefined) {
      let offset: number = position?.segment.path === segment.path ? position.offset : 0;
      // Listed before reading: once there is a newer segment, this one has all it will ever have.
      for (const raw of statSync(segment.path).size > offset ? readLines(segment.path, offset) : []) {
        if (!raw.ended) break;
        const record = parseStored(raw.bytes);
        offset = raw.offset + raw.bytes.length + 1;
        if (record !== null) yield record;
      }
      position = { segment, offset };
      const first = segment.first;
      segment = segments.find((s) => s.first > first);
    }
    try {
      await delay(FOLLOW_MS, undefined, { signal });
    } catch {
      return;
    }
  }
}

/**
 * Every record of these types, oldest first, one at a time. The others are told apart by their bytes and not parsed.
 * `onProgress`: bytes read and bytes in all, now and then.
 */
export function* readAll(
  dir: string,
  types: readonly string[],
  onProgress: (read: number, all: number) => void = () => {},
): Generator<StoredRecord, void, undefined> {
  // Within a JSON string a quote is escaped, so that no text of an agent can look like this.
  const marks = types.map((type) => Buffer.from(`"type":"${type}"`));
  const segments = listSegments(dir);
  const all = segments.reduce((sum, { path }) => sum + statSync(path).size, 0);
  let before = 0;
  let lines = 0;
  for (const { path } of segments) {
    let end = 0;
    for (const raw of readLines(path)) {
      if (!raw.ended) break;
      end = raw.offset + raw.bytes.length + 1;
      if (++lines % PROGRESS_LINES === 0) onProgress(before + end, all);
      if (!marks.some((mark) => raw.bytes.includes(mark))) continue;
      const record = parseStored(raw.bytes);
      if (record !== null && types.includes(String(record.leaf['type']))) yield record;
    }
    before += end;
  }
}

/** The record of that number and, for a statement, what came of it. Throws CountersignError `not_found`. */
export function readRecord(dir: string, seq: number): { record: StoredRecord; outcomes: StoredRecord[] } {
  const segments = listSegments(dir);
  const holding = segments.findLastIndex((segment) => segment.first <= seq);
  const outcomes: StoredRecord[] = [];
  let record: StoredRecord | null = null;
  const mention = Buffer.from(`"intent":${seq},`);
  for (const segment of segments.slice(Math.max(holding, 0))) {
    for (const raw of readLines(segment.path)) {
      if (!raw.ended) break;
      if (record === null) {
        const stored = parseStored(raw.bytes);
        if (stored?.seq === seq) record = stored;
        else if (stored !== null && stored.seq > seq) break;
        continue;
      }
      if (record.leaf['type'] !== 'statement.intent') return { record, outcomes };
      if (!raw.bytes.includes(mention)) continue;
      const stored = parseStored(raw.bytes);
      if (stored === null || stored.leaf['type'] !== 'statement.outcome' || stored.leaf['intent'] !== seq)
        continue;
      outcomes.push(stored);
      if (stored.leaf['result'] !== 'suspended') return { record, outcomes };
    }
    if (record === null) break;
  }
  if (record === null) throw new CountersignError('not_found', `the log has no record ${seq}`);
  return { record, outcomes };
}
