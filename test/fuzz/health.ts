// What a proxy must give back when its clients are gone: memory, file descriptors, sessions on the server. And what it
// must never say: that it has met a fault of its own.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { SCOUT_NAME } from '../../src/gate/scout.ts';
import { eventually } from '../services/wait.ts';
import type { Ground, RunningProxy } from './ground.ts';

export const MEMORY_FILE = 'memory.json';
const MIB = 1024 * 1024;

/** Environment in which a Node of ours, on SIGUSR2, collects its garbage and writes down what is left. */
export function memoryHook(file: string): Record<string, string> {
  const code = `
    import { setFlagsFromString } from 'node:v8';
    import { runInNewContext } from 'node:vm';
    import { writeFileSync, renameSync } from 'node:fs';
    process.on('SIGUSR2', () => {
      setFlagsFromString('--expose-gc');
      const gc = runInNewContext('gc');
      gc();
      gc();
      writeFileSync(${JSON.stringify(file)} + '.new', JSON.stringify(process.memoryUsage()));
      renameSync(${JSON.stringify(file)} + '.new', ${JSON.stringify(file)});
    });`;
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}` };
}

export interface Health {
  /** Garbage collected: heap and what Buffers hold, bytes. */
  readonly memory: number;
  readonly files: number;
}

/** How a proxy stands that has no client. */
export async function healthOf(proxy: RunningProxy): Promise<Health> {
  rmSync(proxy.memoryFile, { force: true });
  proxy.running.signal('SIGUSR2');
  await eventually(() => existsSync(proxy.memoryFile), {
    timeoutMs: 30_000,
    what: 'the garbage being collected',
  });
  const { heapUsed, external } = JSON.parse(readFileSync(proxy.memoryFile, 'utf8')) as NodeJS.MemoryUsage;
  return { memory: heapUsed + external, files: readdirSync(`/proc/${proxy.running.pid}/fd`).length };
}

/** Waits until the server has no session of an agent's any more. */
export async function noSessions(ground: Ground): Promise<void> {
  await eventually(
    async () => {
      const left = await ground.look(
        `SELECT datname, state, query FROM pg_stat_activity
         WHERE usename = 'countersign' AND application_name <> '${SCOUT_NAME}'`,
      );
      if (left.length > 0) throw new Error(`still there: ${JSON.stringify(left)}`);
      return true;
    },
    { timeoutMs: 30_000, what: 'the end of every session on the server' },
  );
}

/** Caches fill up once, and a log's segment more or less is open. Nothing may grow with what was said. */
const MEMORY_GROWTH_MAX = 48 * MIB;
const FILES_GROWTH_MAX = 3;

export function leaks(name: string, before: Health, now: Health): string[] {
  const found: string[] = [];
  if (now.memory > before.memory + MEMORY_GROWTH_MAX) {
    found.push(
      `memory of the proxy with ${name} rules went from ${toMib(before.memory)} to ${toMib(now.memory)} MiB`,
    );
  }
  if (now.files > before.files + FILES_GROWTH_MAX) {
    found.push(`the proxy with ${name} rules has ${now.files} open files, and had ${before.files}`);
  }
  return found;
}

export const toMib = (bytes: number): number => Math.round(bytes / MIB);

/** Lines of the operator's log that tell of a fault of the proxy's own. */
export function faultsIn(stderr: string): string[] {
  return stderr
    .split('\n')
    .filter((line) =>
      /"msg":"(session|start-up|sweep|hold store|shutdown|audit log)"|UnexpectedAnswer|unexpected answer/.test(
        line,
      ),
    );
}
