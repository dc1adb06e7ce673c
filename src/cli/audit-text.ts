// Records as text for a person: one line each for `audit tail`, everything for `audit show`. What came from clients and
// servers is shown so that it cannot steer a terminal or pass for something else.
import { isObject, type Json, type JsonObject } from '../audit/canonical.ts';
import { openedValue, type StoredRecord } from '../audit/read.ts';
import type { VerifyReport, Violation } from '../audit/verify.ts';
import { styled, type Terminal } from './terminal.ts';
import { clipped, visibleLine, visibleLines } from './visible.ts';

const SQL_COLUMNS = 100;

function text(value: Json | undefined): string {
  if (value === undefined || value === null) return '-';
  return visibleLine(typeof value === 'string' ? value : JSON.stringify(value));
}

/** `12 2026-11-22T10:00:00.000Z bot allow→forward default SELECT select 1` */
export function recordLine(record: StoredRecord, terminal: Terminal): string {
  const { leaf } = record;
  const who = isObject(leaf['who']) ? leaf['who'] : {};
  const start = [String(record.seq).padStart(6), styled(terminal, 'dim', text(leaf['time']))];
  if (who['agent'] !== undefined) start.push(text(who['agent']));
  return [...start, ...particulars(record, terminal)].join('  ');
}

function particulars(record: StoredRecord, terminal: Terminal): readonly string[] {
  const { leaf } = record;
  const type = text(leaf['type']);
  switch (leaf['type']) {
    case 'statement.intent': {
      const refused = leaf['fate'] === 'refuse';
      const verdict = text(leaf['verdict']);
      const fate = refused
        ? styled(terminal, 'red', `${verdict}, refused: ${text(leaf['refusal'])}`)
        : verdict;
      const hold = leaf['hold'] === null ? [] : [`${text(leaf['hold'])} ${votesOf(leaf)}`.trim()];
      return [fate, text(leaf['rule']), ...hold, list(leaf['tags']), shortSql(record)];
    }
    case 'statement.outcome': {
      const result = text(leaf['result']);
      const bad = leaf['result'] !== 'done' && leaf['result'] !== 'suspended';
      const code = leaf['sqlstate'] === null ? '' : ` ${text(leaf['sqlstate'])}`;
      return [
        `of ${text(leaf['intent'])}`,
        styled(terminal, bad ? 'red' : 'green', `${result}${code}`),
        list(leaf['tags']),
        `${text(leaf['rows'])} rows`,
        `${text(leaf['bytes'])} bytes`,
        `${(Number(leaf['duration_us']) / 1000).toFixed(1)} ms`,
      ];
    }
    case 'session.open':
      return [type, text(leaf['session']), text(leaf['application_name']), text(leaf['purpose'])];
    case 'session.close':
      return [
        type,
        text(leaf['session']),
        text(leaf['because']),
        `${text(leaf['statements'])} statements`,
        `${text(leaf['rows'])} rows`,
      ];
    case 'login.failed':
      return [
        styled(terminal, 'red', type),
        text(leaf['user']),
        text(leaf['database']),
        text(leaf['client_address']),
        text(leaf['because']),
      ];
    case 'recovered':
      return [
        styled(terminal, 'red', type),
        `${text(leaf['cut_bytes'])} bytes cut`,
        `open statements: ${list(leaf['open_intents'])}`,
      ];
    case 'rules.loaded':
      return [type, text(leaf['rules']), list(leaf['files'])];
    case 'limit.hit':
      return [styled(terminal, 'red', type), text(leaf['limit']), text(leaf['client_address'])];
    case 'started':
    case 'stopped':
      return [type, text(leaf['version'] ?? '')];
    default: {
      const vote = isObject(leaf['vote']) ? [voteText(leaf['vote'])] : [];
      const because = leaf['because'] === null ? [] : [text(leaf['because'])];
      const asked = leaf['type'] === 'hold.requested' ? [shortSql(record)] : [];
      return [type, text(leaf['hold']), text(leaf['rule']), ...vote, ...because, ...asked];
    }
  }
}

function shortSql(record: StoredRecord): string {
  const sql = openedValue(record, 'sql');
  return typeof sql === 'string' ? clipped(sql, SQL_COLUMNS) : '(text not kept)';
}

function list(value: Json | undefined): string {
  return Array.isArray(value) && value.length > 0 ? value.map((item: Json) => text(item)).join(', ') : '-';
}

function voteText(vote: JsonObject): string {
  const reason = vote['reason'] === null ? '' : ` (${text(vote['reason'])})`;
  return `${text(vote['decision'])} by ${text(vote['voter'])} over ${text(vote['channel'])}${reason}`;
}

function votesOf(leaf: JsonObject): string {
  const votes = Array.isArray(leaf['votes']) ? (leaf['votes'] as readonly Json[]).filter(isObject) : [];
  return votes.map(voteText).join(', ');
}

/** Everything a record says, one field per line, and what came of it. */
export function recordPage(
  record: StoredRecord,
  outcomes: readonly StoredRecord[],
  terminal: Terminal,
): string {
  const lines = fieldLines(record.leaf, '');
  for (const name of Object.keys(record.opening ?? {})) {
    const value = openedValue(record, name);
    if (name !== 'sql' || typeof value !== 'string') lines.push(`${name}: ${text(value)}`);
    else lines.push('sql:', ...visibleLines(value, terminal.columns - 2).map((line) => `  ${line}`));
  }
  const { sql_commitment: committed, record: kept } = record.leaf;
  if (record.opening === null && kept === 'digest' && typeof committed === 'string') {
    lines.push('sql: (not kept, by rule: the record has its commitment only)');
  }
  for (const outcome of outcomes) lines.push('', ...fieldLines(outcome.leaf, ''));
  if (record.leaf['type'] === 'statement.intent' && outcomes.length === 0) {
    const refused = record.leaf['fate'] === 'refuse';
    lines.push(
      '',
      refused ? 'It was refused and never sent.' : 'No outcome is recorded: whether it ran is not known.',
    );
  }
  return lines.join('\n');
}

function fieldLines(object: JsonObject, indent: string): string[] {
  return Object.keys(object).flatMap((key) => {
    const value = object[key] ?? null;
    const name = `${indent}${visibleLine(key)}:`;
    if (isObject(value)) return [name, ...fieldLines(value, `${indent}  `)];
    if (Array.isArray(value) && value.some((item: Json) => isObject(item))) {
      return [name, ...value.map((item: Json) => `${indent}  - ${text(item)}`)];
    }
    return [`${name} ${Array.isArray(value) ? list(value) : text(value)}`];
  });
}

export function reportText(report: VerifyReport, tookMs: number, terminal: Terminal): string {
  const { counts } = report;
  const mib = (report.bytes / 1024 / 1024).toFixed(1);
  const lines = [
    `log         ${visibleLine(report.origin ?? '-')}`,
    `records     ${report.size}${report.size > 0 ? ` (0 to ${report.size - 1})` : ''} in ${report.segments} segment(s), ${mib} MiB`,
    `time        ${report.from ?? '-'} to ${report.to ?? '-'}`,
    `statements  ${counts.statements}: ${counts.held} held, ${counts.refused} refused, ${counts.indeterminate} without an outcome; ${counts.sessions} session(s)`,
    `root        ${report.root ?? '-'}`,
    `signature   ${report.signature === 'none' ? 'none: the log is kept without a key' : report.signature}`,
    'checked     form, checksums, numbers, chain, tree and checkpoint, commitments, and what the records mean together',
    `took        ${(tookMs / 1000).toFixed(2)} s`,
    ...report.notes.map((note) => `note        ${visibleLine(note)}`),
    ...report.violations.map(
      (violation) => `${styled(terminal, 'red', 'violation')}   ${violationText(violation)}`,
    ),
  ];
  if (report.more) lines.push(`${styled(terminal, 'red', 'violation')}   and more`);
  lines.push(
    report.ok
      ? styled(terminal, 'green', 'The log is whole.')
      : styled(terminal, 'red', 'The log is not what was written.'),
  );
  return lines.join('\n');
}

function violationText(violation: Violation): string {
  const place =
    violation.line === null
      ? violation.file
      : `${violation.file}:${violation.line} (byte ${violation.offset})`;
  return `${visibleLine(place)}: ${visibleLine(violation.what)}`;
}
