// The proxy's own connection to a database, to look things up on: one, opened when it is first needed, as the very role
// that the agents' sessions have, so that it sees no more than they do. What it is asked runs one after another.
import { serialize } from 'pg-protocol';
import type {
  BackendMessage,
  DatabaseError,
  DataRowMessage,
  RowDescriptionMessage,
} from 'pg-protocol/dist/messages.js';
import { Parser } from 'pg-protocol/dist/parser.js';
import { CountersignError } from '../base/errors.ts';
import { connectUpstream, type DatabaseTarget, type Upstream } from './upstream.ts';

/** How pg_stat_activity and the server's log show it. */
export const SCOUT_NAME = 'countersign scout';

/** Values as text, by column name. */
export type Row = Readonly<Record<string, string | null>>;
export type Query = (sql: string) => Promise<readonly Row[]>;

export interface ReadOnlyLimits {
  /** Of each statement. */
  readonly statementMs: number;
  readonly lockMs: number;
}

export interface ScoutTimes {
  readonly connectMs: number;
  /** For the answer to one message. The connection is given up after it. */
  readonly answerMs: number;
}

const TIMES: ScoutTimes = { connectMs: 5_000, answerMs: 15_000 };
const LIMITS: ReadOnlyLimits = { statementMs: 5_000, lockMs: 500 };
/** More than any answer to what is asked here; a server that goes on is not one to go on listening to. */
const ANSWER_BYTES_MAX = 256 * 1024 * 1024;

/** The server's own error for a statement of ours. The words may quote the statement, never the host or a secret. */
class ScoutRefused extends Error {
  readonly sqlstate: string;

  constructor(sqlstate: string, message: string) {
    super(message);
    this.sqlstate = sqlstate;
  }
}

export class Scout {
  readonly #target: DatabaseTarget;
  readonly #times: ScoutTimes;
  #line: Line | null = null;
  /** Ends when everything that was asked before has been answered; never rejects. */
  #turn: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(target: DatabaseTarget, times: ScoutTimes = TIMES) {
    this.#target = target;
    this.#times = times;
  }

  /**
   * Rejects with ScoutRefused when the server answers an error, and with CountersignError `upstream_unavailable` when
   * there is none; the next one then tries to connect again. Of several statements in one text, the rows of all.
   */
  query(sql: string): Promise<readonly Row[]> {
    return this.#inTurn((line) => line.query(sql, this.#times.answerMs));
  }

  /**
   * Runs `work` in one transaction that can change nothing and is rolled back at its end, all its statements seeing the
   * same state of the tables. Nobody else's statement comes in between.
   */
  readOnly<T>(work: (query: Query) => Promise<T>, limits: ReadOnlyLimits = LIMITS): Promise<T> {
    const { answerMs } = this.#times;
    return this.#inTurn(async (line) => {
      const query: Query = (sql) => line.query(sql, answerMs);
      await query(
        `BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL statement_timeout = ${limits.statementMs}; ` +
          `SET LOCAL lock_timeout = ${limits.lockMs}`,
      );
      try {
        return await work(query);
      } finally {
        // Where it is lost, the server has rolled back by itself.
        if (!line.lost) await query('ROLLBACK').catch(() => line.end());
      }
    });
  }

  /** Whoever still waits for an answer is told that there is none. */
  close(): void {
    this.#closed = true;
    this.#line?.end();
    this.#line = null;
  }

  #inTurn<T>(work: (line: Line) => Promise<T>): Promise<T> {
    const done = this.#turn.then(async () => await work(await this.#connected()));
    this.#turn = done.then(
      () => {},
      () => {},
    );
    return done;
  }

  async #connected(): Promise<Line> {
    if (this.#closed) throw gone();
    if (this.#line !== null && !this.#line.lost) return this.#line;
    // client_encoding comes with every startup packet that connectUpstream writes; twice is an error to some servers.
    const settings = new Map([['application_name', SCOUT_NAME]]);
    const upstream = await connectUpstream(this.#target, settings, this.#times.connectMs).catch(
      (error: unknown) => {
        throw error instanceof CountersignError ? error : gone(error);
      },
    );
    const line = new Line(upstream);
    if (this.#closed) {
      line.end();
      throw gone();
    }
    this.#line = line;
    return line;
  }
}

interface Asked {
  readonly rows: Row[];
  refused: ScoutRefused | null;
  readonly resolve: (rows: readonly Row[]) => void;
  readonly reject: (error: Error) => void;
}

/** One connection, from login to loss. */
class Line {
  lost = false;
  readonly #upstream: Upstream;
  readonly #parser = new Parser();
  #columns: readonly string[] = [];
  #asked: Asked | null = null;
  #bytes = 0;

  constructor(upstream: Upstream) {
    this.#upstream = upstream;
    const { socket } = upstream;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    for (const event of ['end', 'close', 'error'] as const) socket.on(event, () => this.#lose());
    // It is nobody's session: it must not keep the process running.
    socket.unref();
    if (socket.destroyed || socket.readableEnded) this.#lose();
  }

  query(sql: string, answerMs: number): Promise<readonly Row[]> {
    return new Promise((resolve, reject) => {
      if (this.lost) return reject(gone());
      const timer = setTimeout(() => {
        // It may be at work for nobody: a server notices a lost client only when it answers.
        this.#upstream.cancel().catch(() => {});
        this.end();
      }, answerMs);
      const settled =
        <Value>(settle: (value: Value) => void) =>
        (value: Value): void => {
          clearTimeout(timer);
          this.#asked = null;
          settle(value);
        };
      this.#bytes = 0;
      this.#asked = { rows: [], refused: null, resolve: settled(resolve), reject: settled(reject) };
      this.#upstream.socket.write(serialize.query(sql));
    });
  }

  end(): void {
    this.#lose();
    this.#upstream.end();
  }

  #take(chunk: Buffer): void {
    if (this.lost) return;
    this.#bytes += chunk.length;
    if (this.#bytes > ANSWER_BYTES_MAX) return this.end();
    try {
      this.#parser.parse(chunk, (message) => this.#hear(message));
    } catch {
      this.end();
    }
  }

  #hear(message: BackendMessage): void {
    const asked = this.#asked;
    if (asked === null) return;
    switch (message.name) {
      case 'rowDescription':
        this.#columns = (message as RowDescriptionMessage).fields.map(({ name }) => name);
        return;
      case 'dataRow': {
        const values = (message as DataRowMessage).fields as (string | null)[];
        asked.rows.push(Object.fromEntries(this.#columns.map((name, i) => [name, values[i] ?? null])));
        return;
      }
      case 'error': {
        const { code = 'XX000', message: text } = message as unknown as DatabaseError;
        asked.refused ??= new ScoutRefused(code, text);
        return;
      }
      case 'copyInResponse':
      case 'copyOutResponse':
        // Nothing that is asked here copies.
        return this.end();
      case 'readyForQuery':
        if (asked.refused === null) asked.resolve(asked.rows);
        else asked.reject(asked.refused);
    }
  }

  #lose(): void {
    this.lost = true;
    this.#asked?.reject(gone());
  }
}

const gone = (cause?: unknown): CountersignError =>
  new CountersignError(
    'upstream_unavailable',
    'the database server does not answer the proxy’s own questions',
    {
      cause,
    },
  );
