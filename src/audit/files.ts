// The file operations whose failure the log must survive without a lie: appending to a segment, and making it durable.
// An interface, so that tests can fail them; the real one syncs in a worker thread of its own, because in libuv's pool
// an fdatasync waits behind every password hash of a login storm.
import { writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';

/** In this order: data of each file, the folder (new names in it), and only then the checkpoint over that data. */
export interface SyncJob {
  readonly fds: readonly number[];
  /** A folder in which a file was created since the last job. */
  readonly directory: string | null;
  readonly checkpoint: { readonly path: string; readonly text: string } | null;
}

export interface LogFiles {
  /** Appends in one system call; returns how many bytes were taken. Throws what the system said. */
  write(fd: number, bytes: Buffer): number;
  /** One job at a time. `done` is called later, never from within. */
  sync(job: SyncJob, done: (error: Error | null) => void): void;
  close(): Promise<void>;
}

// Plain JavaScript in a string: a path to a worker's file would be one path from source and another once compiled.
const WORKER = `
const { parentPort } = require('node:worker_threads');
const fs = require('node:fs');
function syncFolder(path) {
  const fd = fs.openSync(path, 'r');
  try { fs.fsyncSync(fd); } finally { fs.closeSync(fd); }
}
parentPort.on('message', (job) => {
  try {
    for (const fd of job.fds) fs.fdatasyncSync(fd);
    if (job.directory !== null) syncFolder(job.directory);
    if (job.checkpoint !== null) {
      const next = job.checkpoint.path + '.next';
      const fd = fs.openSync(next, 'w', 0o600);
      try { fs.writeFileSync(fd, job.checkpoint.text); fs.fdatasyncSync(fd); } finally { fs.closeSync(fd); }
      fs.renameSync(next, job.checkpoint.path);
    }
    parentPort.postMessage(null);
  } catch (error) {
    parentPort.postMessage(String(error && error.message));
  }
});
`;

export function realFiles(): LogFiles {
  const worker = new Worker(WORKER, { eval: true, name: 'audit-sync', execArgv: [], stdin: false });
  // An idle log keeps no process alive; a running sync does.
  worker.unref();
  let waiting: ((error: Error | null) => void) | null = null;
  let gone: Error | null = null;
  const finish = (error: Error | null): void => {
    const done = waiting;
    waiting = null;
    worker.unref();
    done?.(error);
  };
  const lost = (error: Error): void => {
    gone ??= error;
    finish(gone);
  };
  worker.on('message', (problem: string | null) => finish(problem === null ? null : new Error(problem)));
  worker.on('error', (error) => lost(error instanceof Error ? error : new Error(String(error))));
  worker.on('exit', () => lost(new Error("the log's sync thread has ended")));
  return {
    write: (fd, bytes) => writeSync(fd, bytes),
    sync(job, done) {
      if (waiting !== null) throw new Error('a sync is running already');
      waiting = done;
      if (gone !== null) {
        setImmediate(lost, gone);
        return;
      }
      worker.ref();
      worker.postMessage(job);
    },
    async close() {
      worker.removeAllListeners();
      await worker.terminate();
    },
  };
}
