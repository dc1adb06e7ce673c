// node-postgres where data or messages flow: cursors, streams of rows, COPY, notifications, cancel, and its pipeline mode.
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import Cursor from 'pg-cursor';
import QueryStream from 'pg-query-stream';
import { afterAll, beforeAll, test } from 'vitest';
import { eventually } from '../services/wait.ts';
import { connect, run } from './node-postgres.ts';
import { Pair, type Way } from './observed.ts';
import { outcome, play, running, type Scene } from './transcript.ts';

let pair: Pair;
beforeAll(async () => {
  pair = await Pair.open();
});
afterAll(() => pair?.close());

const SCENES: Readonly<Record<string, { readonly least: number; readonly scene: Scene<pg.Client> }>> = {
  'cursors and streams of rows': {
    least: 13,
    scene: async (client, say) => {
      const cursor = client.query(new Cursor('SELECT i, repeat($1, i) FROM generate_series(1, 10) i', ['x']));
      for (const count of [3, 3, 1, 100, 1]) say(await cursor.read(count));
      const closed = client.query(new Cursor('SELECT i FROM generate_series(1, 10) i'));
      say(await closed.read(2));
      await closed.close();
      const failing = client.query(new Cursor('SELECT 10 / (4 - i) FROM generate_series(1, 10) i'));
      say(await failing.read(2));
      say(await outcome(failing.read(5)));
      say(await run(client, 'SELECT 1 AS still_here'));
      const stream = client.query(
        new QueryStream('SELECT i FROM generate_series(1, 1000) i', [], { batchSize: 7 }),
      );
      const rows: unknown[] = [];
      for await (const row of stream) rows.push(row);
      say(rows);
      // More than may go out unasked where rules are enforced.
      const many = new QueryStream('SELECT i FROM generate_series(1, 25000) i', [], { batchSize: 6000 });
      let count = 0;
      for await (const _ of client.query(many)) count++;
      say(count);
      // Left amid the rows.
      for await (const row of client.query(new QueryStream('SELECT i FROM generate_series(1, 1000) i'))) {
        say(row);
        break;
      }
      await client.query('BEGIN; DECLARE c SCROLL CURSOR FOR SELECT i FROM generate_series(1, 9) i');
      for (const move of ['NEXT', 'FORWARD 3', 'PRIOR', 'LAST', 'ABSOLUTE 2', 'ALL', 'BACKWARD 2'])
        say(await run(client, `FETCH ${move} FROM c`));
      say(await run(client, 'COMMIT'));
      say(await run(client, 'FETCH NEXT FROM c'));
    },
  },
  'COPY in and out': {
    least: 9,
    scene: async (client, say) => {
      await client.query('CREATE TABLE copied (id int, body text)');
      const copyIn = async (sql: string, chunks: Iterable<string | Buffer>): Promise<unknown> => {
        const stream: Writable = client.query(copyFrom(sql));
        const failure = await outcome(pipeline(Readable.from(chunks), stream));
        return failure ?? (stream as Writable & { rowCount: number }).rowCount;
      };
      const copyOut = async (sql: string): Promise<unknown> => {
        const chunks: Buffer[] = [];
        try {
          for await (const chunk of client.query(copyTo(sql))) chunks.push(chunk);
        } catch (error) {
          return error;
        }
        return Buffer.concat(chunks);
      };
      say(await copyIn('COPY copied FROM STDIN', ['1\tone\n2\t\\N\n', '3\tž', 'luť\\t🙂\n']));
      const many = Array.from({ length: 5000 }, (_, i) => `${i + 10},"line ""${i}"""\n`);
      say(await copyIn('COPY copied FROM STDIN (FORMAT csv)', many));
      say(await copyIn('COPY copied FROM STDIN', ['4\tfour\n', 'not a number\tx\n', ...many]));
      say(await copyIn('COPY nowhere FROM STDIN', ['1\n']));
      const broken = function* (): Iterable<string> {
        yield '5\tfive\n';
        throw new Error('the source broke');
      };
      say(await copyIn('COPY copied FROM STDIN', broken()));
      for (const format of ['text', 'csv', 'binary'])
        say(await copyOut(`COPY (SELECT * FROM copied ORDER BY id) TO STDOUT (FORMAT ${format})`));
      const bytes = await copyOut('COPY copied TO STDOUT (FORMAT binary)');
      say(await copyIn('COPY copied FROM STDIN (FORMAT binary)', [bytes as Buffer]));
      say(await copyOut('COPY (SELECT 10 / (300 - i) FROM generate_series(1, 1000) i) TO STDOUT'));
      say(
        await run(client, 'SELECT count(*), md5(string_agg(body, $1 ORDER BY id, body)) FROM copied', [',']),
      );
    },
  },
  'LISTEN and NOTIFY': {
    least: 6,
    scene: async (client, say, way) => {
      const { rows } = await client.query('SELECT pg_backend_pid() AS pid');
      let heard = 0;
      client.on('notification', ({ channel, payload, processId }) => {
        say({ channel, payload, mine: processId === rows[0].pid });
        heard++;
      });
      await client.query('LISTEN news; LISTEN "Žluté"');
      say(await run(client, "NOTIFY news, 'one'; NOTIFY news, 'one'; NOTIFY news"));
      say(await run(client, "BEGIN; NOTIFY news, 'never'; ROLLBACK"));
      const payload = 'ž'.repeat(3900);
      say(await run(client, 'SELECT pg_notify($1, $2)', ['Žluté', payload]));
      say(await run(client, 'SELECT pg_notify($1, $2)', ['news', payload.repeat(2)]));
      // To one who says nothing meanwhile.
      await pair.look(way, "NOTIFY news, 'from another'");
      await eventually(() => heard === 4, { what: 'four notifications' });
      await client.query('UNLISTEN *');
      say(await run(client, 'NOTIFY news'));
    },
  },
  'cancel, and limits of time': {
    least: 8,
    scene: async (client, say, way) => {
      for (const sql of ['SELECT pg_sleep(601)', 'BEGIN; SELECT pg_sleep(602)']) {
        const query = new pg.Query(sql);
        const answer = new Promise((resolve) => {
          query.on('error', resolve);
          query.on('end', resolve);
        });
        client.query(query);
        await eventually(() => running(pair, way, sql), { what: sql });
        // Part of the driver, and not of its types.
        const other = new pg.Client(pair.connection(way)) as unknown as Record<'cancel', Cancel>;
        other.cancel(client, query);
        say(await answer);
        say(await run(client, 'SELECT 1'));
        say(client.getTransactionStatus());
      }
      say(await run(client, 'ROLLBACK'));
      say(await run(client, 'SET statement_timeout = 20'));
      say(await run(client, 'SELECT pg_sleep(603)'));
      say(await run(client, 'SELECT pg_sleep($1)', [604]));
    },
  },
  'a session that the server ends': {
    least: 4,
    scene: async (client, say, way) => {
      const lost: unknown[] = [];
      client.on('error', (error) => lost.push(error));
      const ended = new Promise((resolve) => client.once('end', () => resolve('ended')));
      const sql = 'SELECT pg_sleep(605)';
      const answer = run(client, sql);
      await eventually(() => running(pair, way, sql), { what: sql });
      await pair.look(
        way,
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND query = '${sql}'`,
      );
      say(await answer);
      say(await ended);
      // Told before or behind the answer, as the packets come.
      for (const error of lost) say(error);
      say(await run(client, 'SELECT 1'));
    },
  },
};

type Cancel = (client: pg.Client, query: pg.Query) => void;

const stage = (changes: pg.ClientConfig = {}) => ({
  connect: (way: Way) => connect(pair, way, changes),
  disconnect: (client: pg.Client) => client.end(),
});

test.each(Object.entries(SCENES))('%s', async (_, { scene, least }) => {
  await play(stage(), scene, least);
});

test('many statements on their way at once, some of them failing', async () => {
  const send: Scene<pg.Client> = async (client, say) => {
    const results = Array.from({ length: 300 }, (_, i) => {
      // Without values it goes as a Query: others are sent before it is answered.
      if (i % 7 === 5) return run(client, `SELECT 100 / (${i} % 2) AS simple`);
      const text = i % 7 === 3 ? 'SELECT 10 / ($1::int - $1)' : `SELECT $1::int + ${i} AS sum`;
      return run(client, { text, name: i % 5 === 0 ? `statement ${i}` : '' }, [i]);
    });
    for (const result of await Promise.all(results)) say(result);
  };
  await play(stage({ pipeline: true }), send, 300);
});
