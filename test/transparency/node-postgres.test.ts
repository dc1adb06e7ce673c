// What node-postgres makes of queries: results, fields and errors are the same on both ways to a database, to the last one.
import type pg from 'pg';
import { afterAll, beforeAll, test } from 'vitest';
import { connect, run } from './node-postgres.ts';
import { Pair, type Way } from './observed.ts';
import { play, type Scene } from './transcript.ts';

let pair: Pair;
beforeAll(async () => {
  pair = await Pair.open();
});
afterAll(() => pair?.close());

const ERRORS: readonly (readonly [sql: string, values?: unknown[]])[] = [
  ['SELEC 1'],
  ["SELECT 'žluťoučký kůň', nothing"],
  ['SELECT * FROM nowhere'],
  ['SELECT 1 / 0'],
  ["SELECT 'unterminated"],
  ["INSERT INTO parents VALUES (1, 'again'), (1, 'and again')"],
  ['INSERT INTO parents VALUES (7)'],
  ['INSERT INTO children VALUES (0)'],
  ['INSERT INTO children VALUES (1, 99)'],
  ['INSERT INTO children(id, size) VALUES (1, 11)'],
  ["INSERT INTO children(id, mood) VALUES (1, 'glad')"],
  ['SELECT inner_failure()'],
  ['SELECT broken()'],
  ['SELECT raises()'],
  ['SELECT $1::int', ['no number']],
  ['SELECT $1::int, $2::int', [1]],
  ['SELECT 1', [1]],
  ['SELECT $1::small', [12]],
  ['SELECT $1', [{ any: 'thing' }]],
  ['SELECT 1; SELECT 2', [1]],
  ['CREATE TABLE parents ()'],
  [`SELECT '${'x'.repeat(100_000)}'::int`],
];

const SCENES: Readonly<Record<string, { readonly least: number; readonly scene: Scene<pg.Client> }>> = {
  'types and fields': {
    least: 6,
    scene: async (client, say) => {
      for (const rowMode of [undefined, 'array'] as const) {
        for (const values of [undefined, ['x']]) {
          const text = `SELECT ${values ? '$1::text' : "'x'"} AS x, 1::int2, 2::int4, 3::int8, 1.5::float4, 2.5::float8, 1.10::numeric(10, 2),
            true, NULL::text, 'ab'::char(4), 'abc'::varchar(9), '\\x00ff'::bytea, '{"a": [1, null]}'::json, '{"b": {}}'::jsonb,
            '2024-02-29'::date, '12:00:00.5'::time, '2024-02-29 12:00'::timestamp, '2024-02-29 12:00+02'::timestamptz,
            'infinity'::timestamptz, '1 day 2 hours'::interval, ARRAY[1, NULL, 3], ARRAY[ARRAY['a', 'b,"c"']], '(1,2)'::point,
            'happy'::mood, ROW(1, 'two')::pair, 5::small, int4range(1, 5), '10.0.0.0/8'::cidr, 'žluťoučký 漢字 🙂'::text`;
          say(await run(client, { text, values, ...(rowMode ? { rowMode } : {}) } as pg.QueryArrayConfig));
        }
      }
      const binary = {
        text: 'SELECT 1::int4, 2::int8, 1.5::float8, true, $1::text',
        values: ['x'],
        binary: true,
      };
      say(await run(client, binary));
      say(await run(client, "INSERT INTO parents VALUES (1, 'one'), (2, 'two') RETURNING *"));
      say(await run(client, 'SELECT * FROM parents WHERE false'));
      say(await run(client, 'SELECT'));
      say(await run(client, ''));
    },
  },
  'errors with all their fields': {
    least: 40,
    scene: async (client, say) => {
      for (const [sql, values] of ERRORS) {
        say(await run(client, sql, values));
        say(await run(client, 'SELECT 1 AS still_here'));
      }
    },
  },
  notices: {
    least: 4,
    scene: async (client, say) => {
      client.on('notice', say);
      say(await run(client, 'DROP TABLE IF EXISTS nothing_of_that_name'));
      say(
        await run(
          client,
          "DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two' USING HINT = 'a hint'; RAISE LOG 'no'; END $$",
        ),
      );
      say(await run(client, 'ROLLBACK'));
      say(await run(client, "SET client_min_messages = 'error'; DROP TABLE IF EXISTS nothing_of_that_name"));
    },
  },
  'transactions and savepoints': {
    least: 20,
    scene: async (client, say) => {
      const steps = [
        'BEGIN',
        "INSERT INTO parents VALUES (20, 'kept')",
        'SAVEPOINT a',
        "INSERT INTO parents VALUES (20, 'twice')",
        'SELECT 1',
        'ROLLBACK TO a',
        "INSERT INTO parents VALUES (21, 'kept')",
        'RELEASE a',
        'COMMIT',
        'COMMIT',
        'BEGIN',
        'SELECT 1 / 0',
        'COMMIT',
        'SELECT count(*) FROM parents',
        'BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE',
        'SHOW transaction_isolation',
        "INSERT INTO parents VALUES (22, 'no')",
        'ROLLBACK AND CHAIN',
        'SHOW transaction_read_only',
        'ROLLBACK',
        'BEGIN; SET CONSTRAINTS ALL DEFERRED',
        'INSERT INTO children VALUES (50, 12345)',
        'COMMIT',
        'BEGIN',
      ]; // prettier-ignore
      for (const step of steps) {
        say(await run(client, step));
        say(await run(client, 'SELECT $1::int', [1]));
        // An error is told before the status that comes behind it; by now it is here.
        say(client.getTransactionStatus());
      }
    },
  },
  'named statements': {
    least: 8,
    scene: async (client, say) => {
      const named = { name: 'by id', text: 'SELECT * FROM parents WHERE id = $1' };
      for (const id of [1, 2, 3, 'no number', 4]) say(await run(client, { ...named, values: [id] }));
      await client.query('ALTER TABLE parents ADD COLUMN more int');
      say(await run(client, { ...named, values: [1] }));
      say(await run(client, { ...named, text: 'SELECT 2', values: [] }));
      say(await run(client, { name: 'broken', text: 'SELEC' }));
      say(await run(client, { name: 'broken', text: 'SELECT 1 AS one' }));
      say(await run(client, 'EXECUTE "broken"'));
      say(
        await run(
          client,
          'SELECT name, statement, from_sql, parameter_types FROM pg_prepared_statements ORDER BY 1',
        ),
      );
      await client.query('DISCARD ALL');
      say(await run(client, { ...named, values: [1] }));
    },
  },
  'several statements in one query': {
    least: 6,
    scene: async (client, say) => {
      say(
        await run(
          client,
          "SELECT 1 AS a; SELECT 'x' AS b, 2 AS c; UPDATE parents SET name = name WHERE id = 1",
        ),
      );
      say(await run(client, ';; SELECT 1 ;; '));
      say(await run(client, "INSERT INTO parents VALUES (30, 'undone'); SELECT 1 / 0; SELECT 2"));
      say(await run(client, "INSERT INTO parents VALUES (31, 'done'); COMMIT; SELECT 1 / 0; SELECT 2"));
      say(await run(client, 'SELECT id FROM parents WHERE id IN (30, 31)'));
      say(await run(client, 'BEGIN; SELECT 1; SELECT nothing; COMMIT'));
      say(await run(client, 'SELECT 1'));
      say(client.getTransactionStatus());
    },
  },
  'large values': {
    least: 5,
    scene: async (client, say) => {
      const value = 'žluťoučký '.repeat(30_000);
      say(await run(client, 'SELECT $1::text AS back, length($1)', [value]));
      say(await run(client, `SELECT '${value}' AS back`));
      say(await run(client, 'SELECT $1::bytea AS back', [Buffer.alloc(300_000, 'any bytes\0')]));
      const columns = Array.from({ length: 1600 }, (_, i) => `${i} AS c${i}`);
      say(await run(client, `SELECT ${columns}`));
      const parameters = Array.from({ length: 33_000 }, (_, i) => `$${i + 1}`);
      const sum = `SELECT array_length(ARRAY[${parameters}]::int[], 1)`;
      say(
        await run(
          client,
          sum,
          parameters.map((_, i) => i),
        ),
      );
    },
  },
}; // prettier-ignore

test.each(Object.entries(SCENES))('%s', async (_, { scene, least }) => {
  const stage = {
    connect: (way: Way) => connect(pair, way),
    disconnect: (client: pg.Client) => client.end(),
  };
  await play(stage, scene, least);
});
