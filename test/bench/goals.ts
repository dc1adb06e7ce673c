// The few numbers that the project has set itself goals for, taken out of all that was measured. Ratios of medians of
// one run: times of different machines, or of different days on this one, cannot be compared.
import { BULK_CASE } from './bulk.ts';
import { IDLE_CASE } from './idle.ts';
import { MEMORY_CASE } from './memory.ts';
import type { Metric, Readings } from './readings.ts';
import { caseOf } from './transactions.ts';

interface Goal {
  readonly what: string;
  readonly part: string;
  readonly case: string;
  readonly metric: Metric;
  readonly against: string | null;
  readonly how: 'ratio' | 'difference' | 'value';
  readonly most?: number;
  readonly least?: number;
  readonly unit: string;
}

export interface Outcome {
  readonly what: string;
  readonly target: string;
  readonly value: number;
  readonly unit: string;
  readonly goal: string;
  readonly met: boolean;
}

function goalsFor(clients: readonly number[]): Goal[] {
  const many = Math.max(...clients);
  const [simple, prepared, alone] = [caseOf('simple', many), caseOf('prepared', many), caseOf('prepared', 1)];
  const transactions = { part: 'transactions', how: 'ratio', unit: '×' } as const;
  const added = {
    part: 'transactions',
    case: alone,
    against: 'direct',
    how: 'difference',
    unit: 'µs',
  } as const;
  return [
    {
      ...transactions,
      what: `CPU, ${prepared}, against the splice`,
      case: prepared,
      metric: 'cpuUs',
      against: 'splice',
      most: 1.15,
    },
    {
      ...transactions,
      what: `CPU, ${simple}, against the splice`,
      case: simple,
      metric: 'cpuUs',
      against: 'splice',
      most: 2,
    },
    {
      ...transactions,
      what: `throughput, ${prepared}, against pgbouncer`,
      case: prepared,
      metric: 'tps',
      against: 'pgbouncer',
      least: 0.6,
    },
    { ...added, what: `added latency, ${alone}, p50`, metric: 'p50Us', most: 60 },
    { ...added, what: `added latency, ${alone}, p99`, metric: 'p99Us', most: 400 },
    {
      what: 'bulk relay against direct',
      part: 'bulk',
      case: BULK_CASE,
      metric: 'megabytesPerSecond',
      against: 'direct',
      how: 'ratio',
      unit: '×',
      least: 0.9,
    },
    {
      what: 'memory per idle session',
      part: 'idle',
      case: IDLE_CASE,
      metric: 'sessionKib',
      against: null,
      how: 'value',
      unit: 'KiB',
      most: 40,
    },
    {
      what: `memory over idle, ${MEMORY_CASE}, at its highest`,
      part: 'memory',
      case: MEMORY_CASE,
      metric: 'peakMib',
      against: null,
      how: 'value',
      unit: 'MiB',
      most: 2,
    },
    {
      what: 'start to accepting connections',
      part: 'idle',
      case: IDLE_CASE,
      metric: 'startMs',
      against: null,
      how: 'value',
      unit: 'ms',
      most: 500,
    },
  ];
}

/** What was not measured, as against a pgbouncer that is not installed, is left out. */
export function outcomes(results: ReadonlyMap<string, Readings>, clients: readonly number[]): Outcome[] {
  return goalsFor(clients).flatMap((goal) => {
    const readings = results.get(goal.part);
    if (readings === undefined) return [];
    const { what, unit, most = Number.POSITIVE_INFINITY, least = Number.NEGATIVE_INFINITY } = goal;
    return readings
      .targets()
      .filter((target) => target.startsWith('countersign'))
      .flatMap((target) => {
        const value = measured(readings, goal, target);
        if (value === null) return [];
        const text = goal.most === undefined ? `≥ ${least}` : `≤ ${most}`;
        return [{ what, target, value, unit, goal: `${text} ${unit}`, met: value <= most && value >= least }];
      });
  });
}

function measured(readings: Readings, goal: Goal, target: string): number | null {
  const own = readings.median(goal.case, target, goal.metric);
  if (goal.how === 'value' || own === null) return own;
  const other = readings.median(goal.case, goal.against ?? '', goal.metric);
  if (other === null) return null;
  return goal.how === 'ratio' ? own / other : own - other;
}
