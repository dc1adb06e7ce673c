// What a log is found as when a process opens it: the longest prefix that ends in a good commit mark. What stands behind it
// was never acknowledged, so nothing of it was ever forwarded; it may be cut. Anything else that does not fit is damage,
// and a damaged log is not written on. After a clean stop the newest segment is read and no other: whether the rest is
// still as it was is the verifier's business, and must not take minutes at every start.
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { CountersignError } from '../base/errors.ts';
import { type Checkpoint, parseCheckpoint, signatureProblem } from './checkpoint.ts';
import { Follower } from './follow.ts';
import { firstChain, parseLine, type SegmentHeader } from './line.ts';
import type { NoteSigner } from './note.ts';
import { checkpointPath, listSegments, readable, readLines, type Segment, segmentsDir } from './segments.ts';
import type { RightEdge } from './tree.ts';

export interface Found {
  readonly origin: string;
  readonly edge: RightEdge;
  readonly chain: Buffer;
  /** The segment to write on, and its length. */
  readonly segment: { readonly path: string; readonly bytes: number };
  /** The last process did not end by `stopped`. */
  readonly unclean: boolean;
  readonly cutBytes: number;
  readonly cutSha256: string;
  /** Forwarded and without an outcome when that process ended: nobody knows whether they ran. */
  readonly openIntents: readonly number[];
}

/** null: there is no log yet. Throws CountersignError `log_invalid`, naming the place, for one that is damaged. */
export function findLog(dir: string, signer: NoteSigner | null): Found | null {
  const segments = listSegments(dir);
  if (!existsSync(checkpointPath(dir))) {
    if (segments.length === 0) return null;
    throw refuse('its checkpoint is missing', checkpointPath(dir));
  }
  const checkpoint = parseCheckpoint(readable(checkpointPath(dir), (path) => readFileSync(path, 'utf8')));
  const problem = signatureProblem(checkpoint, signer);
  // A log begun without a key is not signed later: that would put a signature under a past that nobody vouched for.
  if (problem !== null) throw refuse(problem, checkpointPath(dir));
  if (segments.length === 0) {
    if (checkpoint.size === 0) return null;
    throw refuse(`all its ${checkpoint.size} records are missing`, segmentsDir(dir));
  }
  return readNewest(segments, checkpoint) ?? readLog(segments, checkpoint, new Follower());
}

/**
 * null unless the newest segment by itself bears out a clean stop: its header says on which tree it stands, and with its
 * records that comes to the root in the checkpoint, which speaks of its last record, `stopped`.
 */
function readNewest(segments: readonly Segment[], checkpoint: Checkpoint): Found | null {
  const newest = segments[segments.length - 1] as Segment;
  if (segments.length === 1 || !seemsStopped(newest.path)) return null;
  const header = headerOf(newest.path);
  const follower = header === null ? null : Follower.from(header);
  if (follower === null) return null;
  try {
    const found = readLog([newest], checkpoint, follower);
    return found.unclean || follower.size !== checkpoint.size ? null : found;
  } catch (error) {
    // What it is exactly, reading everything will say.
    if (error instanceof CountersignError) return null;
    throw error;
  }
}

function headerOf(path: string): SegmentHeader | null {
  for (const raw of readLines(path)) {
    const line = raw.ended ? parseLine(raw.bytes) : null;
    return line?.kind === 'segment' ? line : null;
  }
  return null;
}

/** More than `stopped` and its commit mark take. */
const END_BYTES = 1024;

/** Only spares reading a segment twice; what it is proved by is above. */
function seemsStopped(path: string): boolean {
  const from = Math.max(0, statSync(path).size - END_BYTES);
  return [...readLines(path, from)].some(({ bytes }) => bytes.includes('"type":"stopped"'));
}

function readLog(segments: readonly Segment[], checkpoint: Checkpoint, follower: Follower): Found {
  const fate = new Fate();
  const last = segments[segments.length - 1] as Segment;
  let good = 0;
  let damage: { readonly where: string; readonly what: string } | null = null;
  for (const segment of segments) {
    good = 0;
    const name = basename(segment.path);
    const torn = follower.startSegment(segment.first);
    if (torn !== null) throw refuse(torn, name);
    for (const raw of readLines(segment.path)) {
      const line = raw.ended ? parseLine(raw.bytes) : ({ kind: 'bad', what: 'is not finished' } as const);
      if (damage !== null) {
        // Whether this is a torn end or a hole in the middle: after a torn end there is no further mark.
        if (line.kind === 'commit') throw refuse(damage.what, damage.where);
        continue;
      }
      const what = follower.take(line);
      if (what !== null) {
        damage = { where: `${name}:${raw.number}`, what };
        if (segment !== last) throw refuse(what, damage.where);
        continue;
      }
      if (line.kind === 'record') fate.take(line.leaf);
      if (line.kind === 'record') continue;
      fate.commit();
      good = raw.offset + raw.bytes.length + 1;
      if (follower.size === checkpoint.size && !follower.edge.root().equals(checkpoint.root)) {
        throw refuse(`the ${checkpoint.size} records up to here are not those of its checkpoint`, name);
      }
    }
  }
  if (follower.size < checkpoint.size) {
    const missing = checkpoint.size - follower.size;
    throw refuse(
      damage?.what ?? `${missing} records are missing from the end: the checkpoint is of ${checkpoint.size}`,
      damage?.where ?? basename(last.path),
    );
  }
  // Killed between making the first file and its header: a log with nothing in it.
  const isNew = follower.origin === null && checkpoint.size === 0;
  const origin = isNew ? checkpoint.origin : follower.origin;
  const chain = isNew ? firstChain(checkpoint.origin) : follower.chain;
  if (chain === null || origin !== checkpoint.origin) {
    throw refuse(`it is the log ${origin}, and its checkpoint is of ${checkpoint.origin}`, last.path);
  }
  const cut = digestFrom(last.path, good);
  return {
    origin,
    edge: follower.edge,
    chain,
    segment: { path: last.path, bytes: good },
    unclean: cut.bytes > 0 || !fate.stopped,
    cutBytes: cut.bytes,
    cutSha256: cut.sha256,
    openIntents: [...fate.open],
  };
}

/** Which forwarded statements have no outcome, as far as the last commit mark. */
class Fate {
  readonly open = new Set<number>();
  stopped = true;
  #batch: { readonly type: unknown; readonly leaf: Readonly<Record<string, unknown>> }[] = [];

  take(leaf: Readonly<Record<string, unknown>>): void {
    this.#batch.push({ type: leaf['type'], leaf });
  }

  commit(): void {
    for (const { type, leaf } of this.#batch) {
      this.stopped = type === 'stopped';
      if (type === 'started') this.open.clear();
      if (type === 'statement.intent' && leaf['fate'] === 'forward') this.open.add(Number(leaf['seq']));
      if (type === 'statement.outcome') this.open.delete(Number(leaf['intent']));
    }
    this.#batch = [];
  }
}

/**
 * The segment's first `bytes` bytes in a new, synced file of the same name. Not truncated in place: after an I/O error the
 * page cache may show what the disk does not hold.
 */
export function rewriteSegment(path: string, bytes: number): void {
  const next = `${path}.next`;
  const from = openSync(path, 'r');
  const to = openSync(next, 'w', 0o600);
  try {
    const chunk = Buffer.allocUnsafe(1024 * 1024);
    for (let offset = 0; offset < bytes; ) {
      const count = readSync(from, chunk, 0, Math.min(chunk.length, bytes - offset), offset);
      if (count === 0) throw refuse('it became shorter while being read', path);
      for (let done = 0; done < count; ) done += writeSync(to, chunk, done, count - done);
      offset += count;
    }
    fdatasyncSync(to);
  } finally {
    closeSync(from);
    closeSync(to);
  }
  renameSync(next, path);
}

/** Files that a crash left half made. */
export function removeLeftovers(dir: string): void {
  for (const folder of [dir, segmentsDir(dir)]) {
    for (const name of readdirSync(folder)) if (name.endsWith('.next')) unlinkSync(join(folder, name));
  }
}

export function syncFolder(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function digestFrom(path: string, from: number): { readonly bytes: number; readonly sha256: string } {
  const digest = createHash('sha256');
  const chunk = Buffer.allocUnsafe(1024 * 1024);
  const fd = openSync(path, 'r');
  let bytes = 0;
  try {
    for (;;) {
      const count = readSync(fd, chunk, 0, chunk.length, from + bytes);
      if (count === 0) break;
      digest.update(chunk.subarray(0, count));
      bytes += count;
    }
  } finally {
    closeSync(fd);
  }
  return { bytes, sha256: digest.digest('hex') };
}

function refuse(what: string, where: string): CountersignError {
  return new CountersignError('log_invalid', `the log is damaged at ${where}: ${what}`, {
    hint: 'Keep the folder as evidence, run `countersign audit verify` on it, and begin a new log in another folder.',
  });
}
