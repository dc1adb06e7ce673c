// Places of a test's own: a free port, a folder that goes away, the project's root and its vectors.
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
export const VECTORS = join(PROJECT, 'test', 'vectors');
/** Certificates of the suite; see the README beside them. */
export const TLS = join(VECTORS, 'tls');

/** Below what Linux, macOS and Windows give to outgoing connections. */
const PORTS = { first: 20_000, last: 30_000 } as const;

/**
 * A port that nobody listens on. Not one that the system picks: those are also given to outgoing connections, and who
 * keeps trying to connect to such a port until a server comes up may in the end have connected to himself.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(PORTS.first, PORTS.last);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

// One folder above all that a run makes: setup.ts removes it at the end, since not every worker ends in order.
const RUN_FOLDER = 'COUNTERSIGN_TEST_RUN_FOLDER';

/** Makes the folder of this run, for this process and all that it starts. Returns how to remove it. */
export function makeRunFolder(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-run-'));
  // Postgres, which runs as another user, must get through to its data.
  chmodSync(folder, 0o711);
  process.env[RUN_FOLDER] = folder;
  // A run that is interrupted removes nothing itself: a shell that outlives us does, when our end of its stdin closes.
  const guard = spawn(
    '/bin/sh',
    ['-c', `trap '' INT TERM HUP; read word; sleep 2; rm -rf "$1"`, 'guard', folder],
    {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    },
  );
  guard.unref();
  return () => rmSync(folder, { recursive: true, force: true });
}

/** A new empty folder, removed when the run ends. */
export function tempDir(purpose = 'test'): string {
  return mkdtempSync(join(process.env[RUN_FOLDER] ?? tmpdir(), `${purpose}-`));
}
