// What comes when: notices amid rows, notifications between answers, portals in parts, cancels. Frame by frame, and the
// answers are the same bytes in the same order both ways.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, cancelRequest, frame } from '../live/wire-client.ts';
import { eventually } from '../services/wait.ts';
import { Both, expectSame, names, sqlstates } from './both.ts';
import { asked, exchange, rowsOf } from './exchange.ts';
import { Pair, WAYS, type Way } from './observed.ts';
import { running } from './transcript.ts';

let pair: Pair;
let both: Both;
beforeAll(async () => {
  pair = await Pair.open();
  await pair.prepare(`
    CREATE FUNCTION tell(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
      RAISE INFO 'info %', n USING DETAIL = 'd', HINT = 'h', TABLE = 't';
      RAISE NOTICE 'notice %', n; RAISE DEBUG 'debug %', n; RAISE WARNING 'žluť %', n USING ERRCODE = '01ABC';
      RETURN n; END $$`);
  both = await Both.connect(pair);
});
afterAll(() => pair?.close());

const count = (answers: readonly Answer[], wanted: string): number =>
  names(answers).filter((name) => name === wanted).length;

/** As `asked`, and no Sync behind it. */
const unsynced = (text: string): Buffer => asked({ text }).subarray(0, -frame.sync().length);

// INFO comes whatever the level.
test.each([
  ['notice', 3],
  ['warning', 2],
  ['error', 1],
])('notices amid the rows, at %s', async (level, each) => {
  await both.query(`SET client_min_messages = ${level}`);
  const told = await both.query('SELECT tell(i), repeat(md5(i::text), 300) FROM generate_series(1, 20) i');
  expect(count(told, 'NoticeResponse')).toBe(20 * each);
  await both.same([asked({ text: 'SELECT tell($1)', values: ['7'] })]);
  await both.query('DROP TABLE IF EXISTS nothing; BEGIN; BEGIN; ROLLBACK; ROLLBACK');
  await both.query('RESET client_min_messages');
});

describe('notifications', () => {
  test('to the one who notifies: when its transaction has ended', async () => {
    await both.query('LISTEN here');
    const answers = await both.same(
      [
        frame.query("NOTIFY here, 'alone'"),
        frame.query("BEGIN; NOTIFY here, 'in a block'; NOTIFY here, 'in a block'; SELECT 1"),
        frame.query('COMMIT'),
        frame.query("BEGIN; NOTIFY here, 'never'; ROLLBACK"),
        asked({ text: "SELECT pg_notify('here', $1)", values: ['žluť'] }),
      ],
      5,
    );
    expect(count(answers, 'NotificationResponse')).toBe(3);
  });

  test('to one who is idle: at once; to one in a transaction: when it has ended', async () => {
    const idle = await Both.connect(pair);
    const busy = await Both.connect(pair);
    await idle.query('LISTEN news');
    await busy.query('LISTEN news');
    await busy.query('BEGIN; SELECT 1');
    await both.query("NOTIFY news, 'for all'");
    // Nothing is asked of these, and still they hear.
    const [direct, through] = await Promise.all([idle.direct.next(), idle.through.next()]);
    expect(direct.name).toBe('NotificationResponse');
    expectSame([through], [direct]);
    expect(names(await busy.query('SELECT 2'))).not.toContain('NotificationResponse');
    expect(names(await busy.query('COMMIT'))).toContain('NotificationResponse');
  });
});

describe('portals and pipelines', () => {
  test('in parts, two at a time, described, closed, and gone with their transaction', async () => {
    const part = (portal: string, rows: number): Buffer => frame.execute({ portal, rows });
    const frames = [
      frame.query('BEGIN'),
      frame.parse({ name: 's', text: 'SELECT i, $1::text FROM generate_series(1, 10) i' }),
      frame.describe({ type: 'S', name: 's' }),
      frame.bind({ portal: 'one', statement: 's', values: ['a'] }),
      frame.bind({ portal: 'two', statement: 's', values: ['b'], binary: true }),
      frame.describe({ type: 'P', name: 'two' }),
      ...[part('one', 3), part('two', 4), part('one', 3), frame.flush(), part('one', 4), part('one', 4)],
      ...[
        part('two', 5),
        frame.close({ type: 'P', name: 'one' }),
        frame.close({ type: 'P', name: 'never was' }),
      ],
      frame.sync(),
      frame.query('FETCH 1 FROM two; COMMIT'),
      part('two', 1),
      frame.sync(),
      frame.close({ type: 'S', name: 's' }),
      frame.bind({ statement: 's', values: ['c'] }),
      frame.sync(),
    ];
    const answers = await both.same(frames, 5);
    expect(count(answers, 'PortalSuspended')).toBe(5);
    expect(sqlstates(answers)).toEqual(['34000', '26000']);
  });

  test('behind an error all is skipped to the next Sync', async () => {
    const frames = [
      ...['SELECT 1', 'SELECT 1 / (random() * 0)::int', 'SELECT 2'].map(unsynced),
      frame.parse({ name: 'never', text: 'SELECT 3' }),
      frame.sync(),
      frame.bind({ statement: 'never' }),
      frame.sync(),
      frame.sync(),
      asked({ text: '' }),
      frame.query(''),
      frame.query(' ; -- nothing\n'),
    ];
    const answers = await both.same(frames, 6);
    expect(sqlstates(answers)).toEqual(['22012', '26000']);
    expect(count(answers, 'EmptyQueryResponse')).toBe(3);
  });

  test('an error for each message', async () => {
    const wrong = [
      frame.parse({ text: 'SELECT $1::int, $3' }),
      frame.parse({ text: 'SELECT 1; SELECT 2' }),
      frame.bind({ statement: 'none' }),
      frame.describe({ type: 'S', name: 'none' }),
      frame.describe({ type: 'P', name: 'none' }),
      frame.execute({ portal: 'none' }),
      Buffer.concat([frame.parse({ text: 'SELECT $1::int' }), frame.bind({ values: ['1', '2'] })]),
      Buffer.concat([frame.parse({ text: 'SELECT $1::int' }), frame.bind({ values: [Buffer.from([1])] })]),
      Buffer.concat([frame.parse({ text: 'SELECT $1::jsonb' }), frame.bind({ values: ['{"a": ,}'] })]),
    ];
    const answers = await both.same(
      wrong.flatMap((bytes) => [bytes, frame.sync()]),
      wrong.length,
    );
    expect(sqlstates(answers).length).toBe(wrong.length);
  });
});

describe('cancel', () => {
  const cancel = (way: Way): Promise<void> => cancelRequest(pair.connection(way), both[way].key!);

  /** Sends, waits until the text runs on both servers, cancels it, sends `after`, and gives what both were told. */
  async function cancelled(
    frames: readonly Buffer[],
    sql: string,
    after: readonly Buffer[] = [],
  ): Promise<readonly Answer[]> {
    const [direct, through] = WAYS.map((way) => exchange(both[way], frames));
    for (const way of WAYS) {
      await eventually(() => running(pair, way, sql), { what: `${sql} running` });
      await cancel(way);
      both[way].write(...after);
    }
    const answers = await through!;
    expectSame(answers, await direct!);
    expect(sqlstates(answers)).toEqual(['57014']);
    return answers;
  }

  test('of a statement, alone and in a pipeline', async () => {
    const sql = 'SELECT pg_sleep(621)';
    await cancelled([frame.query(sql)], sql);
    const rows = rowsOf(await cancelled([unsynced('SELECT 1'), asked({ text: sql })], sql));
    expect(rows.map(String)).toEqual(['1']);
  });

  test('of a COPY that waits for data', async () => {
    await both.query('CREATE TEMPORARY TABLE copied (id int)');
    const sql = 'COPY copied FROM STDIN';
    const data = frame.copyData(Buffer.from('1\n'));
    // The server looks up only when it has read the next of its data.
    await cancelled([frame.query(sql), data], sql, [data, data, frame.copyDone()]);
    await both.query('SELECT count(*) FROM copied');
  });

  test('where nothing runs it hits nothing, not even what comes next', async () => {
    for (const way of WAYS) await cancel(way);
    const [row] = rowsOf(await both.query("SELECT 'still here'"));
    expect(String(row)).toBe('still here');
  });
});
