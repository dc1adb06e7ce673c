// The contract of the append-only log as the gate sees it. See README's "The log" and record.ts for the format.
import type { RecordDraft } from './record.ts';

export interface AuditLog {
  /**
   * Takes a record into the batch of this event-loop turn and returns its sequence number. Synchronous, does no I/O.
   * Throws CountersignError `log_unwritable` once the log has failed; it never recovers without a restart.
   */
  append(draft: RecordDraft): number;
  /**
   * Runs `done` once everything appended so far has reached the kernel (survives kill -9) or, for `durable`, the disk.
   * `done` gets the error when that will never happen. Callbacks of one level run in the order they were asked for.
   */
  when(level: 'written' | 'durable', done: (error: Error | null) => void): void;
  /** Writes, syncs, marks the end, closes. */
  close(): Promise<void>;
}
