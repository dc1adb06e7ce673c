// postgres.js with all it can do, on both ways to a database: pipelines, cursors, COPY, notifications, transactions and
// errors are the same to the last field.
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import postgres, { type ReservedSql, type Sql, type TransactionSql } from 'postgres';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { eventually } from '../services/wait.ts';
import { Pair, type Way } from './observed.ts';
import { outcome, play, running, type Scene } from './transcript.ts';

let pair: Pair;
beforeAll(async () => {
  pair = await Pair.open();
  await pair.prepare(`
    CREATE TABLE shared (id int PRIMARY KEY, body text NOT NULL);
    GRANT ALL ON shared TO PUBLIC`);
});
afterAll(() => pair?.close());

type Client = Sql;
type Runner = Sql | TransactionSql | ReservedSql;

const isDescription = (result: unknown): result is postgres.Statement =>
  typeof result === 'object' && result !== null && 'string' in result && 'types' in result;

/** What a result has besides its rows is not enumerable. */
function told(result: unknown): unknown {
  if (isDescription(result)) return nameless(result);
  if (!Array.isArray(result)) return result;
  if (!('command' in result)) return result.map(told);
  const { count, command, columns, statement } = result as unknown as postgres.RowList<postgres.Row[]>;
  return { rows: [...result], count, command, columns, statement: nameless(statement) };
}

/** A name of a prepared statement is by chance. */
const nameless = (statement: object): object => ({ ...statement, name: null });

const run = async (query: PromiseLike<unknown>): Promise<unknown> => told(await outcome(query));

const SCENES: Readonly<Record<string, { readonly least: number; readonly scene: Scene<Client> }>> = {
  'types, values, describe, raw': {
    least: 9,
    scene: async (sql, say) => {
      say(
        await run(sql`SELECT ${1}::int AS i, ${'ž 漢 🙂'}::text AS t, ${null}::text AS n, ${true}::bool AS b,
        ${sql.json({ a: [1, null] })}::jsonb AS j, ${sql.array([1, 2])}::int[] AS a, ${Buffer.from([0, 255])}::bytea AS y,
        ${new Date(0)}::timestamptz AS d, 1.10::numeric AS m, 9007199254740993::int8 AS l, '10.0.0.0/8'::cidr AS c`),
      );
      say(await run(sql`SELECT i, 'x' || i FROM generate_series(1, ${3}::int) i`.values()));
      say(await run(sql`SELECT i, 'x' || i FROM generate_series(1, ${3}::int) i`.raw()));
      say(await run(sql`SELECT * FROM shared WHERE id = ${1}`.describe()));
      say(
        await run(
          sql`INSERT INTO shared ${sql([
            { id: 1, body: 'one' },
            { id: 2, body: 'two' },
          ])} RETURNING *`,
        ),
      );
      say(await run(sql`UPDATE shared SET ${sql({ body: 'changed' })} WHERE id IN ${sql([1, 2])}`));
      say(await run(sql`SELECT ${sql(['id', 'body'])} FROM shared ORDER BY id`));
      say(await run(sql`SELECT nothing`.describe()));
      say(await run(sql``));
      for await (const rows of sql`DELETE FROM shared RETURNING id`.cursor()) say(rows);
    },
  },
  errors: {
    least: 12,
    scene: async (sql, say) => {
      await sql`INSERT INTO shared VALUES (1, 'one') ON CONFLICT DO NOTHING`;
      const failing = [
        () => sql`SELEC 1`,
        () => sql`SELECT ${1}::int, nothing`,
        () => sql`INSERT INTO shared VALUES (1, 'again')`,
        () => sql`INSERT INTO shared VALUES (${2}, ${null})`,
        () => sql`SELECT ${'no number'}::int`,
        () => sql`SELECT 10 / ${0}::int`,
        () => sql`SELECT 1; SELECT ${2}::int`,
        () => sql.unsafe('SELECT $1::int, $2::int', [1]),
        () =>
          sql.unsafe(
            "DO $$ BEGIN RAISE EXCEPTION 'ž' USING DETAIL = 'd', HINT = 'h', ERRCODE = 'PX001'; END $$",
          ),
        () => sql.unsafe(`SELECT '${'x'.repeat(100_000)}'::int`),
      ];
      for (const fail of failing) {
        say(await run(fail()));
        say(await run(sql`SELECT ${'still here'}::text`));
      }
    },
  },
  'pipelines, where one of them fails': {
    least: 200,
    scene: async (sql, say) => {
      const queries = Array.from({ length: 200 }, (_, i) => {
        if (i % 20 === 19) return run(sql`SELECT 10 / ${0}::int, ${i}::int`);
        return i % 3 === 0
          ? run(sql`SELECT ${i}::int`)
          : run(sql.unsafe('SELECT $1::int, $2::text', [i, `${i}`]));
      });
      for (const result of await Promise.all(queries)) say(result);
    },
  },
  'cursors and rows one by one': {
    least: 14,
    scene: async (sql, say) => {
      for await (const rows of sql`SELECT i FROM generate_series(1, 10) i`.cursor(3)) say(told(rows));
      await sql`SELECT i FROM generate_series(1, 10) i`.cursor(4, (rows) => {
        say(told(rows));
        return sql.CLOSE;
      });
      for await (const rows of sql`SELECT i FROM generate_series(1, 10) i`.cursor(4)) {
        say(told(rows));
        break;
      }
      say(
        await outcome(
          sql`SELECT 10 / (4 - i) FROM generate_series(1, 10) i`.cursor(2, (rows) => say(told(rows))),
        ),
      );
      say(await run(sql`SELECT i FROM generate_series(1, ${5}::int) i`.forEach(say)));
      say(await run(sql`SELECT ${'still here'}::text`));
    },
  },
  'COPY as streams': {
    least: 6,
    scene: async (sql, say) => {
      const copyIn = async (copy: string, lines: readonly string[]): Promise<unknown> =>
        outcome(
          sql
            .unsafe(copy)
            .writable()
            .then((stream) => pipeline(Readable.from(lines), stream)),
        );
      const copyOut = async (copy: string): Promise<unknown> => {
        const chunks: Buffer[] = [];
        const failure = await outcome(
          sql
            .unsafe(copy)
            .readable()
            .then(async (stream) => {
              for await (const chunk of stream) chunks.push(chunk);
            }),
        );
        return failure ?? Buffer.concat(chunks);
      };
      await sql`CREATE TEMPORARY TABLE copied (id int, body text)`;
      const lines = Array.from({ length: 3000 }, (_, i) => `${i}\tžluť ${i}\n`);
      say(await copyIn('COPY copied FROM STDIN', lines));
      say(await run(sql`SELECT count(*), sum(id) FROM copied`));
      // Few: its stream of more than fits its buffer stops for good, with us or without.
      for (const format of ['text', 'csv', 'binary'])
        say(
          await copyOut(
            `COPY (SELECT * FROM copied WHERE id < 300 ORDER BY id) TO STDOUT (FORMAT ${format})`,
          ),
        );
      say(await copyOut('COPY nowhere TO STDOUT'));
      say(await run(sql`SELECT ${'still here'}::text`));
    },
  },
  'transactions and savepoints': {
    least: 8,
    scene: async (sql, say) => {
      const inserted = async (tx: Runner, id: number): Promise<void> =>
        say(await run(tx`INSERT INTO shared VALUES (${id}, 'in a transaction')`));
      await sql`DELETE FROM shared`;
      say(
        await run(
          sql.begin('ISOLATION LEVEL REPEATABLE READ', async (tx) => {
            await inserted(tx, 10);
            const inner = tx.savepoint('point', async (point) => {
              await inserted(point, 11);
              await point`SELECT 1 / 0`;
            });
            say(await run(inner));
            await inserted(tx, 12);
            // All on their way at once.
            return [tx`SELECT id FROM shared ORDER BY id`, tx`SHOW transaction_isolation`];
          }),
        ),
      );
      say(
        await run(
          sql.begin((tx) => [tx`INSERT INTO shared VALUES (13, 'x')`, tx`SELECT 1 / 0`, tx`SELECT 1`]),
        ),
      );
      say(await run(sql`SELECT id FROM shared ORDER BY id`));
      say(await run(sql.begin(async (tx) => tx.prepare('by name'))));
      await sql`ROLLBACK PREPARED 'by name'`.catch(say);
      const reserved = await sql.reserve();
      await reserved`BEGIN`;
      say(await run(reserved`SELECT nothing`));
      say(await run(reserved`SELECT 1`));
      say(await run(reserved`ROLLBACK`));
      reserved.release();
    },
  },
  'many statements in one text': {
    least: 5,
    scene: async (sql, say) => {
      say(await run(sql.unsafe("SELECT 1 AS a; SELECT 'x' AS b, 2 AS c; DELETE FROM shared")));
      say(await run(sql.unsafe("INSERT INTO shared VALUES (20, 'undone'); SELECT 1 / 0; SELECT 2")));
      say(await run(sql`SELECT id FROM shared`));
      say(await run(sql`SELECT 1; SELECT 2 AS two;; `.simple()));
      say(await run(sql.unsafe('BEGIN; SELECT 1; COMMIT; SELECT 2')));
    },
  },
  'notifications and notices': {
    least: 5,
    scene: async (sql, say, way) => {
      let heard = 0;
      const listening = await sql.listen('news', (payload) => {
        say(payload);
        heard++;
      });
      await sql.notify('news', 'one');
      await sql.begin(async (tx) => {
        await tx`SELECT pg_notify('news', 'two, ž')`;
        await tx`SELECT 1`;
      });
      await pair.look(way, "NOTIFY news, 'from another'");
      await eventually(() => heard === 3, { what: 'three notifications' });
      await listening.unlisten();
      say(await run(sql`DROP TABLE IF EXISTS nothing_of_that_name`));
      say(await run(sql`SET application_name = 'another name'`));
    },
  },
  cancel: {
    least: 3,
    scene: async (sql, say, way) => {
      const query = sql`SELECT pg_sleep(611)`;
      const answer = run(query);
      await eventually(() => running(pair, way, 'SELECT pg_sleep(611)'), { what: 'a query to cancel' });
      query.cancel();
      say(await answer);
      say(await run(sql`SELECT ${'still here'}::text`));
      await sql`SET statement_timeout = 20`;
      say(await run(sql`SELECT pg_sleep(612)`));
    },
  },
  'large objects': {
    least: 3,
    scene: async (sql, say) => {
      const object = await sql.largeObject();
      await pipeline(Readable.from([Buffer.alloc(300_000, 'any bytes\0')]), await object.writable());
      say(await run(object.size()));
      await object.seek(10);
      say(await run(object.read(20)));
      const chunks: Buffer[] = [];
      for await (const chunk of await object.readable({ start: 299_000 })) chunks.push(chunk);
      say(Buffer.concat(chunks));
      await object.close();
    },
  },
}; // prettier-ignore

describe.each([
  ['prepared', {}],
  ['unprepared', { prepare: false }],
] as const)('%s', (_, changes) => {
  /** What the driver tells by callbacks comes into the transcript too. */
  const heard = new Map<Client, unknown[]>();

  function connect(way: Way): Promise<Client> {
    const { host, port, user, password: pass, database } = pair.connection(way);
    const said: unknown[] = [];
    const onnotice = (notice: postgres.Notice) => said.push(notice);
    const onparameter = (name: string, value: unknown) => said.push(`${name} = ${value}`);
    const sql = postgres({ host, port, user, pass, database, max: 1, onnotice, onparameter, ...changes });
    heard.set(sql, said);
    return Promise.resolve(sql);
  }

  test.each(Object.entries(SCENES))('%s', async (_, { scene, least }) => {
    const whole: Scene<Client> = async (sql, say, way) => {
      await scene(sql, say, way);
      for (const what of heard.get(sql)!) say(what);
    };
    await play({ connect, disconnect: (sql) => sql.end() }, whole, least);
  });
});
