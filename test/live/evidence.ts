// What must hold whatever a test did: our log verifies, and everything that the server ran for us was written down
// first as something that may run. The server's own log is the witness.
import { expect } from 'vitest';
import { openedValue, readLast, type StoredRecord } from '../../src/audit/read.ts';
import { verifyLog } from '../../src/audit/verify.ts';
import { type LogEntry, statementOf } from '../services/database.ts';

export interface Said {
  readonly sql: string;
  readonly atMs: number;
  /** Of an Execute whose portal might have been bound to one of several: `sql` has them all. */
  readonly protocol?: unknown;
  /** It says that what runs is not known: rules that hold nothing let that through too. */
  readonly unknown?: boolean;
}

/** `role`: that of the proxy, under which nobody else may have connected to this database. */
export function expectEvidence(auditDir: string, serverLog: readonly LogEntry[], role: string): void {
  const report = verifyLog(auditDir, { verifier: null, known: [] });
  expect(report.violations).toEqual([]);
  const ran = byBackend(serverLog.filter(({ user }) => user === role));
  const unexplained = withoutIntent(ran, intentsBySession(auditDir));
  expect(unexplained, 'ran on the server and no session of our log had said so before').toEqual([]);
}

/** What each server process ran, in order. */
function byBackend(entries: readonly LogEntry[]): Said[][] {
  const backends = new Map<number, Said[]>();
  for (const entry of entries) {
    const sql = statementOf(entry);
    if (sql !== null) append(backends, entry.pid, { sql: asWritten(sql), atMs: entry.atMs });
  }
  return [...backends.values()];
}

/** As our log has it: the server names the function of a FunctionCall, which the message itself does not. */
function asWritten(sql: string): string {
  const oid = /^"[^"]*" \(OID (\d+)\)$/.exec(sql)?.[1];
  return oid === undefined ? sql : `/* FunctionCall */ function with OID ${oid}`;
}

/** What each of our sessions was to forward, in order. */
function intentsBySession(auditDir: string): Said[][] {
  const sessions = new Map<unknown, Said[]>();
  for (const record of readLast(auditDir, 1_000_000).records) {
    const { type, fate, session } = record.leaf;
    if (type === 'statement.intent' && fate === 'forward') append(sessions, session, saidIn(record));
  }
  return [...sessions.values()];
}

/** What an intent says that may run. */
export function saidIn(record: StoredRecord): Said {
  const { time, protocol, classes } = record.leaf;
  const unknown = Array.isArray(classes) && classes.includes('unknown');
  return { sql: String(openedValue(record, 'sql')), atMs: Date.parse(String(time)), protocol, unknown };
}

/**
 * Finds for every backend a session of its own that explains it, and returns what is left over. Sessions that would
 * explain one another's backends are swapped until all fit (a bipartite matching).
 */
export function withoutIntent(backends: readonly Said[][], sessions: readonly Said[][]): readonly string[][] {
  const taken = new Map<Said[], Said[]>();
  const settle = (backend: Said[], tried: Set<Said[]>): boolean => {
    for (const session of sessions) {
      if (tried.has(session) || !explains(session, backend)) continue;
      tried.add(session);
      const other = taken.get(session);
      if (other !== undefined && !settle(other, tried)) continue;
      taken.set(session, backend);
      return true;
    }
    return false;
  };
  return backends
    .filter((backend) => !settle(backend, new Set()))
    .map((backend) => backend.map(({ sql }) => sql));
}

/** Every statement of `backend` stands in `session`, in this order, written down before it ran. */
function explains(session: readonly Said[], backend: readonly Said[]): boolean {
  let at = 0;
  for (const ran of backend) {
    while (at < session.length && !allows(session[at] as Said, ran.sql)) at++;
    const intent = session[at++];
    if (intent === undefined || intent.atMs > ran.atMs) return false;
  }
  return true;
}

function allows({ sql, protocol, unknown }: Said, ran: string): boolean {
  if (sql === ran) return true;
  if (protocol !== 'extended') return false;
  // An Execute of a portal that the log says was not made through us.
  if (sql === '' && unknown === true) return true;
  // Joined as work.ts joins them.
  if (`;\n${sql};\n`.includes(`;\n${ran};\n`)) return true;
  // What SQL has made, the server shows with all of the text that made it, and we with the one statement.
  return sql.split(';\n').some((piece) => /^(PREPARE|DECLARE)\b/i.test(piece) && ran.includes(piece));
}

function append<Key>(lists: Map<Key, Said[]>, key: Key, said: Said): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [said]);
  else list.push(said);
}
