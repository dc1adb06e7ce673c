// Places of a test's own: a free port, a folder that goes away, the project's root and its vectors.
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
export const VECTORS = join(PROJECT, 'test', 'vectors');
/** Certificates of the suite; see the README beside them. */
export const TLS = join(VECTORS, 'tls');

/** A TCP port on 127.0.0.1 that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        if (address === null || typeof address === 'string') reject(new Error('no TCP address'));
        else resolve(address.port);
      });
    });
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
