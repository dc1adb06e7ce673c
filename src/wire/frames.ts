// Cuts a client's byte stream into whole frames (PostgreSQL manual, "Message Formats": Byte1 tag, Int32 length, body).
// What is judged is a whole frame and what is forwarded are the same bytes, however the network split them.
import { CountersignError } from '../base/errors.ts';

/** Tag byte and Int32 length that counts itself. */
export const HEADER_LENGTH = 5;

/** Chunks of this size cost little more than their bytes. */
const SMALL_LENGTH = 16 * 1024;

/** A whole frame, header included, where it stands in what was received. */
export class Frame {
  readonly tag: number;
  readonly chunk: Buffer;
  readonly start: number;
  readonly end: number;

  constructor(chunk: Buffer, start = 0, end = chunk.length) {
    this.tag = chunk[start] as number;
    this.chunk = chunk;
    this.start = start;
    this.end = end;
  }

  get length(): number {
    return this.end - this.start;
  }

  /** A view, made anew at each call: a Buffer costs more than all else about a small frame. */
  get bytes(): Buffer {
    return this.start === 0 && this.end === this.chunk.length
      ? this.chunk
      : this.chunk.subarray(this.start, this.end);
  }
}

export class FrameReader {
  readonly #maxFrameLength: number;
  readonly #tags: ReadonlySet<number> | null;
  #chunks: Buffer[] = [];
  /** Bytes of the first chunk that have been handed out. */
  #taken = 0;
  #buffered = 0;

  /** `maxFrameLength`: bytes a frame may have, header included. `tags`: those that may come; null, any. */
  constructor(maxFrameLength: number, tags: ReadonlySet<number> | null = null) {
    this.#maxFrameLength = maxFrameLength;
    this.#tags = tags;
  }

  /** Bytes received and not yet handed out as frames. */
  get buffered(): number {
    return this.#buffered;
  }

  /** The chunk is the reader's from now on: frames are views of it. */
  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
    if (this.#chunks.length > 1) this.#joinSmall();
  }

  /**
   * The next whole frame, or null until more bytes come.
   * Throws CountersignError `protocol_violation` or `limit` on a tag or a length that cannot be: before anything is allocated for it.
   */
  next(): Frame | null {
    if (this.#buffered < HEADER_LENGTH) return null;
    let chunk = this.#head(HEADER_LENGTH);
    const tag = chunk[this.#taken] as number;
    // Before its length means anything: what does not speak the protocol would be waited for.
    if (this.#tags?.has(tag) === false) {
      throw new CountersignError('protocol_violation', `invalid frontend message type ${tag}`);
    }
    const bodyLength = chunk.readInt32BE(this.#taken + 1);
    if (bodyLength < 4) throw new CountersignError('protocol_violation', 'invalid message length');
    const frameLength = bodyLength + 1;
    if (frameLength > this.#maxFrameLength) {
      throw new CountersignError(
        'limit',
        `message of ${frameLength} bytes is over the limit of ${this.#maxFrameLength}`,
        {
          limit: 'frame',
          hint: 'Raise limits.frame in the proxy’s configuration, or send less at once.',
        },
      );
    }
    if (this.#buffered < frameLength) return null;
    chunk = this.#head(frameLength);
    const start = this.#taken;
    const end = start + frameLength;
    this.#buffered -= frameLength;
    if (end < chunk.length) {
      this.#taken = end;
    } else {
      this.#chunks.shift();
      this.#taken = 0;
    }
    return new Frame(chunk, start, end);
  }

  /**
   * A long frame that comes byte by byte must not cost a Buffer a byte. Neighbours of like size are joined, as in a
   * binary counter, so each byte is copied only a few times.
   */
  #joinSmall(): void {
    this.#dropTaken();
    for (;;) {
      const last = this.#chunks.at(-1);
      const before = this.#chunks.at(-2);
      if (last === undefined || before === undefined) return;
      if (before.length > last.length || last.length > SMALL_LENGTH) return;
      this.#chunks.splice(-2, 2, Buffer.concat([before, last]));
    }
  }

  /** The first chunk, with `length` bytes in it that have not been taken, made so by joining what follows. */
  #head(length: number): Buffer {
    const first = this.#chunks[0] as Buffer;
    if (first.length - this.#taken >= length) return first;
    this.#dropTaken();
    let have = 0;
    let count = 0;
    while (have < length) have += (this.#chunks[count++] as Buffer).length;
    const joined = Buffer.concat(this.#chunks.slice(0, count), have);
    this.#chunks.splice(0, count, joined);
    return joined;
  }

  #dropTaken(): void {
    if (this.#taken === 0) return;
    this.#chunks[0] = (this.#chunks[0] as Buffer).subarray(this.#taken);
    this.#taken = 0;
  }
}
