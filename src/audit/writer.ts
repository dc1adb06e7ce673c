// The running log: gathers the records of one event-loop turn, writes them in one system call, tells whoever waited, and
// has a worker make it durable and publish the checkpoint. Crash order: batch with its mark → fdatasync → checkpoint, so
// that the checkpoint never promises what the disk has not. After one failure the log is failed until a restart.
import { closeSync, openSync } from 'node:fs';
import type { Clock } from '../base/clock.ts';
import { CountersignError } from '../base/errors.ts';
import { Batch } from './batch.ts';
import { encodeCheckpoint } from './checkpoint.ts';
import type { LogFiles } from './files.ts';
import { encodeRecord } from './leaf.ts';
import { encodeHeader } from './line.ts';
import type { AuditLog } from './log.ts';
import type { NoteSigner } from './note.ts';
import type { RecordDraft } from './record.ts';
import { checkpointPath, segmentPath, segmentsDir } from './segments.ts';
import type { RightEdge } from './tree.ts';

/** How old a checkpoint may grow while there is something new to say. */
const CHECKPOINT_MS = 100;

export type Durability = 'standard' | 'strict';

export interface WriterState {
  readonly dir: string;
  readonly node: string;
  readonly epoch: number;
  readonly origin: string;
  readonly signer: NoteSigner | null;
  readonly durability: Durability;
  readonly segmentBytes: number;
  readonly clock: Clock;
  readonly files: LogFiles;
  readonly onFailure: (error: CountersignError) => void;
  /** The open segment, and what is in it. 0 bytes: its header is still to be written. */
  readonly fd: number;
  readonly bytes: number;
  readonly edge: RightEdge;
  readonly chain: Buffer;
  /** Called once when the log is closed, after its files. */
  readonly release: () => void;
}

type Done = (error: Error | null) => void;

/**
 * How long a record that nobody waits for may stay in memory. Outcomes are such: one lost in a crash leaves its intent
 * without one, which is what the log says of a statement whose end nobody saw.
 */
const UNAWAITED_MS = 20;

export class Writer implements AuditLog {
  readonly #log: WriterState;
  readonly #batch = new Batch();
  /** Records given a number, and those of them that are written, durable, and in the published checkpoint. */
  #size: number;
  #writtenSize: number;
  #durableSize = 0;
  #publishedSize = 0;
  #fd: number;
  #bytes: number;
  #chain: Buffer;
  /** Files that are full and not yet synced; closed after the sync. */
  #full: number[] = [];
  /** A file was created whose name is not yet durable. */
  #newName = true;
  #written: Done[] = [];
  /** In the order asked; sizes only grow. */
  #durable: { readonly size: number; readonly done: Done }[] = [];
  #flush: NodeJS.Immediate | null = null;
  #idle: NodeJS.Timeout | null = null;
  #checkpointTimer: NodeJS.Timeout | null = null;
  #checkpointDue = false;
  #syncing = false;
  #failure: CountersignError | null = null;
  #closing: Promise<void> | null = null;

  constructor(state: WriterState) {
    this.#log = state;
    this.#fd = state.fd;
    this.#bytes = state.bytes;
    this.#chain = state.chain;
    this.#size = state.edge.size;
    this.#writtenSize = this.#size;
  }

  append(draft: RecordDraft): number {
    if (this.#failure !== null) throw this.#failure;
    if (this.#closing !== null) throw new CountersignError('log_unwritable', 'the log is closed');
    return this.#append(draft);
  }

  #append(draft: RecordDraft): number {
    const { node, epoch, clock } = this.#log;
    const seq = this.#size;
    // Whatever throws, throws before anything has changed.
    const record = encodeRecord(draft, { seq, node, epoch, timeMs: clock.nowMs(), monoUs: clock.monoUs() });
    this.#batch.add(record);
    this.#size = seq + 1;
    // It rides the batch of whoever waits for a record next; where nobody does, it is written a little later.
    this.#idle ??= setTimeout(() => {
      this.#idle = null;
      this.#schedule();
    }, UNAWAITED_MS);
    return seq;
  }

  when(level: 'written' | 'durable', done: Done): void {
    if (level === 'written' && this.#log.durability === 'standard') this.#written.push(done);
    else this.#durable.push({ size: this.#size, done });
    this.#schedule();
  }

  #schedule(): void {
    this.#flush ??= setImmediate(() => {
      this.#flush = null;
      this.#writeBatch();
    });
  }

  #writeBatch(): void {
    if (this.#failure !== null) {
      this.#tellAll(this.#failure);
      return;
    }
    if (!this.#batch.isEmpty) {
      const sealed = this.#batch.seal(this.#chain, this.#size);
      try {
        if (this.#bytes > 0 && this.#bytes + sealed.bytes.length > this.#log.segmentBytes) this.#rotate();
        if (this.#bytes === 0) {
          const { origin, edge } = this.#log;
          this.#put(encodeHeader({ chain: this.#chain, edge: edge.peaks, first: this.#writtenSize, origin }));
        }
        this.#put(sealed.bytes);
      } catch (error) {
        this.#fail(error);
        return;
      }
      for (const hash of sealed.leafHashes) this.#log.edge.append(hash);
      this.#chain = sealed.chain;
      this.#writtenSize = this.#size;
      this.#armCheckpoint();
    }
    const written = this.#written;
    this.#written = [];
    for (const done of written) tell(done, null);
    this.#tellDurable();
    this.#sync();
  }

  #put(data: Buffer | string): void {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    const count = this.#log.files.write(this.#fd, bytes);
    // A file takes less than it is given when the disk is full. There is no going on behind half a batch.
    if (count !== bytes.length) throw new Error(`only ${count} of ${bytes.length} bytes were taken`);
    this.#bytes += count;
  }

  #rotate(): void {
    const fd = openSync(segmentPath(this.#log.dir, this.#writtenSize), 'ax', 0o600);
    this.#full.push(this.#fd);
    this.#fd = fd;
    this.#bytes = 0;
    this.#newName = true;
  }

  #armCheckpoint(): void {
    this.#checkpointTimer ??= setTimeout(() => {
      this.#checkpointTimer = null;
      this.#checkpointDue = true;
      this.#sync();
    }, CHECKPOINT_MS).unref();
  }

  /** Starts a sync if anyone waits for one and none runs; what comes meanwhile shares the next. */
  #sync(): void {
    const wanted = this.#durable.length > 0 || this.#checkpointDue;
    if (!wanted || this.#syncing || this.#failure !== null) return;
    const { dir, edge, origin, signer, files } = this.#log;
    // The tree is over exactly what is written: records of the turn now running are not in it yet.
    const size = edge.size;
    if (size === this.#durableSize && !(this.#checkpointDue && size > this.#publishedSize)) {
      this.#checkpointDue = false;
      return;
    }
    // Every sync of a closing log publishes, so the last checkpoint covers the last record.
    const publish = this.#checkpointDue || this.#closing !== null;
    const full = this.#full;
    const directory = this.#newName ? segmentsDir(dir) : null;
    const text = publish ? encodeCheckpoint(origin, size, edge.root(), signer) : '';
    this.#checkpointDue = false;
    this.#full = [];
    this.#newName = false;
    this.#syncing = true;
    files.sync(
      {
        fds: [...full, this.#fd],
        directory,
        checkpoint: publish ? { path: checkpointPath(dir), text } : null,
      },
      (error) => {
        this.#syncing = false;
        for (const fd of full) closeSync(fd);
        if (this.#failure !== null) return;
        if (error !== null) {
          this.#fail(error);
          return;
        }
        this.#durableSize = size;
        if (publish) this.#publishedSize = size;
        this.#tellDurable();
        this.#sync();
      },
    );
  }

  #tellDurable(): void {
    let ready = 0;
    while (ready < this.#durable.length && (this.#durable[ready]?.size ?? 0) <= this.#durableSize) ready++;
    if (ready === 0) return;
    const told = this.#durable.slice(0, ready);
    this.#durable = this.#durable.slice(ready);
    for (const { done } of told) tell(done, null);
  }

  #fail(cause: unknown): void {
    const detail = cause instanceof Error ? cause.message : String(cause);
    const error = new CountersignError('log_unwritable', 'the audit log cannot be written', {
      detail,
      cause,
    });
    this.#failure = error;
    if (this.#checkpointTimer !== null) clearTimeout(this.#checkpointTimer);
    this.#checkpointTimer = null;
    this.#tellAll(error);
    tell(() => this.#log.onFailure(error), null);
  }

  #tellAll(error: Error): void {
    const waiting = [...this.#written, ...this.#durable.map((waiter) => waiter.done)];
    this.#written = [];
    this.#durable = [];
    for (const done of waiting) tell(done, error);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      if (this.#failure === null) {
        this.#append({ type: 'stopped' });
        await new Promise<void>((resolve, reject) => {
          this.#durable.push({
            size: this.#size,
            done: (error) => (error === null ? resolve() : reject(error)),
          });
          this.#schedule();
        });
      }
    } finally {
      if (this.#checkpointTimer !== null) clearTimeout(this.#checkpointTimer);
      if (this.#idle !== null) clearTimeout(this.#idle);
      await this.#log.files.close();
      for (const fd of [...this.#full, this.#fd]) closeSync(fd);
      this.#log.release();
    }
  }
}

/** A mistake in one callback must neither stop the others nor pass for a failure of the log: it surfaces by itself. */
function tell(done: Done, error: Error | null): void {
  try {
    done(error);
  } catch (mistake) {
    process.nextTick(() => {
      throw mistake;
    });
  }
}
