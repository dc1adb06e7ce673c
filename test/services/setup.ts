// Runs once around the whole suite: starts what test files ask for in shared.ts, and ends it afterwards.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { dockerAnswers } from './container.ts';
import { makeRunFolder, PROJECT, tempDir } from './places.ts';
import { postgresFromEnvironment, startPostgres } from './postgres.ts';
import { installMissing } from './programs.ts';
import { redisFromEnvironment, startRedis } from './redis.ts';
import type { Shared } from './shared.ts';

type Closing = () => Promise<void> | void;

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  // Before anything runs and in one go: an installation in the middle of a test would run into its time-out.
  if (!(await dockerAnswers())) {
    installMissing(['psql', 'pg_dump', 'pgbench']);
    if (postgresFromEnvironment() === null) installMissing(['postgres', 'initdb']);
    if (redisFromEnvironment() === null) installMissing(['redis-server']);
  }

  const removeRunFolder = makeRunFolder();
  const closings: Closing[] = [];
  const starters: { [Name in keyof Shared]: () => Promise<Shared[Name]> } = {
    postgres: async () => {
      const given = postgresFromEnvironment();
      if (given !== null) return given;
      const server = await startPostgres();
      closings.push(server.close);
      return server.address;
    },
    redis: async () => {
      const given = redisFromEnvironment();
      if (given !== null) return given;
      const server = await startRedis();
      closings.push(server.close);
      return server.address;
    },
    build: async () => {
      const built = await build();
      closings.push(() => rmSync(built.folder, { recursive: true, force: true }));
      return { main: built.main };
    },
  };

  const started = new Map<string, Promise<unknown>>();
  const start = (name: keyof Shared): Promise<unknown> => {
    const known = started.get(name) ?? starters[name]();
    started.set(name, known);
    return known;
  };
  const server = createServer((socket: Socket) => {
    socket.setEncoding('utf8');
    socket.on('error', () => {});
    socket.once('data', (line: string) => {
      start(line.trim() as keyof Shared).then(
        (value) => socket.end(JSON.stringify({ value })),
        (error: unknown) => socket.end(JSON.stringify({ error: reasonOf(error) })),
      );
    });
  });
  const socketPath = join(tempDir('services'), 'socket');
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socketPath, resolve);
  });
  project.provide('servicesSocket', socketPath);

  return async () => {
    server.close();
    await Promise.allSettled(started.values());
    await Promise.all(closings.map((close) => close()));
    removeRunFolder();
  };
}

/** An error and its causes: what did not come about, and why. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${reasonOf(error.cause)}`;
}

/**
 * Compiles src into a folder of this run. Inside node_modules so that libraries are found from there; with links
 * beside it so that files which the program looks for next to its dist folder are found too.
 */
async function build(): Promise<{ folder: string; main: string }> {
  const folder = join(PROJECT, 'node_modules', '.cache', 'countersign-test', String(process.pid));
  mkdirSync(folder, { recursive: true });
  for (const name of ['package.json', 'rules']) symlinkSync(join(PROJECT, name), join(folder, name));
  const outDir = join(folder, 'dist');
  const output = await new Promise<string>((resolve) => {
    const args = [
      join(PROJECT, 'node_modules', '.bin', 'tsc'),
      '-p',
      join(PROJECT, 'tsconfig.build.json'),
      '--outDir',
      outDir,
    ];
    // Type errors do not stop the compiler from writing, nor us from testing: `npm run check` is for those.
    execFile(process.execPath, args, { cwd: PROJECT }, (_, stdout, stderr) => resolve(stdout + stderr));
  });
  const main = join(outDir, 'cli', 'main.js');
  if (!existsSync(main)) throw new Error(`src/cli/main.ts could not be compiled:\n${output}`);
  return { folder, main };
}
