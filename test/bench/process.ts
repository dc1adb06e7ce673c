// A proxy as a process: started, waited for, ended with the bench, and what the system's own account (/proc) says it
// took. Linux only, since other systems keep no such account that can be read without a library.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { atTheEnd } from './closings.ts';

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 15_000;
const POLL_MS = 3;

/** A process that ignores what the bench asks would outlive it: a shell ends it when the bench is gone (kill -9). */
const GUARD = `trap '' INT TERM HUP; read word && exit 0; kill -KILL "$1"`;

/**
 * For a Node of ours: SIGUSR2 makes it collect its garbage, so that its memory can be compared before and after. How
 * much garbage lies about is chance, worth more than a hundred sessions. Nothing of it runs until the signal comes.
 */
export const COLLECTABLE = [
  '--expose-gc',
  '--import',
  'data:text/javascript,process.on("SIGUSR2",()=>{globalThis.gc();globalThis.gc()})',
];

export interface ProxyCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** Where it will accept connections, on 127.0.0.1. */
  readonly port: number;
  /** Null: as who runs the bench. */
  readonly user?: { readonly uid: number; readonly gid: number } | null;
}

export interface ProxyProcess {
  readonly pid: number;
  /** From its start until a connection was accepted, milliseconds. */
  readonly startMs: number;
  /** Only where it was started as COLLECTABLE; others hear nothing. */
  collectGarbage(): void;
  stop(): Promise<void>;
}

export async function startProxy({ command, args, cwd, port, user }: ProxyCommand): Promise<ProxyProcess> {
  const startedAt = performance.now();
  const child = spawn(command, args, {
    cwd,
    env: { PATH: process.env['PATH'], NO_COLOR: '1' },
    // Its own group: Ctrl-C must reach the bench first, which then ends it in order.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(user ?? {}),
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      // Enough to say why it ended; a chatty one must not fill our memory.
      output = (output + chunk).slice(-4_000);
    });
  }
  const closed = once(child, 'close');
  closed.catch(() => {});
  const guard = spawn('/bin/sh', ['-c', GUARD, 'guard', String(child.pid)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  guard.stdin.on('error', () => {});
  const stop = atTheEnd(async () => {
    await end(child, closed);
    guard.stdin.end('done\n');
  });
  while (!(await accepts(port))) {
    if (hasEnded(child) || performance.now() - startedAt > START_TIMEOUT_MS) {
      await stop();
      throw new Error(`${command} ${args.join(' ')} did not accept connections:\n${output}`);
    }
    await delay(POLL_MS);
  }
  const startMs = performance.now() - startedAt;
  const collectGarbage = (): void => {
    if (COLLECTABLE.every((flag) => args.includes(flag))) child.kill('SIGUSR2');
  };
  return { pid: child.pid!, startMs, collectGarbage, stop };
}

function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
}

async function end(child: ChildProcess, closed: Promise<unknown>): Promise<void> {
  if (hasEnded(child)) return;
  child.kill('SIGTERM');
  const late = delay(STOP_TIMEOUT_MS, 'late', { ref: false });
  if ((await Promise.race([closed, late])) === 'late') {
    child.kill('SIGKILL');
    await closed;
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

let ticksPerSecond: number | null = null;

/** Processor time of a process, all its threads and all its children, user and system, in microseconds. */
export function cpuUs(pid: number): number {
  ticksPerSecond ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  let ticks = 0;
  for (const each of family(pid)) {
    const stat = readFileSync(`/proc/${each}/stat`, 'utf8');
    // "pid (name, which may hold anything) state …": utime and stime are fields 14 and 15 of proc(5).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return (ticks / ticksPerSecond) * 1e6;
}

/** Memory of a process and its children that is in RAM, KiB. */
export function residentKib(pid: number): number {
  let kib = 0;
  for (const each of family(pid)) {
    kib += Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${each}/status`, 'utf8'))?.[1] ?? 0);
  }
  return kib;
}

/** A process and those that it started, at any depth: workers count as much as the one that started them. */
function family(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap(family)];
}
