// A hold's impact in words, line by line: what an approver reads between the statement and the decision. All numbers of
// rows are estimates, and say so. sheet.ts sets the lines; names in them are as hostile as any other word of an agent's.
import type { HoldDocument } from '../holds/document.ts';
import type { Body, Impact, LockNeed, Rows } from '../sql/impact.ts';

/** `quote`: text that an agent wrote, to be set behind the margin. */
export type ImpactLine = { readonly label: string; readonly value: string } | { readonly quote: string };

export function impactLines(hold: Pick<HoldDocument, 'impact' | 'impact_truncated'>): ImpactLine[] {
  const { impact } = hold;
  const lines = impact.flatMap((one, i) => [
    ...(impact.length > 1 ? [line(`Statement ${i + 1}`, one.tag === '' ? 'not understood' : one.tag)] : []),
    ...linesOf(one),
  ]);
  return hold.impact_truncated ? [...lines, line('Impact', 'more than is shown here')] : lines;
}

const line = (label: string, value: string): ImpactLine => ({ label, value });

function linesOf(impact: Impact): ImpactLine[] {
  const { rows, relations, locks, cascades, triggers, dependents, body, unknown } = impact;
  return [
    ...(rows === null ? [] : rows.known ? rowLines(rows) : [line('Rows', `UNKNOWN: ${rows.why}`)]),
    ...relations.map(({ relation, kind, bytes, rows: all }) =>
      line('Size', `${relation}: ${kind}, ${sizeText(bytes)}${all === null ? '' : `, ${about(all)} in all`}`),
    ),
    ...locks.filter(isWorthTelling).map((lock) => line('Lock', lockText(lock))),
    ...cascades.map(({ constraint, relation, action, rows: all }) =>
      line(
        'Foreign key',
        `${constraint} of ${relation}: ${action}${all === null ? '' : ` (${about(all)} in all)`}`,
      ),
    ),
    ...triggers.map(({ trigger, relation, calls }) =>
      line('Trigger', `${trigger} on ${relation} calls ${calls}`),
    ),
    ...(dependents.length === 0 ? [] : [line('Takes along', dependents.join('; '))]),
    ...(body === null ? [] : bodyLines(body)),
    ...unknown.map((what) => line('Not known', what)),
  ];
}

function rowLines(rows: Rows): ImpactLine[] {
  const { writes, scans, returns, gathers, generic } = rows;
  const note = generic ? ', for any parameters' : '';
  return [
    ...writes.map(({ kind, relation, rows: written }) =>
      line('Would', `${kind} ${about(written)} ${PREPOSITIONS[kind]} ${relation} (by plan${note})`),
    ),
    ...(returns > 0 ? [line('Returns', `${about(returns)} (by plan${note})`)] : []),
    ...(gathers > 0 ? [line('Gathers', `${about(gathers)} into values`)] : []),
    ...scans.map(({ relation, scan, rows: read }) =>
      line('Reads', `${about(read)} of ${relation} (${scan})`),
    ),
  ];
}

const PREPOSITIONS: Readonly<Record<Rows['writes'][number]['kind'], string>> = {
  insert: 'into',
  update: 'of',
  delete: 'from',
  merge: 'into',
};

/** What every read takes is news only where somebody is in its way. */
const isWorthTelling = ({ mode, blockers }: LockNeed): boolean =>
  mode !== 'ACCESS SHARE' || (blockers ?? 0) > 0;

function lockText({ relation, mode, rewrites, blockers, waiting }: LockNeed): string {
  const parts = [`${mode} on ${relation}`];
  if (rewrites === true) parts.push('rewrites it');
  if (rewrites === null) parts.push('may rewrite it');
  if (blockers === null) parts.push('who is in the way is not known');
  else if (blockers > 0) {
    parts.push(`${sessions(blockers)} in its way now, and all that comes after would wait behind it`);
  }
  if (waiting !== null && waiting > 0) parts.push(`${sessions(waiting)} waiting there already`);
  return parts.join('; ');
}

function bodyLines(body: Body): ImpactLine[] {
  if (body.unread !== null) return [line('Body', body.unread)];
  const lines = body.statements.flatMap(({ line: at, text, dynamic, tags, classes }): ImpactLine[] => {
    const what = dynamic ? 'EXECUTE of text that is made while it runs' : tags.join(', ') || 'an expression';
    const where = at > 0 ? `line ${at}: ` : '';
    return [line('Body', `${where}${what}${dynamic ? '' : ` (${classes.join(', ')})`}`), { quote: text }];
  });
  return [
    ...(lines.length === 0 ? [line('Body', 'no SQL statement in it')] : lines),
    ...(body.cut ? [line('Body', 'more statements than are shown')] : []),
  ];
}

const number = (value: number): string => Math.round(value).toLocaleString('en-US');
const about = (rows: number): string => `about ${number(rows)} ${Math.round(rows) === 1 ? 'row' : 'rows'}`;
const sessions = (count: number): string => `${number(count)} ${count === 1 ? 'session' : 'sessions'}`;

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

function sizeText(bytes: number): string {
  let [value, unit] = [bytes, 0];
  for (; value >= 1024 && unit < UNITS.length - 1; value /= 1024) unit++;
  return `${unit === 0 ? number(value) : value.toLocaleString('en-US', { maximumFractionDigits: 1 })} ${UNITS[unit]}`;
}
