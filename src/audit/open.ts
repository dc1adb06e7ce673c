// Opening a log to write on it: takes the lock, finds how the last process left it, cuts what was never acknowledged,
// and says so in the log itself before anyone else may.
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { CountersignError } from '../base/errors.ts';
import { encodeCheckpoint } from './checkpoint.ts';
import { type LogFiles, realFiles } from './files.ts';
import { firstChain } from './line.ts';
import { takeLock } from './lock.ts';
import type { AuditLog } from './log.ts';
import type { NoteSigner } from './note.ts';
import { type Found, findLog, removeLeftovers, rewriteSegment, syncFolder } from './recover.ts';
import { checkpointPath, lockPath, segmentPath, segmentsDir } from './segments.ts';
import { RightEdge } from './tree.ts';
import { type Durability, Writer } from './writer.ts';

/** What audit.md reckons a verifier or a restart reads in a second. */
const SEGMENT_BYTES = 64 * 1024 * 1024;

export interface LogOptions {
  /** Made, with mode 0700, when it is not there. */
  readonly dir: string;
  /** Stands in every record. */
  readonly node: string;
  /** Countersign's own version, for the `started` record. */
  readonly version: string;
  /** null: the checkpoint is not signed. A log keeps the key it was begun with, or the lack of one. */
  readonly signer: NoteSigner | null;
  readonly durability: Durability;
  readonly clock: Clock;
  /** Called once, when the log has failed: nothing may be forwarded any more. */
  readonly onFailure: (error: CountersignError) => void;
  readonly segmentBytes?: number;
  readonly files?: LogFiles;
}

export interface OpenedLog {
  readonly log: AuditLog;
  /** Records that were there before. */
  readonly size: number;
  /** Set when the last process did not stop cleanly: what was found and done about it. */
  readonly recovered: { readonly cutBytes: number; readonly openIntents: readonly number[] } | null;
}

/**
 * Rejects with CountersignError: `log_unwritable` when the folder or disk will not have it, `log_invalid` for a damaged
 * log, `config` when another process writes it. When it resolves, `started` is durable.
 */
export async function openLog(options: LogOptions): Promise<OpenedLog> {
  const dir = resolve(options.dir);
  const lock = attempt(dir, () => {
    makeFolder(segmentsDir(dir));
    return takeLock(lockPath(dir));
  });
  let fd: number | null = null;
  let files: LogFiles | null = null;
  let writer: Writer | null = null;
  try {
    removeLeftovers(dir);
    const found = findLog(dir, options.signer);
    files = options.files ?? realFiles();
    const ready = found ?? (await beginLog(dir, options, files));
    if (ready.unclean) {
      attempt(dir, () => rewriteSegment(ready.segment.path, ready.segment.bytes));
      syncFolder(segmentsDir(dir));
    }
    fd = attempt(dir, () => openSync(ready.segment.path, 'a', 0o600));
    writer = new Writer({
      dir,
      node: options.node,
      epoch: 1,
      origin: ready.origin,
      signer: options.signer,
      durability: options.durability,
      segmentBytes: options.segmentBytes ?? SEGMENT_BYTES,
      clock: options.clock,
      files,
      onFailure: options.onFailure,
      fd,
      bytes: ready.segment.bytes,
      edge: ready.edge,
      chain: ready.chain,
      release: lock.release,
    });
    const size = ready.edge.size;
    if (ready.unclean) {
      writer.append({
        type: 'recovered',
        cutBytes: ready.cutBytes,
        cutSha256: ready.cutSha256,
        openIntents: ready.openIntents,
      });
    }
    writer.append({ type: 'started', version: options.version });
    await durable(writer);
    const { cutBytes, openIntents } = ready;
    return { log: writer, size, recovered: ready.unclean ? { cutBytes, openIntents } : null };
  } catch (error) {
    if (writer !== null) await writer.close();
    else {
      await files?.close();
      if (fd !== null) closeSync(fd);
      lock.release();
    }
    throw error;
  }
}

/** A log of no records. Its checkpoint comes first: segments without one are a sign that it was taken away. */
async function beginLog(dir: string, options: LogOptions, files: LogFiles): Promise<Found> {
  const origin = options.signer?.name ?? `countersign/${options.node}`;
  const edge = new RightEdge();
  const text = encodeCheckpoint(origin, 0, edge.root(), options.signer);
  await new Promise<void>((done, failed) => {
    files.sync({ fds: [], directory: dir, checkpoint: { path: checkpointPath(dir), text } }, (error) =>
      error === null ? done() : failed(unwritable(dir, error)),
    );
  });
  return {
    origin,
    edge,
    chain: firstChain(origin),
    segment: { path: segmentPath(dir, 0), bytes: 0 },
    unclean: false,
    cutBytes: 0,
    cutSha256: '',
    openIntents: [],
  };
}

/** With its parents. Node's own recursive mkdir never returns where a file system makes no folders, as under /proc. */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  if (!existsSync(dirname(path))) makeFolder(dirname(path));
  mkdirSync(path, { mode: 0o700 });
}

function durable(log: AuditLog): Promise<void> {
  return new Promise((done, failed) => {
    log.when('durable', (error) => (error === null ? done() : failed(error)));
  });
}

function attempt<Result>(dir: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw error instanceof CountersignError ? error : unwritable(dir, error);
  }
}

function unwritable(dir: string, cause: unknown): CountersignError {
  // The operator reads this at the start; a client never does.
  const why = cause instanceof Error ? cause.message : String(cause);
  return new CountersignError('log_unwritable', `the audit log in ${dir} cannot be written: ${why}`, {
    cause,
  });
}
