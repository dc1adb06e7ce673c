// Our log and the server's, read while they grow, and held against each other: everything that a server process ran, one
// session of ours had said before, in that order, and might. A session and its process know each other by the
// application_name of their startup, so this takes time in proportion to what was said, however many sessions there were.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { follow, type StoredRecord } from '../../src/audit/read.ts';
import { type Said, saidIn, withoutIntent } from '../live/evidence.ts';
import { parseEntries, statementOf, withoutScout } from '../services/database.ts';
import { eventually } from '../services/wait.ts';

const AT_END_MS = 30_000;
/** `fuzz 17 3`: unique. Others, mutated ones among them, are told apart by trying. */
const MARKER = /^(fuzz|control) \d+ \d+$/;

export interface Outcome {
  readonly result: string;
  readonly tags: readonly string[];
  readonly rows: number;
  readonly sqlstate: string | null;
}

/** One session, as our log tells it. */
export interface Logged {
  readonly marker: string;
  /** What was asked for, in order. */
  readonly fates: ('forward' | 'refuse')[];
  readonly forwarded: Said[];
  readonly outcomes: Outcome[];
  closed: string | null;
}

export interface WitnessOptions {
  readonly auditDirs: readonly string[];
  readonly serverLog: string;
  /** Databases that are reached through the proxies only, and the role that the proxies have there. */
  readonly databases: ReadonlySet<string>;
  readonly role: string;
}

export class Witness {
  readonly #options: WitnessOptions;
  readonly #stop = new AbortController();
  readonly #following: Promise<void>[];
  readonly #sessions = new Map<string, Logged>();
  /** By marker; sessions whose marker is nothing special are under ''. */
  readonly #byMarker = new Map<string, Logged[]>();
  readonly #violations: string[] = [];
  /** What server processes ran, by marker; a process by its id until another has that id. */
  readonly #backends = new Map<string, Said[][]>();
  readonly #processes = new Map<number, Said[]>();
  #serverLogOffset = 0;
  /** Statements that the server ran, since the beginning. */
  ran = 0;

  constructor(options: WitnessOptions) {
    this.#options = options;
    this.#following = options.auditDirs.map(async (dir) => {
      for await (const record of follow(dir, null, this.#stop.signal)) this.#onRecord(dir, record);
    });
  }

  /** What our log has of the one session with this marker, once it is closed. */
  session(marker: string): Promise<Logged> {
    return eventually(() => this.#byMarker.get(marker)?.find(({ closed }) => closed !== null) ?? false, {
      timeoutMs: AT_END_MS,
      what: `the end of session "${marker}" in the log`,
    });
  }

  /** To be called while no session is open: what was found since the last time. */
  async check(): Promise<string[]> {
    this.#readServerLog();
    await eventually(
      () => {
        const open = [...this.#sessions.values()].filter(({ closed }) => closed === null);
        if (open.length > 0) throw new Error(`still open: ${open.map(({ marker }) => marker).join(', ')}`);
        return true;
      },
      { timeoutMs: AT_END_MS, what: 'the end of every session in the log' },
    );
    const found = this.#violations.splice(0);
    for (const [marker, backends] of this.#backends) {
      const sessions = (this.#byMarker.get(marker) ?? []).map(({ forwarded }) => forwarded);
      // A process that ran nothing needs no session: a client may have left before it began.
      const ran = backends.filter((statements) => statements.length > 0);
      for (const statements of withoutIntent(ran, sessions)) {
        found.push(
          `session "${marker}" ran what no record allowed before: ${JSON.stringify(statements)}; allowed were ${JSON.stringify(sessions.map((said) => said.map(({ sql }) => sql)))}`,
        );
      }
    }
    this.#backends.clear();
    this.#byMarker.clear();
    this.#sessions.clear();
    this.#processes.clear();
    return found;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#following);
  }

  #onRecord(dir: string, record: StoredRecord): void {
    const { leaf } = record;
    const { type } = leaf;
    const id = `${dir} ${leaf['session']}`;
    if (type === 'session.open') {
      const marker = keyOf(String(leaf['application_name']));
      const session: Logged = { marker, fates: [], forwarded: [], outcomes: [], closed: null };
      this.#sessions.set(id, session);
      append(this.#byMarker, marker, session);
      return;
    }
    const session = this.#sessions.get(id);
    if (session === undefined) return;
    if (type === 'session.close') session.closed = String(leaf['because']);
    if (type === 'statement.outcome') {
      const { result, tags, rows, sqlstate } = leaf as unknown as Outcome;
      session.outcomes.push({ result, tags, rows, sqlstate });
    }
    if (type === 'statement.intent') this.#onIntent(session, record);
  }

  #onIntent(session: Logged, record: StoredRecord): void {
    const { fate, verdict, hold, votes } = record.leaf;
    session.fates.push(fate === 'forward' ? 'forward' : 'refuse');
    if (fate !== 'forward') return;
    const said = saidIn(record);
    session.forwarded.push(said);
    const approved = Array.isArray(votes) && JSON.stringify(votes).includes('"approve"');
    if (verdict === 'deny' || (verdict === 'hold' && (hold === null || !approved))) {
      this.#violations.push(
        `session "${session.marker}" let ${JSON.stringify(said.sql)} through on "${verdict}"`,
      );
    }
  }

  #readServerLog(): void {
    const { databases, role } = this.#options;
    for (const entry of withoutScout(parseEntries(this.#newServerLog()))) {
      if (!databases.has(entry.database) || entry.user !== role) continue;
      const opened = /^connection authorized: .* application_name=(.*?)(?: SSL enabled .*)?$/s.exec(
        entry.text,
      );
      if (/^connection authorized: /.test(entry.text)) {
        const statements: Said[] = [];
        this.#processes.set(entry.pid, statements);
        append(this.#backends, keyOf(opened?.[1] ?? ''), statements);
        continue;
      }
      const statement = statementOf(entry);
      // An unnamed portal that a failed transaction has left behind: there is nothing in it that could run.
      if (statement === null || statement === '') continue;
      // A FunctionCall has no text: the server logs one name for it, we another.
      const called = /^"[^"]*" \(OID (\d+)\)$/.exec(statement)?.[1];
      const sql = called === undefined ? statement : `/* FunctionCall */ function with OID ${called}`;
      this.ran++;
      const statements = this.#processes.get(entry.pid);
      if (statements === undefined) this.#violations.push(`a process of nobody ran ${JSON.stringify(sql)}`);
      else statements.push({ sql, atMs: entry.atMs });
    }
  }

  /** Nobody writes while this is read, so it ends with a whole entry. */
  #newServerLog(): string {
    const fd = openSync(this.#options.serverLog, 'r');
    try {
      const bytes = Buffer.alloc(fstatSync(fd).size - this.#serverLogOffset);
      readSync(fd, bytes, 0, bytes.length, this.#serverLogOffset);
      this.#serverLogOffset += bytes.length;
      return bytes.toString('utf8');
    } finally {
      closeSync(fd);
    }
  }
}

const keyOf = (marker: string): string => (MARKER.test(marker) ? marker : '');

function append<Value>(lists: Map<string, Value[]>, key: string, value: Value): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}
