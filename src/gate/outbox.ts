// What is on its way to the server, in order, each batch kept back until the log has what it must have of it:
// nothing reaches the database without a record first.
import type { AuditLog } from '../audit/log.ts';

/** What must have happened to the records made so far: nothing, in the kernel, on the disk. */
export type Barrier = 'none' | 'written' | 'durable';

interface Batch {
  readonly frames: readonly Buffer[];
  ready: boolean;
}

export class Outbox {
  readonly #log: AuditLog;
  readonly #write: (frames: readonly Buffer[]) => void;
  readonly #fail: (error: Error) => void;
  #frames: Buffer[] = [];
  #barrier: Barrier = 'none';
  #batches: Batch[] = [];
  #closed = false;

  constructor(log: AuditLog, write: (frames: readonly Buffer[]) => void, fail: (error: Error) => void) {
    this.#log = log;
    this.#write = write;
    this.#fail = fail;
  }

  /** Nothing is waiting to go out. */
  get empty(): boolean {
    return this.#frames.length === 0 && this.#batches.length === 0;
  }

  push(frame: Buffer, barrier: Barrier): void {
    const last = this.#frames.length - 1;
    const before = this.#frames[last];
    // Frames that came in one chunk and all go on are neighbours in memory: one write, of the very bytes that came.
    if (before !== undefined && isNeighbour(before, frame)) {
      this.#frames[last] = Buffer.from(before.buffer, before.byteOffset, before.length + frame.length);
    } else {
      this.#frames.push(frame);
    }
    if (barrier === 'durable' || (barrier === 'written' && this.#barrier === 'none')) this.#barrier = barrier;
  }

  /** Sends what has been pushed, as soon as its barrier and every batch before it allow. */
  release(): void {
    if (this.#frames.length === 0) return;
    const batch: Batch = { frames: this.#frames, ready: this.#barrier === 'none' };
    const barrier = this.#barrier;
    this.#frames = [];
    this.#barrier = 'none';
    this.#batches.push(batch);
    if (barrier === 'none') return this.#send();
    this.#log.when(barrier, (error) => {
      if (this.#closed) return;
      if (error !== null) return this.#fail(error);
      batch.ready = true;
      this.#send();
    });
  }

  /** Nothing that is still here goes out any more. */
  close(): void {
    this.#closed = true;
    this.#frames = [];
    this.#batches = [];
  }

  #send(): void {
    for (;;) {
      const batch = this.#batches[0];
      if (batch === undefined || !batch.ready || this.#closed) return;
      this.#batches.shift();
      this.#write(batch.frames);
    }
  }
}

function isNeighbour(before: Buffer, after: Buffer): boolean {
  return before.buffer === after.buffer && before.byteOffset + before.length === after.byteOffset;
}
