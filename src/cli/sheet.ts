// A hold on paper: everything an approver needs to decide, at 80 columns. Every word of it that an agent chose goes
// through visible.ts and stands behind a margin, so that a statement cannot pretend to be our own text.
import type { HoldDocument } from '../holds/document.ts';
import { impactLines } from './impact-lines.ts';
import { styled, type Terminal } from './terminal.ts';
import { clipped, proseLines, visibleLine, visibleLines, widthOf } from './visible.ts';

const LABEL_COLUMNS = 14;
const MARGIN = '  │ ';

export function holdSheet(terminal: Terminal, hold: HoldDocument, nowMs: number): string {
  const { statement } = hold;
  const lines = [
    `${styled(terminal, 'bold', hold.id)}  ${stateWord(terminal, hold)}  ${progress(hold, nowMs)}`,
    '',
    ...field(terminal, 'Statement', `${statement.tags.join(', ')} (${statement.classes.join(', ')})`),
    ...quoted(terminal, statement.text),
    ...parameterLines(terminal, hold),
    ...(statement.truncated ? ['  (cut: this is not the whole statement)'] : []),
    '',
    ...field(terminal, 'Agent', `${hold.agent}, by ${hold.authenticated_by}, from ${hold.client_address}`),
    ...field(terminal, 'Owner', hold.owner),
    ...field(terminal, 'On behalf of', hold.on_behalf_of.join(' > ')),
    ...field(terminal, 'Claims to be', hold.claimed.application_name),
    ...field(terminal, 'Claimed aim', hold.claimed.purpose),
    ...field(
      terminal,
      'Database',
      `${hold.database} as ${hold.role}${hold.in_transaction ? ', inside a transaction' : ''}`,
    ),
    ...field(terminal, 'Touches', statement.relations.map(relationWords).join(', ')),
    ...statement.reasons.flatMap((reason) => field(terminal, 'Because', reason)),
    ...impactLines(hold).flatMap((line) =>
      'label' in line ? field(terminal, line.label, line.value) : quoted(terminal, line.quote),
    ),
    ...field(terminal, 'Rule', [hold.rule.name, hold.rule.message].filter(Boolean).join(': ')),
    ...field(terminal, 'Contact', hold.rule.contact ?? ''),
    ...field(terminal, 'Asked at', hold.requested_at),
    ...field(terminal, 'SHA-256', statement.sha256),
    ...hold.votes.flatMap((vote) =>
      field(
        terminal,
        vote.decision === 'approve' ? 'Approved' : 'Denied',
        `by ${vote.voter} at ${vote.at} (${vote.channel})${vote.reason === null ? '' : `: ${vote.reason}`}`,
      ),
    ),
    ...(hold.closed_at === null
      ? []
      : field(terminal, 'Ended', `${hold.closed_at}: ${hold.closed_because ?? hold.state}`)),
  ];
  return `${lines.join('\n')}\n`;
}

/** Pending holds, one line each; tab-separated in full when no person is looking. */
export function holdTable(terminal: Terminal, holds: readonly HoldDocument[], nowMs: number): string {
  const rows = holds.map((hold) => [
    hold.id,
    timeLeft(hold, nowMs),
    `${yesVotes(hold)}/${hold.approvals.count}`,
    hold.agent,
    hold.statement.text,
  ]);
  if (!terminal.tty) return rows.map((row) => `${row.map(visibleLine).join('\t')}\n`).join('');
  const widths = [18, 5, 5, 16];
  const last = terminal.columns - widths.reduce((sum, width) => sum + width + 2, 0);
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? Math.max(10, last);
        const text = clipped(cell, width);
        return column < widths.length ? text + ' '.repeat(Math.max(0, width - widthOf(text))) : text;
      })
      .join('  ');
  const head = styled(terminal, 'bold', line(['ID', 'LEFT', 'VOTES', 'AGENT', 'STATEMENT']));
  return [head, ...rows.map(line), ''].join('\n');
}

/** The state in one sentence. */
export function progress(hold: HoldDocument, nowMs: number): string {
  const { count, groups } = hold.approvals;
  const who = groups.length === 0 ? '' : ` from ${visibleLine(groups.join(' or '))}`;
  if (hold.state === 'pending') {
    return `${yesVotes(hold)} of ${count} approval${count === 1 ? '' : 's'}${who}, ${timeLeft(hold, nowMs)} left`;
  }
  const closed = hold.closed_because;
  return closed === null ? `${yesVotes(hold)} of ${count} approvals` : visibleLine(closed);
}

const STATE_STYLES: Partial<Record<HoldDocument['state'], 'yellow' | 'green' | 'red'>> = {
  pending: 'yellow',
  approved: 'green',
  executed: 'green',
  denied: 'red',
  failed: 'red',
};

export function stateWord(terminal: Terminal, hold: HoldDocument): string {
  const style = STATE_STYLES[hold.state];
  return style === undefined ? hold.state : styled(terminal, style, hold.state);
}

function field(terminal: Terminal, label: string, value: string): readonly string[] {
  if (value === '') return [];
  return proseLines(value, terminal.columns - LABEL_COLUMNS - 2).map((line, index) =>
    index === 0
      ? `  ${styled(terminal, 'bold', label.padEnd(LABEL_COLUMNS - 1))} ${line}`
      : `  ${' '.repeat(LABEL_COLUMNS)}${line}`,
  );
}

function quoted(terminal: Terminal, text: string): readonly string[] {
  return visibleLines(text, terminal.columns - MARGIN.length).map((line) => MARGIN + line);
}

function parameterLines(terminal: Terminal, hold: HoldDocument): readonly string[] {
  const { parameters } = hold.statement;
  if (parameters === null) return ['  (parameter values are not shown for this rule)'];
  return parameters.flatMap((value, index) =>
    quoted(terminal, `$${index + 1} = ${value === null ? 'NULL' : `'${value.replaceAll("'", "''")}'`}`),
  );
}

function relationWords(relation: HoldDocument['statement']['relations'][number]): string {
  const name = relation.schema === null ? relation.name : `${relation.schema}.${relation.name}`;
  return `${name} (${relation.use})`;
}

function yesVotes(hold: HoldDocument): number {
  return hold.votes.filter(({ decision }) => decision === 'approve').length;
}

function timeLeft(hold: HoldDocument, nowMs: number): string {
  const seconds = Math.max(0, Math.round((Date.parse(hold.deadline) - nowMs) / 1000));
  if (seconds < 100) return `${seconds}s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 100 ? `${minutes}m` : `${Math.round(minutes / 60)}h`;
}
