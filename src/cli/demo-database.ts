// The demo's Postgres: PGlite in a process of its own (demo-engine.ts), reached over TCP like any other server.
// A process of its own because PGlite computes on the thread that calls it: in ours, a slow statement would stop the proxy.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { CountersignError } from '../base/errors.ts';
import type { EngineOptions, EngineReport } from './demo-engine.ts';

export interface DemoDatabase {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  /** PGlite asks for none and takes any. */
  readonly password: string;
  /** Ends the engine at once; what was in it is gone. */
  close(): Promise<void>;
}

const HOST = '127.0.0.1';

/**
 * Starts a Postgres in memory with a small shop: `customers` (200 rows), `products` (12), `orders` (2,000).
 * Port 0 takes a free one. Throws CountersignError `usage` when the port is taken.
 *
 * What differs from a real server, since all connections share ONE session of one engine:
 * - One statement at a time; a transaction left open by one connection makes all others wait for its end.
 * - SET, temporary tables, SQL-level PREPARE, LISTEN and advisory locks are seen by every connection, and last until
 *   the last one has gone. (Protocol-level prepared statements are kept apart by the engine's front.)
 * - Everybody is the superuser `postgres` in the database `postgres`, whatever the startup packet says.
 * - A statement cannot be cancelled: a CancelRequest is taken and does nothing.
 * - COPY … FROM STDIN is refused: it would end the engine.
 */
export async function startDemoDatabase({ port }: { readonly port: number }): Promise<DemoDatabase> {
  // From src we run under a TypeScript loader, from dist without one.
  const typescript = import.meta.url.endsWith('.ts');
  const entry = fileURLToPath(new URL(`./demo-engine.${typescript ? 'ts' : 'js'}`, import.meta.url));
  const options: EngineOptions = { host: HOST, port };
  const engine = fork(entry, [JSON.stringify(options)], {
    execArgv: typescript ? ['--import', 'tsx'] : [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const exited = once(engine, 'exit');
  const kill = (): void => {
    engine.kill('SIGKILL');
  };
  process.once('exit', kill);
  const close = async (): Promise<void> => {
    process.off('exit', kill);
    kill();
    await exited;
  };
  try {
    const report = await firstReport(engine);
    if ('port' in report) {
      return {
        host: HOST,
        port: report.port,
        database: 'postgres',
        user: 'postgres',
        password: 'demo',
        close,
      };
    }
    throw report.code === 'EADDRINUSE'
      ? new CountersignError('usage', `port ${port} on ${HOST} is taken`)
      : new CountersignError('internal', `the embedded Postgres did not start: ${report.error}`);
  } catch (error) {
    await close();
    throw error;
  }
}

function firstReport(engine: ChildProcess): Promise<EngineReport> {
  return new Promise((resolve, reject) => {
    engine.once('message', (report) => resolve(report as EngineReport));
    engine.once('error', reject);
    engine.once('exit', (code, signal) => {
      reject(new CountersignError('internal', `the embedded Postgres ended at once (${signal ?? code})`));
    });
  });
}
