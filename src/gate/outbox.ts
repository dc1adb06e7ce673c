// What is on its way to the server, in order, each batch kept back until the log has what it must have of it:
// nothing reaches the database without a record first.
import type { AuditLog } from '../audit/log.ts';
import type { Frame } from '../wire/frames.ts';

/** What must have happened to the records made so far: nothing, in the kernel, on the disk. */
export type Barrier = 'none' | 'written' | 'durable';

interface Batch {
  readonly spans: readonly Span[];
  readonly bytes: number;
  ready: boolean;
}

/** Frames that stand behind one another in what was received. */
interface Span {
  readonly chunk: Buffer;
  readonly start: number;
  end: number;
}

export class Outbox {
  readonly #log: AuditLog;
  readonly #write: (bytes: readonly Buffer[]) => void;
  readonly #fail: (error: Error) => void;
  #spans: Span[] = [];
  #barrier: Barrier = 'none';
  #batches: Batch[] = [];
  #closed = false;
  /** Of #spans, and of everything. */
  #spansBytes = 0;
  #bytes = 0;

  constructor(log: AuditLog, write: (bytes: readonly Buffer[]) => void, fail: (error: Error) => void) {
    this.#log = log;
    this.#write = write;
    this.#fail = fail;
  }

  /** Nothing is waiting to go out. */
  get empty(): boolean {
    return this.#spans.length === 0 && this.#batches.length === 0;
  }

  /** Bytes that are waiting to go out. */
  get bytes(): number {
    return this.#bytes;
  }

  push({ chunk, start, end }: Frame, barrier: Barrier): void {
    const last = this.#spans[this.#spans.length - 1];
    // Frames that came together and all go on are one write, of the very bytes that came.
    if (last !== undefined && last.chunk === chunk && last.end === start) last.end = end;
    else this.#spans.push({ chunk, start, end });
    this.#spansBytes += end - start;
    this.#bytes += end - start;
    if (barrier === 'durable' || (barrier === 'written' && this.#barrier === 'none')) this.#barrier = barrier;
  }

  /** Sends what has been pushed, as soon as its barrier and every batch before it allow. */
  release(): void {
    if (this.#spans.length === 0) return;
    const batch: Batch = { spans: this.#spans, bytes: this.#spansBytes, ready: this.#barrier === 'none' };
    const barrier = this.#barrier;
    this.#spans = [];
    this.#spansBytes = 0;
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
    this.#spans = [];
    this.#batches = [];
    this.#spansBytes = 0;
    this.#bytes = 0;
  }

  #send(): void {
    for (;;) {
      const batch = this.#batches[0];
      if (batch === undefined || !batch.ready || this.#closed) return;
      this.#batches.shift();
      this.#bytes -= batch.bytes;
      this.#write(batch.spans.map(bytesOf));
    }
  }
}

function bytesOf({ chunk, start, end }: Span): Buffer {
  return start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end);
}
