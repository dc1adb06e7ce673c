// What `rules backtest` found, for a person and for programs.
import type { Json } from '../audit/canonical.ts';
import {
  type BacktestReport,
  type Change,
  type ChangeGroup,
  NOT_JUDGED,
  type NotJudged,
  totalsOf,
} from '../rules/backtest.ts';
import { styled, type Terminal } from './terminal.ts';
import { clipped, visibleLine } from './visible.ts';

export interface About {
  /** Of the rules that judged. */
  readonly rules: string;
  readonly files: readonly string[];
  /** Times of the first and last statement. */
  readonly from: Json;
  readonly to: Json;
}

/** In the order in which they are shown, with the words for each. */
const SHOWN: readonly (readonly [Change, string, Parameters<typeof styled>[1]])[] = [
  ['held', 'newly held', 'yellow'],
  ['denied', 'newly denied', 'red'],
  ['let go', 'newly let go', 'green'],
];

export function backtestJson(report: BacktestReport, about: About) {
  const changed = (change: Change) => {
    const { count, agents, rules } = totalsOf(report.groups, change);
    return {
      count,
      by_agent: Object.fromEntries(agents),
      by_rule: Object.fromEntries(rules),
      groups: report.groups
        .filter((group) => group.change === change)
        .map(({ before, now, count: times, agents: by, examples }) => ({
          before,
          now,
          count: times,
          by_agent: Object.fromEntries(by),
          examples,
        })),
    };
  };
  return {
    ...about,
    statements: report.statements,
    judged: report.judged,
    distinct: report.distinct,
    not_judged: Object.fromEntries(report.notJudged),
    judged_as_not_understood: report.notUnderstood,
    not_in_the_log: Object.fromEntries(report.missing),
    newly_held: changed('held'),
    newly_denied: changed('denied'),
    newly_let_go: changed('let go'),
  };
}

export function backtestText(report: BacktestReport, about: About, terminal: Terminal): string {
  const lines = [
    field('statements', `${report.statements}, ${text(about.from)} to ${text(about.to)}`),
    field('rules', `${about.files.map(visibleLine).join(', ')} (${about.rules})`),
    field('judged', `${report.judged}, ${report.distinct} of them different`),
    ...[...report.notJudged].map(([why, count]) => field('not judged', `${count}: ${words(why)}`)),
    ...(report.notUnderstood === 0
      ? []
      : [field('note', `${report.notUnderstood} were judged as not understood, because the gate had not`)]),
    ...[...report.missing].map(([path, rules]) =>
      field(
        'note',
        `the log does not have ${path}, taken as ${NOTHING[path] ?? 'empty'}: ${rules.join(', ')}`,
      ),
    ),
  ];
  for (const [change, name, style] of SHOWN) {
    const { count, agents } = totalsOf(report.groups, change);
    lines.push('', styled(terminal, count === 0 ? 'dim' : style, field(name, String(count))));
    if (count === 0) continue;
    lines.push(field('  by agent', counts(agents)));
    for (const group of report.groups) {
      if (group.change === change) lines.push(...groupLines(group, terminal));
    }
  }
  return lines.join('\n');
}

const NOTHING: Readonly<Record<string, string>> = { 'session.tls': 'false' };
const LABEL_COLUMNS = 14;
const AGENTS_SHOWN = 10;

const field = (label: string, value: string): string => `${label.padEnd(LABEL_COLUMNS)}${value}`;
const text = (value: Json): string => (typeof value === 'string' ? visibleLine(value) : '-');
const words = (why: NotJudged): string => NOT_JUDGED[why];

function groupLines({ before, now, count, agents, examples }: ChangeGroup, terminal: Terminal): string[] {
  const said = `${before.action} by ${visibleLine(before.rule)} → ${now.action} by ${visibleLine(now.rule)}`;
  return [
    field('  by rule', `${said}: ${count} (${counts(agents)})`),
    ...examples.map((sql) => `${' '.repeat(LABEL_COLUMNS)}${clipped(sql, terminal.columns - LABEL_COLUMNS)}`),
  ];
}

function counts(times: ReadonlyMap<string, number>): string {
  const shown = [...times].slice(0, AGENTS_SHOWN).map(([name, count]) => `${visibleLine(name)} ${count}`);
  const more = times.size - shown.length;
  return `${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
