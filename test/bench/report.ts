// What was measured, for people as tables and for programs as one object.

import type { Flags } from './flags.ts';
import { outcomes } from './goals.ts';
import type { Machine } from './machine.ts';
import { PARTS } from './parts.ts';
import { type Comparison, METRICS, type MetricRow, type Readings } from './readings.ts';

export interface Results {
  readonly machine: Machine;
  readonly flags: Flags;
  /** What was left out, and why. */
  readonly notes: readonly string[];
  readonly parts: ReadonlyMap<string, Readings>;
}

export function asJson({ machine, flags, notes, parts }: Results): string {
  const { rounds, seconds, clients } = flags;
  const measured = [...parts].map(([part, readings]) => ({
    part,
    results: readings.cases().flatMap((name) =>
      readings.targets().map((target) => ({
        case: name,
        target,
        medians: Object.fromEntries(
          readings.metrics().map((metric) => [metric, readings.median(name, target, metric)]),
        ),
        values: Object.fromEntries(
          readings.metrics().map((metric) => [metric, readings.values(name, target, metric)]),
        ),
      })),
    ),
  }));
  const goals = outcomes(parts, clients);
  return `${JSON.stringify({ machine, rounds, seconds, clients, notes, parts: measured, goals }, null, 2)}\n`;
}

export function asText({ machine, flags, notes, parts }: Results): string {
  const { cores, cpu, system, node, postgres, loadAverage } = machine;
  const { rounds, seconds } = flags;
  const lines = [
    `${cores} cores, ${cpu}, ${system}`,
    `Node ${node}, Postgres ${postgres} (private, fsync off), load average before: ${loadAverage}`,
    `Medians of ${rounds} round${rounds === 1 ? '' : 's'}, pgbench runs of ${seconds} s after 1 s to warm up`,
    ...notes,
  ];
  for (const [part, readings] of parts) lines.push('', ...tableOf(PARTS[part]?.title ?? part, readings));
  const goals = outcomes(parts, flags.clients);
  if (goals.length > 0) {
    lines.push('', 'goals');
    lines.push(
      ...aligned(
        goals.map(({ what, target, value, unit, goal, met }) => [
          what,
          target,
          `${value.toFixed(unit === '×' ? 2 : 1)} ${unit}`,
          goal,
          met ? 'met' : 'missed',
        ]),
        2,
      ),
    );
  }
  return `${lines.join('\n')}\n`;
}

/** One row for each case and target; behind each number what it is compared with the splice, and with no proxy. */
function tableOf(title: string, readings: Readings): string[] {
  const metrics = readings.metrics();
  const rowOf = (metric: (typeof metrics)[number]): MetricRow => METRICS[metric];
  const header = [
    'case',
    'target',
    ...metrics.flatMap((metric) => [rowOf(metric).title, ...rowOf(metric).compared.map(headerOf)]),
  ];
  const rows = readings.cases().flatMap((name) =>
    readings
      .targets()
      .filter((target) => metrics.some((metric) => readings.median(name, target, metric) !== null))
      .map((target, index) => [
        index === 0 ? name : '',
        target,
        ...metrics.flatMap((metric) => {
          const { digits, compared } = rowOf(metric);
          return [
            cell(readings.median(name, target, metric), digits),
            ...compared.map((comparison) =>
              cell(
                readings.compared(name, target, metric, comparison),
                comparison.how === 'ratio' ? 2 : digits,
              ),
            ),
          ];
        }),
      ]),
  );
  return [title, ...aligned([header, ...rows], 2)];
}

const headerOf = ({ to, how }: Comparison): string => (how === 'ratio' ? `÷ ${to}` : `− ${to}`);

const cell = (value: number | null, digits: number): string => (value === null ? '–' : value.toFixed(digits));

/** Columns two blanks apart: the first `left` to the left, numbers to the right. */
function aligned(rows: readonly (readonly string[])[], left: number): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((text, column) =>
        column < left ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
}
