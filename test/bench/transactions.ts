// Small reads through every target, in each of pgbench's protocol modes and with each number of clients.
// In simple mode every statement has a literal of its own, so no two texts are the same.
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench, Part } from './part.ts';
import { type Mode, type PgbenchRun, pgbench } from './pgbench.ts';
import type { Reading } from './readings.ts';
import type { RunningTarget } from './targets.ts';

const MODES: readonly Mode[] = ['simple', 'extended', 'prepared'];

/** A record in fewer bytes than this is none: what claims to judge and record every statement must have done so. */
const SMALLEST_RECORD = 100;

export const caseOf = (mode: Mode, clients: number): string =>
  `${mode}, ${clients} client${clients === 1 ? '' : 's'}`;

export const transactions: Part = {
  title: 'transactions (pgbench --select-only)',
  async round(bench: Bench): Promise<Reading[]> {
    const { flags, server, targets, say } = bench;
    const running: RunningTarget[] = [];
    for (const target of targets) running.push(await target.start());
    const readings: Reading[] = [];
    for (const mode of MODES) {
      for (const clients of flags.clients) {
        for (const target of running) {
          say(`${caseOf(mode, clients)}: ${target.name}`);
          const logged = logBytes(target);
          const run = await pgbench(target, server.login, { mode, clients, seconds: flags.seconds });
          readings.push({
            case: caseOf(mode, clients),
            target: target.name,
            values: valuesOf(run, target, logged),
          });
        }
      }
    }
    for (const target of running) await target.stop();
    return readings;
  },
};

function valuesOf(run: PgbenchRun, target: RunningTarget, loggedBefore: number | null): Reading['values'] {
  const { tps, latencyUs, cpuUs, latenciesUs } = run;
  const logged = logBytes(target);
  const perTransaction =
    logged === null || loggedBefore === null ? null : (logged - loggedBefore) / run.transactions;
  if (perTransaction !== null && perTransaction < SMALLEST_RECORD) {
    throw new Error(`${target.name} did not record what it let through`);
  }
  return {
    tps,
    latencyUs,
    ...(cpuUs === null ? {} : { cpuUs }),
    ...(latenciesUs === null
      ? {}
      : { p50Us: percentile(latenciesUs, 0.5), p99Us: percentile(latenciesUs, 0.99) }),
    ...(perTransaction === null ? {} : { logBytes: perTransaction }),
  };
}

/** Of values in ascending order: the smallest that at least `share` of them do not exceed. */
function percentile(ascending: Float64Array, share: number): number {
  return ascending[Math.max(0, Math.ceil(ascending.length * share) - 1)] ?? Number.NaN;
}

function logBytes({ logFolder }: RunningTarget): number | null {
  if (logFolder === null) return null;
  return readdirSync(logFolder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}
