// Sequences that are right by the letter and that no driver would send: errors amid pipelines, COPYs whose Syncs are
// swallowed, names that come and go, time-outs between two messages. The server's answers to them depend on nothing but
// the bytes, so they can be compared.
import { int32 } from '../../src/base/bytes.ts';
import {
  bind,
  close,
  copyData,
  copyDone,
  copyFail,
  describe,
  execute,
  flush,
  functionCall,
  parse,
  query,
  sync,
  terminate,
} from './messages.ts';
import type { Random } from './random.ts';
import { IMPATIENT_MS, type Step, send } from './step.ts';

const STATEMENTS = ['', 's1', 's2', 's3'] as const;
const PORTALS = ['', 'p1', 'p2', 'c'] as const;
const COPY_IN = [
  'COPY copied FROM STDIN',
  'COPY copied (id) FROM STDIN',
  'COPY barred FROM STDIN',
  'COPY child FROM STDIN',
] as const;

/** One statement each: for Parse, and by Query. Nothing here answers with a time, a number of its own or an OID. */
const SINGLE: readonly string[] = [
  'SELECT 1',
  'SELECT id, body FROM plain WHERE id < 4 ORDER BY id',
  'SELECT g FROM generate_series(1, 5) g',
  'SELECT 1 / (3 - g) FROM generate_series(1, 5) g',
  'SELECT 1/0',
  'SELECT nothing FROM plain',
  'SELEC',
  '',
  ';',
  '-- a comment',
  'BEGIN',
  'START TRANSACTION READ ONLY',
  'COMMIT',
  'COMMIT AND CHAIN',
  'ROLLBACK',
  'SAVEPOINT a',
  'ROLLBACK TO a',
  'RELEASE a',
  "INSERT INTO plain VALUES (100, 'hundred') RETURNING id",
  "INSERT INTO plain VALUES (1, 'there already')",
  'DELETE FROM plain WHERE id = 100',
  "UPDATE plain SET body = 'new' WHERE id = 2",
  'INSERT INTO child VALUES (99)',
  'INSERT INTO child VALUES (1)',
  'SET CONSTRAINTS ALL IMMEDIATE',
  'DECLARE c CURSOR FOR SELECT g FROM generate_series(1, 6) g',
  'DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT g FROM generate_series(1, 6) g',
  'FETCH 2 FROM c',
  'FETCH ALL FROM c',
  'MOVE 1 IN c',
  'CLOSE c',
  'CLOSE ALL',
  'FETCH 1 FROM p1',
  'CLOSE p1',
  'PREPARE s1 AS SELECT 7',
  'PREPARE s2 (int) AS SELECT body FROM plain WHERE id = $1',
  'EXECUTE s1',
  'EXECUTE s2 (3)',
  'DEALLOCATE s1',
  'DEALLOCATE ALL',
  'DISCARD ALL',
  'DISCARD TEMP',
  'LISTEN ch',
  "NOTIFY ch, 'x'",
  'UNLISTEN *',
  "SET application_name = 'weird'",
  'SHOW standard_conforming_strings',
  'SET TimeZone = UTC',
  'SET LOCAL work_mem = 1024',
  'RESET ALL',
  'EXPLAIN (COSTS off) SELECT 1',
  'CREATE TEMP TABLE IF NOT EXISTS scratch (id int)',
  'INSERT INTO scratch SELECT 1',
  'SELECT id + 0 FROM scratch',
  'VALUES (1), (2), (3)',
  "SELECT repeat('x', 20000)",
];

/** With one parameter, and values that suit it or do not. */
const WITH_VALUE: readonly (readonly [sql: string, values: readonly (string | null)[]])[] = [
  ['SELECT $1::int + 1', ['41', 'no number', null]],
  ['SELECT body FROM plain WHERE id = $1', ['3', '-1', '99999999999']],
  ['INSERT INTO copied VALUES ($1, NULL)', ['5', 'x']],
  ['SELECT g FROM generate_series(1, $1::int) g', ['4', '0']],
];

/** What the default rules hold. */
const HELD: readonly string[] = [
  'COPY plain TO STDOUT',
  'COPY (SELECT g FROM generate_series(1, 3) g) TO STDOUT',
  'COPY (SELECT 1 / (3 - g) FROM generate_series(1, 5) g) TO STDOUT',
  "DO $$ BEGIN RAISE NOTICE 'hello'; END $$",
  "DO $$ BEGIN RAISE EXCEPTION 'no'; END $$",
  'DELETE FROM copied',
  'TRUNCATE copied',
  'SET ROLE NONE',
  'RESET standard_conforming_strings',
  "SET client_encoding = 'UTF8'",
  'ALTER TABLE copied ALTER COLUMN id SET DEFAULT 1',
  'SELECT json_agg(id) FROM plain',
  "PREPARE TRANSACTION 'never prepared'",
];

/** What they deny, without that any time passes. */
const DENIED: readonly string[] = [
  'SET standard_conforming_strings = off',
  "SET client_encoding = 'LATIN1'",
  'SET backslash_quote = on',
];

const ROWS: readonly string[] = ['1\ta\n', '2\tb\n3\tc\n', '1\n', '99\n', 'no number\n', '4\t', '\\.\n', ''];

/** `denied`: percent of the moves that the default rules deny, `held`: of the texts that they hold. */
export interface Taste {
  readonly denied: number;
  readonly held: number;
}

export function weird(taste: Taste, random: Random): Step[] {
  const maker = new Maker(taste, random);
  for (let left = random.between(6, 40); left > 0; left--) maker.move();
  return maker.written();
}

class Maker {
  readonly #taste: Taste;
  readonly #random: Random;
  readonly #steps: Step[] = [];
  /** A COPY FROM STDIN may be under way, where most messages would end the session. */
  #copying = false;
  readonly #impatient: boolean;

  constructor(taste: Taste, random: Random) {
    this.#taste = taste;
    this.#random = random;
    this.#impatient = random.chance(3);
    if (this.#impatient) this.#send(query(`SET statement_timeout = ${IMPATIENT_MS}`));
  }

  /** Writes joined as it comes: whether messages arrive together must not matter. */
  written(): Step[] {
    const joined: Step[] = [];
    for (const step of this.#steps) {
      const last = joined.at(-1);
      if (step.do === 'send' && last?.do === 'send' && this.#random.chance(60)) {
        joined[joined.length - 1] = send(last.bytes, step.bytes);
      } else joined.push(step);
    }
    if (this.#random.chance(3)) joined.push(send(terminate()));
    return joined;
  }

  move(): void {
    const random = this.#random;
    if (this.#copying && random.chance(92)) return this.#copyMove();
    if (random.chance(this.#taste.denied)) return this.#denied();
    random.weighted<() => void>([
      [14, () => this.#send(query(this.#text()))],
      [4, () => this.#send(query([this.#text(), this.#text(), this.#text()].join('; ')))],
      [12, () => this.#parse()],
      [12, () => this.#bind()],
      [14, () => this.#send(execute(random.pick(PORTALS), random.pick([0, 0, 0, 1, 2, -1])))],
      [14, () => this.#unnamed()],
      [6, () => this.#describe()],
      [5, () => this.#close()],
      [12, () => this.#send(sync())],
      [5, () => this.#send(flush())],
      [3, () => this.#stray()],
      [7, () => this.#copyIn()],
      [3, () => this.#call()],
      [4, () => this.#steps.push({ do: 'settle' })],
      [this.#impatient ? 10 : 0, () => this.#rest()],
    ])();
  }

  #send(...frames: readonly Buffer[]): void {
    for (const frame of frames) this.#steps.push(send(frame));
  }

  #text(): string {
    const random = this.#random;
    if (random.chance(this.#taste.held)) return random.pick(HELD);
    return random.pick(SINGLE);
  }

  #parse(): void {
    const random = this.#random;
    const text = random.chance(40) ? random.pick(WITH_VALUE)[0] : this.#text();
    const types = random.chance(80) ? [] : random.pick([[23], [0], [25], [23, 23], [999_999]]);
    this.#send(parse(random.pick(STATEMENTS), text, types));
  }

  #bind(): void {
    const random = this.#random;
    const [, suitable] = random.pick(WITH_VALUE);
    const values = random.weighted<readonly (string | Buffer | null)[]>([
      [4, []],
      [5, [random.pick(suitable)]],
      [1, [int32(7)]],
      [1, ['1', '2']],
    ]);
    const formats = random.weighted<readonly number[]>([
      [5, []],
      [1, [0]],
      [1, [1]],
    ]);
    const results = random.weighted<readonly number[]>([
      [5, []],
      [1, [0]],
      [1, [1]],
      [1, [0, 0, 0]],
    ]);
    this.#send(
      bind({ portal: random.pick(PORTALS), statement: random.pick(STATEMENTS), formats, values, results }),
    );
  }

  /** What every driver does, so that there is something for the rest to disturb. */
  #unnamed(): void {
    const random = this.#random;
    const [text, values] = random.chance(50)
      ? [this.#text(), []]
      : random.pick(WITH_VALUE.map(([sql, [first = null]]) => [sql, [first]] as const));
    this.#send(parse('', text), bind({ values }));
    if (random.chance(40)) this.#send(describe('P'));
    this.#send(execute('', random.pick([0, 0, 2])));
    if (random.chance(60)) this.#send(sync());
  }

  #describe(): void {
    const random = this.#random;
    this.#send(
      random.chance(50) ? describe('S', random.pick(STATEMENTS)) : describe('P', random.pick(PORTALS)),
    );
  }

  #close(): void {
    const random = this.#random;
    this.#send(random.chance(50) ? close('S', random.pick(STATEMENTS)) : close('P', random.pick(PORTALS)));
  }

  /** Where no COPY is: the server ignores them. */
  #stray(): void {
    const random = this.#random;
    this.#send(random.pick([copyData(Buffer.from('stray')), copyDone(), copyFail('stray')]));
  }

  #copyIn(): void {
    const random = this.#random;
    const text = random.weighted([
      [6, random.pick(COPY_IN)],
      [2, `${random.pick(COPY_IN)}; ${random.pick(COPY_IN)}`],
      [1, `SELECT 1; ${random.pick(COPY_IN)}; SELECT 2`],
      [1, `BEGIN; ${random.pick(COPY_IN)}`],
    ]);
    if (random.chance(50) || text.includes(';')) this.#send(query(text));
    else this.#send(parse('', text), bind(), execute());
    this.#copying = true;
  }

  #copyMove(): void {
    const random = this.#random;
    random.weighted<() => void>([
      [6, () => this.#send(copyData(Buffer.from(random.pick(ROWS))))],
      [2, () => this.#send(sync())],
      [1, () => this.#send(flush())],
      [1, () => this.#steps.push({ do: 'settle' })],
      [4, () => this.#endCopy(copyDone())],
      [1, () => this.#endCopy(copyFail('no more'))],
    ])();
  }

  #endCopy(frame: Buffer): void {
    this.#send(frame);
    // A text may have a second one.
    this.#copying = this.#random.chance(15);
    if (this.#random.chance(60)) this.#send(sync());
  }

  #denied(): void {
    const random = this.#random;
    const text = random.pick(DENIED);
    if (random.chance(45)) return this.#send(query(text));
    const name = random.chance(70) ? '' : random.pick(STATEMENTS);
    this.#send(parse(name, text), bind({ statement: name }), execute());
    if (random.chance(50)) this.#send(sync());
  }

  #call(): void {
    const random = this.#random;
    this.#send(
      random.pick([
        functionCall(177, [int32(2), int32(3)]),
        functionCall(177, [int32(2)]),
        functionCall(177, [int32(2), null]),
        functionCall(1, []),
      ]),
    );
  }

  #rest(): void {
    if (this.#random.chance(70)) this.#send(flush());
    this.#steps.push({ do: 'settle' }, { do: 'rest' });
  }
}
