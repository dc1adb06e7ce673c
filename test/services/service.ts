// A server that tests can hurt: paused, killed, stopped, started again on the same port with the same data.
// Here as a process of this machine; container.ts gives the same as a container.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from './wait.ts';

export interface Service {
  /** Stops answering without closing anything, as a hung machine does. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Ends it in order. Data stays. */
  stop(): Promise<void>;
  /** Ends it as a power cut does. Data stays. */
  kill(): Promise<void>;
  /** Starts it again after stop or kill; returns once it answers. */
  start(): Promise<void>;
  /** Ends it and removes what it left. */
  close(): Promise<void>;
}

export interface ProcessOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Its data; removed on close. Also its working directory. */
  readonly folder: string;
  readonly logFile: string;
  readonly user: { readonly uid: number; readonly gid: number } | null;
  readonly stopSignal: 'SIGTERM' | 'SIGINT';
  /** Throws until the server answers. */
  readonly answers: () => Promise<void>;
}

// A shell that outlives us: when our end of its stdin closes without a word (kill -9 of the test run), it ends the
// server and removes its folder. SIGCONT first, since a paused process cannot die in order.
const GUARD = `
trap '' INT TERM HUP
read word && exit 0
pids="$1 $(cat /proc/$1/task/$1/children 2>/dev/null)"
kill -CONT $pids 2>/dev/null
kill -QUIT $1 2>/dev/null
sleep 1
kill -KILL $pids 2>/dev/null
rm -rf "$2"
`;

export async function startProcess(options: ProcessOptions): Promise<Service> {
  let child: ChildProcess | null = null;
  let guard: ChildProcess | null = null;
  const dismissGuard = (): void => {
    guard?.stdin?.on('error', () => {});
    guard?.stdin?.end('done\n');
    guard = null;
  };

  const start = async (): Promise<void> => {
    const log = openSync(options.logFile, 'a');
    const started = spawn(options.command, options.args, {
      cwd: options.folder,
      // Its own session: Ctrl-C on the test run must reach the run first, which then ends us in order.
      detached: true,
      stdio: ['ignore', log, log],
      ...(options.user ?? {}),
    });
    closeSync(log);
    child = started;
    const failed = new Promise<never>((_, reject) => {
      started.once('error', reject);
      started.once('exit', (code, signal) => {
        const tail = existsSync(options.logFile)
          ? readFileSync(options.logFile, 'utf8').split('\n').slice(-20).join('\n')
          : '';
        reject(new Error(`${options.command} ended at once (${signal ?? code}):\n${tail}`));
      });
    });
    dismissGuard();
    guard = spawn('/bin/sh', ['-c', GUARD, 'guard', String(started.pid), options.folder], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    // Neither may keep the test run alive.
    guard.unref();
    started.unref();
    const ready = eventually(options.answers, { timeoutMs: 60_000, what: `${options.command} answering` });
    ready.catch(() => {});
    failed.catch(() => {});
    await Promise.race([ready, failed]);
  };

  /** Sends a signal to the server and to every process that it started. */
  const signalAll = (signal: NodeJS.Signals): void => {
    if (child?.pid === undefined || hasEnded(child)) return;
    // The list first, since a dead parent has no children; then the parent, lest it start new ones for those that die.
    const children = childrenOf(child.pid);
    child.kill(signal);
    for (const pid of children) {
      try {
        process.kill(pid, signal);
      } catch {
        // It ended by itself in between.
      }
    }
  };

  const end = async (how: () => void): Promise<void> => {
    const ending = child;
    if (ending !== null && !hasEnded(ending)) {
      // While we wait for it, it must keep the run alive, or the run ends before the clean-up after us.
      ending.ref();
      const exit = once(ending, 'exit');
      how();
      // A server that does not obey must not hang the run. unref: the bound itself must not either.
      const bound = delay(15_000, 'late', { ref: false });
      if ((await Promise.race([exit, bound])) === 'late') {
        signalAll('SIGKILL');
        await exit;
      }
    }
    child = null;
  };

  const stop = (): Promise<void> =>
    end(() => {
      signalAll('SIGCONT');
      child?.kill(options.stopSignal);
    });

  const service: Service = {
    pause: async () => signalAll('SIGSTOP'),
    resume: async () => signalAll('SIGCONT'),
    stop,
    kill: () => end(() => signalAll('SIGKILL')),
    start,
    close: async () => {
      await stop();
      dismissGuard();
      rmSync(options.folder, { recursive: true, force: true });
    },
  };
  try {
    await start();
  } catch (error) {
    await service.close();
    throw error;
  }
  return service;
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Direct children by /proc. Where there is no /proc the parent alone gets the signal. */
function childrenOf(parent: number): number[] {
  if (!existsSync('/proc/self/stat')) return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        // "pid (name, which may hold anything) state ppid …"
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent;
      } catch {
        return false;
      }
    })
    .map(Number);
}
