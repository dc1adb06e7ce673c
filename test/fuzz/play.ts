// Plays a script on a line, then asks the one question that every session must answer or close on.
import { setTimeout as delay } from 'node:timers/promises';
import { HEADER_LENGTH } from '../../src/wire/frames.ts';
import { FRONTEND } from '../../src/wire/frontend.ts';
import { cancel, type Line, type Place } from './line.ts';
import { copyFail, query, sync } from './messages.ts';
import { framesIn, IMPATIENT_MS, type Step } from './step.ts';

/** However busy the machine: a session that has said nothing for so long says nothing any more. */
const ANSWER_MS = 45_000;
/** The server has said what it had to say. Too short costs precision, never a false alarm. */
const QUIET_MS = 10;
/** A frame that was begun is filled up to this length; a longer one is left, with the connection. */
const FILLED_MAX_LENGTH = 1024 * 1024;
/** limits.frame, of the config. */
export const FRAME_MAX_LENGTH = 8 * 1024 * 1024;

const DONE = 'the fuzzer is done';
/** Ends a COPY, a pipeline, a transaction and a time-out, whichever there is; then the question. */
const LAST_WORDS = Buffer.concat([
  copyFail('done'),
  sync(),
  query('ROLLBACK'),
  query('SET statement_timeout = 0'),
  query(`SELECT '${DONE}'`),
]);

export interface Played {
  readonly messages: number;
  /** How many frames had come at each `settle`. */
  readonly settled: readonly number[];
}

export interface PlayOptions {
  readonly place: Place;
  /** At the nth `settle`, as many frames must come. Without: until it is quiet. */
  readonly settleAt?: readonly number[];
}

/** Rejects with Hang when the other side owes an answer. The line is closed afterwards. */
export async function play(line: Line, steps: readonly Step[], options: PlayOptions): Promise<Played> {
  const { place, settleAt } = options;
  const { socket } = line;
  const boundaries = new Boundaries();
  const settled: number[] = [];
  const cancels: Promise<void>[] = [];
  let messages = 0;
  let left: 'half-close' | 'vanish' | null = null;
  let done = false;
  const { onFrame } = line;
  line.onFrame = (frame) => {
    onFrame(frame);
    if (frame.bytes.includes(DONE)) done = true;
  };
  const write = (bytes: Buffer): void => {
    socket.write(bytes);
    boundaries.pass(bytes);
  };
  try {
    for (const step of steps) {
      if (line.closed || left !== null || boundaries.terminated) break;
      switch (step.do) {
        case 'send': {
          write(step.bytes);
          messages += framesIn(step.bytes).length;
          // Otherwise all writes come in one.
          await new Promise(setImmediate);
          break;
        }
        case 'settle': {
          const wanted = settleAt?.[settled.length];
          if (wanted === undefined) await line.quiet(QUIET_MS);
          else {
            await line.until(() => line.closed || line.heard >= wanted, ANSWER_MS, `frame ${wanted}`);
          }
          settled.push(line.heard);
          break;
        }
        case 'rest':
          await delay(IMPATIENT_MS * 2);
          break;
        case 'cancel':
          if (line.key !== null) cancels.push(cancel(place, line.key, ANSWER_MS));
          break;
        case 'stop reading':
          socket.pause();
          break;
        case 'half-close':
        case 'vanish':
          left = step.do;
          break;
        default:
          step satisfies never;
      }
    }
    await Promise.all(cancels);
    socket.resume();
    if (left === 'vanish') return { messages, settled };
    if (left === 'half-close' || !boundaries.fill(write)) socket.end();
    else if (!boundaries.terminated) socket.write(LAST_WORDS);
    await line.until(() => line.closed || done, ANSWER_MS, left === null ? 'the last answer' : 'the end');
    if (line.garbled) throw new Error('what was answered are no frames');
    return { messages, settled };
  } finally {
    socket.destroy();
    await Promise.allSettled(cancels);
  }
}

/** Where the frames of a stream end, as whoever reads it must see them. */
class Boundaries {
  /** Bytes of the frame under way that are still to come. */
  #wanted = 0;
  #header = Buffer.alloc(0);
  #broken = false;
  /** A Terminate has gone out: whoever reads it closes, and answers nothing that comes behind it. */
  terminated = false;

  pass(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length && !this.#broken && !this.terminated) {
      if (this.#wanted > 0) {
        const taken = Math.min(this.#wanted, bytes.length - at);
        this.#wanted -= taken;
        at += taken;
        continue;
      }
      const more = bytes.subarray(at, at + HEADER_LENGTH - this.#header.length);
      this.#header = Buffer.concat([this.#header, more]);
      at += more.length;
      if (this.#header.length < HEADER_LENGTH) continue;
      const length = this.#header.readInt32BE(1);
      this.terminated = this.#header[0] === FRONTEND.Terminate && length === 4;
      this.#header = Buffer.alloc(0);
      if (length < 4 || length >= FRAME_MAX_LENGTH) this.#broken = true;
      else this.#wanted = length - 4;
    }
  }

  /** Fills up what was begun, so that the next byte begins a frame. False where none can. */
  fill(write: (bytes: Buffer) => void): boolean {
    if (this.terminated) return true;
    if (this.#header.length > 0) write(Buffer.alloc(HEADER_LENGTH - this.#header.length));
    if (this.#broken || this.#wanted > FILLED_MAX_LENGTH) return false;
    if (this.#wanted > 0) write(Buffer.alloc(this.#wanted));
    return true;
  }
}
