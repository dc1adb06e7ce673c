// One run of pgbench against one target, and what the proxy took for it. The first second only warms up: logging in and
// compiling hot code are not what is measured, so everything is counted between two of pgbench's progress lines.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { tempDir } from '../services/places.ts';
import { program } from '../services/programs.ts';
import { atTheEnd } from './closings.ts';
import { cpuUs } from './process.ts';
import { clientEnvironment, type Login } from './server.ts';
import type { RunningTarget } from './targets.ts';

export type Mode = 'simple' | 'extended' | 'prepared';

export interface PgbenchRun {
  readonly tps: number;
  readonly latencyUs: number;
  /** Processor time of the proxy per transaction; null when there is none. */
  readonly cpuUs: number | null;
  /** Every transaction's latency, ascending; null unless there was one client. */
  readonly latenciesUs: Float64Array | null;
  /** All that ran, those of the first second too. */
  readonly transactions: number;
}

const WARM_UP_SECONDS = 1;
/** pgbench ends without a progress line for its last second. */
const LAST_SECONDS = 1;
/** Beyond its time, before the run is given up: something is held, or hangs. */
const LATE_MS = 30_000;

interface Progress {
  /** Seconds since the epoch, by pgbench. */
  readonly at: number;
  readonly tps: number;
  readonly latencyMs: number;
  readonly cpuUs: number | null;
}

export async function pgbench(
  target: RunningTarget,
  login: Login,
  { mode, clients, seconds }: { mode: Mode; clients: number; seconds: number },
): Promise<PgbenchRun> {
  // With more clients the writing of so many lines would be part of what is measured.
  const folder = clients === 1 ? tempDir('pgbench') : null;
  const duration = seconds + WARM_UP_SECONDS + LAST_SECONDS;
  const args = ['--no-vacuum', '--select-only', `--protocol=${mode}`, `--client=${clients}`];
  args.push(`--jobs=${Math.min(clients, 2)}`, `--time=${duration}`, '--progress=1', '--progress-timestamp');
  if (folder !== null) args.push('--log', `--log-prefix=${join(folder, 'log')}`);
  const child = spawn(program('pgbench'), args, {
    env: clientEnvironment(login, target.host, target.port),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = atTheEnd(() => {
    child.kill('SIGKILL');
    if (folder !== null) rmSync(folder, { recursive: true, force: true });
  });
  const late = setTimeout(() => child.kill('SIGKILL'), duration * 1000 + LATE_MS);
  const progress: Progress[] = [];
  let stdout = '';
  let complaints = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
  });
  createInterface({ input: child.stderr }).on('line', (line) => {
    // At once, so that the processor time belongs to this line.
    const cpu = target.proxy === null ? null : cpuUs(target.proxy.pid);
    const match = /^progress: ([\d.]+) s, ([\d.]+) tps, lat (\S+) ms/.exec(line);
    if (match === null) complaints += `${line}\n`;
    else
      progress.push({
        at: Number(match[1]),
        tps: Number(match[2]),
        latencyMs: Number(match[3]),
        cpuUs: cpu,
      });
  });
  const [code] = await once(child, 'close');
  clearTimeout(late);
  try {
    const transactions = Number(/^number of transactions actually processed: (\d+)/m.exec(stdout)?.[1] ?? 0);
    const failed = Number(/^number of failed transactions: (\d+)/m.exec(stdout)?.[1] ?? 0);
    if (code !== 0 || failed > 0 || transactions === 0) {
      throw new Error(
        `pgbench through ${target.name} (${mode}, ${clients} clients) failed:\n${complaints}${stdout}`,
      );
    }
    const latenciesUs = folder === null ? null : latenciesAfter(folder, progress[0]?.at ?? 0);
    return { ...between(progress), latenciesUs, transactions };
  } finally {
    await ended();
  }
}

/** What happened from the first progress line to the last. */
function between(progress: readonly Progress[]): Pick<PgbenchRun, 'tps' | 'latencyUs' | 'cpuUs'> {
  const first = progress[0];
  const last = progress.at(-1);
  let count = 0;
  let latencyMs = 0;
  for (const [index, line] of progress.entries()) {
    const before = progress[index - 1];
    if (before === undefined) continue;
    // A line's rate is that of the time since the line before it.
    const transactions = line.tps * (line.at - before.at);
    count += transactions;
    latencyMs += transactions * line.latencyMs;
  }
  if (first === undefined || last === undefined || !(count > 0)) {
    throw new Error('pgbench printed too little progress to measure between');
  }
  return {
    tps: count / (last.at - first.at),
    latencyUs: (latencyMs / count) * 1000,
    cpuUs: last.cpuUs === null || first.cpuUs === null ? null : (last.cpuUs - first.cpuUs) / count,
  };
}

/** Latencies in pgbench's log of transactions that ended after `epochSeconds`, ascending. */
function latenciesAfter(folder: string, epochSeconds: number): Float64Array {
  const latencies: number[] = [];
  for (const file of readdirSync(folder)) {
    for (const line of readFileSync(join(folder, file), 'utf8').split('\n')) {
      // client, transaction, latency in µs, script, end in seconds and µs
      const [, , latencyUs, , seconds, micros] = line.split(' ').map(Number);
      if (micros !== undefined && seconds! + micros / 1e6 >= epochSeconds) latencies.push(latencyUs!);
    }
  }
  return Float64Array.from(latencies).sort();
}
