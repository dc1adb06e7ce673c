// Where the log's files are, and reading a segment line by line. The layout:
//   <dir>/checkpoint                          size and root, see checkpoint.ts
//   <dir>/segments/<first seq, 20 digits>.jsonl   records, see line.ts
//   <dir>/lock                                who writes, see lock.ts
import { closeSync, existsSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { CountersignError } from '../base/errors.ts';

const SEGMENT_NAME = /^([0-9]{20})\.jsonl$/;
const CHUNK_BYTES = 1024 * 1024;
const NEWLINE = 0x0a;

export const segmentsDir = (dir: string): string => join(dir, 'segments');
export const checkpointPath = (dir: string): string => join(dir, 'checkpoint');
export const lockPath = (dir: string): string => join(dir, 'lock');

export interface Segment {
  readonly path: string;
  /** From its name. */
  readonly first: number;
}

export function segmentPath(dir: string, first: number): string {
  return join(segmentsDir(dir), `${String(first).padStart(20, '0')}.jsonl`);
}

/** Oldest first. Files of other names are none of the log's. Throws `log_invalid` when there is no log. */
export function listSegments(dir: string): readonly Segment[] {
  if (!existsSync(segmentsDir(dir))) {
    throw new CountersignError('log_invalid', `there is no log in ${dir}`, {
      hint: 'Name the folder that audit.dir names in the config, or pass --config FILE.',
    });
  }
  return readable(segmentsDir(dir), (path) => readdirSync(path))
    .flatMap((name) => {
      const match = SEGMENT_NAME.exec(name);
      return match === null ? [] : [{ path: join(segmentsDir(dir), name), first: Number(match[1]) }];
    })
    .sort((a, b) => a.first - b.first);
}

/** The files are readable by their owner only; whoever verifies may be someone else, and is told so. */
export function readable<Result>(path: string, read: (path: string) => Result): Result {
  try {
    return read(path);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CountersignError('log_invalid', `the log cannot be read: ${why}`, { cause: error });
  }
}

export interface RawLine {
  /** Without the newline. Good until the next line is asked for. */
  readonly bytes: Buffer;
  /** Counted from 1. */
  readonly number: number;
  readonly offset: number;
  /** False for what stands after the last newline. */
  readonly ended: boolean;
}

/** The lines of a file from byte `from`, in one pass and bounded memory. */
export function* readLines(path: string, from = 0): Generator<RawLine, void, undefined> {
  const fd = readable(path, () => openSync(path, 'r'));
  try {
    let rest: Buffer = Buffer.alloc(0);
    let offset = from;
    let number = 1;
    for (;;) {
      const chunk = Buffer.allocUnsafe(Math.max(CHUNK_BYTES, rest.length));
      const count = readSync(fd, chunk, 0, chunk.length, offset + rest.length);
      if (count === 0) break;
      const read = chunk.subarray(0, count);
      const buffer = rest.length === 0 ? read : Buffer.concat([rest, read]);
      let start = 0;
      // What was left over has no newline: look on from there, or a line of many megabytes is searched again and again.
      let end = buffer.indexOf(NEWLINE, rest.length);
      while (end >= 0) {
        yield { bytes: buffer.subarray(start, end), number, offset: offset + start, ended: true };
        number++;
        start = end + 1;
        end = buffer.indexOf(NEWLINE, start);
      }
      rest = buffer.subarray(start);
      offset += start;
    }
    if (rest.length > 0) yield { bytes: rest, number, offset, ended: false };
  } finally {
    closeSync(fd);
  }
}
