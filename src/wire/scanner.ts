// Reads the headers of what a server sends and passes the rest on as it came: no DataRow is ever decoded or copied.
// The owner is told of each message as its header is seen; only the few messages that it names are handed over whole.
import { CountersignError } from '../base/errors.ts';
import { BACKEND } from './backend.ts';
import { HEADER_LENGTH } from './frames.ts';

/** Messages whose body the owner reads, and may replace. All are small; a larger one than this is passed unread. */
const WHOLE: ReadonlySet<number> = new Set([
  BACKEND.CommandComplete,
  BACKEND.ErrorResponse,
  BACKEND.ParameterStatus,
  BACKEND.ReadyForQuery,
]);
const WHOLE_MAX_LENGTH = 1024 * 1024;

/** `stop`: it and what comes behind it stay here, until `goOn`, when the owner is asked again. */
export type Fate = 'pass' | 'drop' | 'stop';

export interface ScannerOwner {
  /**
   * A message of which only tag and frame length (header included) are looked at. It begins at `at` in `bytes`, with as
   * much of it as there is, for what is too long to be handed over whole.
   */
  onHeader(tag: number, frameLength: number, bytes: Buffer, at: number): Fate;
  /** A whole message; what is returned goes out in its place. */
  onWhole(tag: number, frame: Buffer): Buffer;
}

export class ServerScanner {
  readonly #owner: ScannerOwner;
  /** Bytes of a message's body that are still to come, and whether they go out. */
  #passing = 0;
  #dropping = false;
  /** The owner has stopped a message. */
  #stopped = false;
  /** The beginning of a message that has not come whole; never forwarded before it has. */
  #held: Buffer[] = [];
  #heldLength = 0;

  constructor(owner: ScannerOwner) {
    this.#owner = owner;
  }

  /** What has gone out so far ends with a whole message. */
  get betweenMessages(): boolean {
    return this.#passing === 0 || this.#dropping;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Takes up what was stopped. As `scan`. */
  goOn(out: Buffer[]): Buffer[] {
    this.#stopped = false;
    const stopped = this.#held;
    this.#held = [];
    this.#heldLength = 0;
    return this.scan(Buffer.concat(stopped), out);
  }

  /**
   * Adds to `out` what may go to the client now, in order; views of `chunk` wherever nothing was replaced. What came before
   * a message at which the owner throws is in it too.
   */
  scan(chunk: Buffer, out: Buffer[] = []): Buffer[] {
    let bytes = chunk;
    if (this.#held.length > 0) {
      this.#held.push(chunk);
      this.#heldLength += chunk.length;
      if (this.#stopped || this.#heldLength < this.#wanted()) return out;
      bytes = Buffer.concat(this.#held, this.#heldLength);
      this.#held = [];
      this.#heldLength = 0;
    }
    let at = Math.min(this.#passing, bytes.length);
    this.#passing -= at;
    let from = this.#dropping ? at : 0;
    if (this.#passing === 0) this.#dropping = false;
    try {
      while (at < bytes.length) {
        if (bytes.length - at < HEADER_LENGTH) break;
        const tag = bytes[at] as number;
        const frameLength = bytes.readUInt32BE(at + 1) + 1;
        if (frameLength < HEADER_LENGTH) {
          throw new CountersignError('upstream_unavailable', 'the database server sent a malformed message');
        }
        const end = at + frameLength;
        if (WHOLE.has(tag) && frameLength <= WHOLE_MAX_LENGTH) {
          if (end > bytes.length) break;
          const frame = bytes.subarray(at, end);
          const instead = this.#owner.onWhole(tag, frame);
          if (instead !== frame) {
            if (at > from) out.push(bytes.subarray(from, at));
            if (instead.length > 0) out.push(instead);
            from = end;
          }
        } else {
          const fate = this.#owner.onHeader(tag, frameLength, bytes, at);
          if (fate === 'stop') {
            this.#stopped = true;
            break;
          }
          if (fate === 'drop') {
            if (at > from) out.push(bytes.subarray(from, at));
            from = Math.min(end, bytes.length);
          }
          if (end > bytes.length) {
            this.#passing = end - bytes.length;
            this.#dropping = fate === 'drop';
            at = bytes.length;
            break;
          }
        }
        at = end;
      }
    } finally {
      // Also when the owner will have no more: what came before has been taken note of, and is the client's.
      if (at > from) out.push(from === 0 && at === bytes.length ? bytes : bytes.subarray(from, at));
    }
    if (at < bytes.length) {
      // Copied: a view would keep the whole chunk alive for a few bytes.
      this.#held = [Buffer.from(bytes.subarray(at))];
      this.#heldLength = bytes.length - at;
    }
    return out;
  }

  /** How many bytes make what is held worth looking at again. */
  #wanted(): number {
    if (this.#heldLength < HEADER_LENGTH) return HEADER_LENGTH;
    const start = this.#held[0] as Buffer;
    const head = start.length >= HEADER_LENGTH ? start : Buffer.concat(this.#held, this.#heldLength);
    const frameLength = head.readUInt32BE(1) + 1;
    return WHOLE.has(head[0] as number) && frameLength <= WHOLE_MAX_LENGTH ? frameLength : HEADER_LENGTH;
  }
}
