// What parts hand to the report: numbers by case, target and metric, one for each round; and their medians.

/** Which target a number is compared with, and how. */
export interface Comparison {
  readonly to: 'direct' | 'splice';
  readonly how: 'ratio' | 'difference';
}

const RATIO_TO_BOTH: readonly Comparison[] = [
  { to: 'direct', how: 'ratio' },
  { to: 'splice', how: 'ratio' },
];
const RATIO_TO_SPLICE: readonly Comparison[] = [{ to: 'splice', how: 'ratio' }];
const ADDED: readonly Comparison[] = [{ to: 'direct', how: 'difference' }];

export interface MetricRow {
  readonly title: string;
  /** After the decimal point. */
  readonly digits: number;
  readonly compared: readonly Comparison[];
}

/** One row per thing that is measured. */
export const METRICS = {
  tps: { title: 'tps', digits: 0, compared: RATIO_TO_BOTH },
  cpuUs: { title: 'CPU µs', digits: 1, compared: RATIO_TO_SPLICE },
  latencyUs: { title: 'mean µs', digits: 0, compared: [] },
  p50Us: { title: 'p50 µs', digits: 0, compared: ADDED },
  p99Us: { title: 'p99 µs', digits: 0, compared: ADDED },
  logBytes: { title: 'log bytes', digits: 0, compared: [] },
  megabytesPerSecond: { title: 'MB/s', digits: 0, compared: RATIO_TO_BOTH },
  cpuUsPerMegabyte: { title: 'CPU µs/MB', digits: 0, compared: RATIO_TO_SPLICE },
  sessionKib: { title: 'KiB/session', digits: 1, compared: RATIO_TO_SPLICE },
  peakMib: { title: 'peak MiB', digits: 1, compared: RATIO_TO_SPLICE },
  keptMib: { title: 'kept MiB', digits: 1, compared: [] },
  startMs: { title: 'start ms', digits: 0, compared: RATIO_TO_SPLICE },
} as const satisfies Record<string, MetricRow>;

export type Metric = keyof typeof METRICS;

export interface Reading {
  /** What was done, as in "prepared, 16 clients". */
  readonly case: string;
  readonly target: string;
  readonly values: { readonly [Name in Metric]?: number };
}

/** All readings of one part, over all rounds. */
export class Readings {
  private readonly all: Reading[];
  constructor(all: readonly Reading[]) {
    this.all = [...all];
  }

  /** This target's median against that of the one it is compared with. Null: one of the two was not measured. */
  compared(name: string, target: string, metric: Metric, { to, how }: Comparison): number | null {
    const own = this.median(name, target, metric);
    const other = this.median(name, to, metric);
    if (own === null || other === null) return null;
    return how === 'ratio' ? own / other : own - other;
  }

  cases(): string[] {
    return [...new Set(this.all.map((reading) => reading.case))];
  }

  targets(): string[] {
    return [...new Set(this.all.map((reading) => reading.target))];
  }

  metrics(): Metric[] {
    return (Object.keys(METRICS) as Metric[]).filter((metric) =>
      this.all.some((reading) => reading.values[metric] !== undefined),
    );
  }

  values(name: string, target: string, metric: Metric): number[] {
    return this.all
      .filter((reading) => reading.case === name && reading.target === target)
      .flatMap((reading) => reading.values[metric] ?? []);
  }

  /** Null: not measured. */
  median(name: string, target: string, metric: Metric): number | null {
    const values = this.values(name, target, metric).sort((a, b) => a - b);
    if (values.length === 0) return null;
    const middle = Math.floor(values.length / 2);
    return values.length % 2 === 1 ? values[middle]! : (values[middle - 1]! + values[middle]!) / 2;
  }
}
