// The verifier: reads a whole log in one pass and says everything that is wrong with it and where. Trusts nothing but
// the key and the checkpoints it is handed.
import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { CountersignError } from '../base/errors.ts';
import type { JsonObject } from './canonical.ts';
import { type Checkpoint, parseCheckpoint, signatureProblem } from './checkpoint.ts';
import { openingProblems } from './commitment.ts';
import { Follower } from './follow.ts';
import { type Line, parseLine } from './line.ts';
import { type Counts, Meaning } from './meaning.ts';
import type { NoteVerifier } from './note.ts';
import { checkpointPath, listSegments, type RawLine, readable, readLines, type Segment } from './segments.ts';
import { shapeProblem } from './shape.ts';

/** More than this says nothing new. */
const MOST_VIOLATIONS = 100;
/** How many lines pass between two looks at the progress. */
const PROGRESS_LINES = 10_000;

export interface Violation {
  /** The record it is about, where that can be told. */
  readonly seq: number | null;
  readonly file: string;
  /** Line and byte in the file; null where it is about the file as a whole. */
  readonly line: number | null;
  readonly offset: number | null;
  readonly what: string;
}

export interface VerifyReport {
  readonly ok: boolean;
  readonly violations: readonly Violation[];
  /** There were more than are listed. */
  readonly more: boolean;
  /** Remarks that are no violations. */
  readonly notes: readonly string[];
  readonly origin: string | null;
  /** Records under a commit mark. */
  readonly size: number;
  readonly root: string | null;
  readonly signature: 'good' | 'bad' | 'not checked' | 'none';
  readonly from: string | null;
  readonly to: string | null;
  readonly segments: number;
  readonly bytes: number;
  readonly counts: Counts;
}

export interface VerifyOptions {
  /** null: signatures are not checked. */
  readonly verifier: NoteVerifier | null;
  /** Checkpoints kept from earlier: the log must be a continuation of each. */
  readonly known: readonly Checkpoint[];
  readonly onProgress?: (bytes: number) => void;
}

/** Throws CountersignError `log_invalid` only when there is no log to verify. */
export function verifyLog(dir: string, options: VerifyOptions): VerifyReport {
  return new Verification(options).run(dir);
}

class Verification {
  readonly #options: VerifyOptions;
  readonly #follower = new Follower();
  readonly #meaning = new Meaning();
  readonly #violations: Violation[] = [];
  readonly #notes: string[] = [];
  /** Checkpoints by the size they speak of; each is taken out once the log has come to it. */
  readonly #expected = new Map<number, { readonly checkpoint: Checkpoint; readonly name: string }[]>();
  #more = false;
  #signature: VerifyReport['signature'] = 'none';
  #bytes = 0;
  #lines = 0;
  #from: string | null = null;
  #to: string | null = null;
  #root: string | null = null;

  constructor(options: VerifyOptions) {
    this.#options = options;
  }

  run(dir: string): VerifyReport {
    // Before the segments: a log in use only grows meanwhile.
    const own = this.#readCheckpoint(dir);
    const segments = listSegments(dir);
    if (segments.length === 0 && own === null && !existsSync(checkpointPath(dir))) {
      throw new CountersignError('log_invalid', `there is no log in ${dir}`);
    }
    if (own !== null) this.#expect(own, 'checkpoint');
    for (const known of this.#options.known) this.#expect(known, 'the known checkpoint');
    this.#compare('checkpoint');
    for (const segment of segments) this.#segment(segment, segment === segments[segments.length - 1]);
    this.#finish(own, segments);
    return {
      ok: this.#violations.length === 0,
      violations: this.#violations,
      more: this.#more,
      notes: this.#notes,
      origin: this.#follower.origin,
      size: this.#follower.size,
      root: this.#root,
      signature: this.#signature,
      from: this.#from,
      to: this.#to,
      segments: segments.length,
      bytes: this.#bytes,
      counts: this.#meaning.end(),
    };
  }

  #readCheckpoint(dir: string): Checkpoint | null {
    const path = checkpointPath(dir);
    if (!existsSync(path)) {
      this.#report('the checkpoint is missing', 'checkpoint');
      return null;
    }
    const text = readable(path, () => readFileSync(path, 'utf8'));
    let checkpoint: Checkpoint;
    try {
      checkpoint = parseCheckpoint(text);
    } catch (error) {
      if (!(error instanceof CountersignError)) throw error;
      this.#report(error.message, 'checkpoint');
      return null;
    }
    if (this.#options.verifier !== null) {
      const problem = signatureProblem(checkpoint, this.#options.verifier);
      this.#signature = problem === null ? 'good' : 'bad';
      if (problem !== null) this.#report(problem, 'checkpoint');
    } else if (checkpoint.note.signatures.length > 0) {
      this.#signature = 'not checked';
      this.#notes.push('the checkpoint is signed; --key FILE with the verifier key checks by whom');
    }
    return checkpoint;
  }

  #expect(checkpoint: Checkpoint, name: string): void {
    const same = this.#expected.get(checkpoint.size) ?? [];
    this.#expected.set(checkpoint.size, [...same, { checkpoint, name }]);
  }

  #segment(segment: Segment, isLast: boolean): void {
    const file = basename(segment.path);
    const torn = this.#follower.startSegment(segment.first);
    if (torn !== null) this.#report(torn, file);
    for (const raw of readLines(segment.path)) {
      this.#bytes += raw.bytes.length + (raw.ended ? 1 : 0);
      this.#lines++;
      if (this.#lines % PROGRESS_LINES === 0) this.#options.onProgress?.(this.#bytes);
      // The end of a batch that is being written, or that a crash cut off. The checkpoint says whether it was more.
      if (!raw.ended && isLast) {
        this.#notes.push(`${raw.bytes.length} bytes at the end are no whole line: being written, or cut off`);
        continue;
      }
      const line: Line = raw.ended ? parseLine(raw.bytes) : { kind: 'bad', what: 'is not finished' };
      this.#line(line, raw, file);
    }
  }

  #line(line: Line, raw: RawLine, file: string): void {
    const wasDamaged = this.#follower.damaged;
    const expected = this.#follower.next;
    const problem = this.#follower.take(line);
    const seq = line.kind === 'record' && typeof line.leaf['seq'] === 'number' ? line.leaf['seq'] : null;
    if (problem !== null)
      this.#report(problem, file, raw, line.kind === 'segment' ? null : (seq ?? expected));
    if (!wasDamaged && this.#follower.damaged) {
      this.#notes.push('what the records mean together was checked up to the first damage only');
    }
    if (line.kind === 'record') this.#record(line.leaf, line.opening, raw, file, seq);
    if (line.kind === 'commit') this.#compare(file, raw);
  }

  #record(
    leaf: JsonObject,
    opening: JsonObject | null,
    raw: RawLine,
    file: string,
    seq: number | null,
  ): void {
    const shape = shapeProblem(leaf);
    if (shape !== null) {
      this.#report(`record ${seq}: ${shape}`, file, raw, seq);
      return;
    }
    const time = String(leaf['time']);
    this.#from ??= time;
    this.#to = time;
    for (const what of openingProblems(leaf, opening)) this.#report(`record ${seq}: ${what}`, file, raw, seq);
    // After a hole, records that refer to what was in it would all be called wrong.
    if (this.#follower.damaged) return;
    for (const what of this.#meaning.take(leaf, opening))
      this.#report(`record ${seq}: ${what}`, file, raw, seq);
  }

  /** Against the checkpoints of the size that the log has reached. */
  #compare(file: string, raw?: RawLine): void {
    const { size, edge, damaged } = this.#follower;
    const expected = this.#expected.get(size);
    if (expected === undefined) return;
    this.#expected.delete(size);
    if (damaged) return;
    for (const { checkpoint, name } of expected) {
      if (edge.root().equals(checkpoint.root)) continue;
      this.#report(`the ${size} records up to here are not those that ${name} speaks of`, file, raw);
    }
  }

  #finish(own: Checkpoint | null, segments: readonly Segment[]): void {
    const { size, origin, damaged, pending } = this.#follower;
    const last = segments[segments.length - 1];
    const file = last === undefined ? 'segments' : basename(last.path);
    for (const [expectedSize, expected] of this.#expected) {
      for (const { name } of expected) {
        if (expectedSize > size) {
          const missing = expectedSize - size;
          const records = missing === 1 ? '1 record is' : `${missing} records are`;
          this.#report(
            `${records} missing from the end: ${name} speaks of ${expectedSize}`,
            file,
            undefined,
            size,
          );
        } else if (!damaged) {
          this.#report(`no batch ends at the ${expectedSize} records that ${name} speaks of`, file);
        }
      }
    }
    if (own !== null && origin !== null && own.origin !== origin) {
      this.#report(`the checkpoint is of the log ${own.origin}, and the segments of ${origin}`, 'checkpoint');
    }
    if (pending > 0) {
      this.#notes.push(
        `${pending} record(s) at the end are not under a commit mark yet: being written, or cut off by a crash`,
      );
    }
    if (!damaged) this.#root = this.#follower.edge.root().toString('base64');
  }

  #report(what: string, file: string, raw?: RawLine, seq: number | null = null): void {
    if (this.#violations.length >= MOST_VIOLATIONS) {
      this.#more = true;
      return;
    }
    this.#violations.push({ seq, file, line: raw?.number ?? null, offset: raw?.offset ?? null, what });
  }
}
