// Portals, cursors, prepared statements and errors: what comes back is what the server itself says, message by message.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Stage } from '../live/stage.ts';
import { frame, pipeline, type WireClient } from '../live/wire-client.ts';

const { parse, bind, describe: about, execute, close, sync, flush, query } = frame;

let stage: Stage;
let through: WireClient;
let direct: WireClient;
beforeAll(async () => {
  stage = await Stage.open();
  [through, direct] = await Promise.all([stage.wire(), stage.direct()]);
});
afterAll(() => stage?.close());

const int4 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};

/** Turns: what is sent before each wait for ReadyForQuery. */
const CONVERSATIONS: Readonly<Record<string, readonly Buffer[]>> = {
  'an empty query': [query(''), query(';;'), pipeline('')],
  'several statements in one text': [
    query("SELECT 1; SELECT 'two'; INSERT INTO notes(body) VALUES ('three')"),
  ],
  'an error in the middle of a text': [query('SELECT 1; SELECT 1/0; SELECT 3')],
  'a named portal with maxRows, suspended and resumed': [
    Buffer.concat([
      parse({ name: 'ten', text: 'SELECT generate_series(1, 10)' }),
      bind({ portal: 'p', statement: 'ten' }),
      about({ type: 'P', name: 'p' }),
      execute({ portal: 'p', rows: 4 }),
      execute({ portal: 'p', rows: 4 }),
      execute({ portal: 'p', rows: 4 }),
      sync(),
    ]),
  ],
  'two portals in turns, in a transaction': [
    query('BEGIN'),
    Buffer.concat([
      parse({ name: 'some', text: 'SELECT generate_series($1::int, 10)' }),
      bind({ portal: 'a', statement: 'some', values: ['1'] }),
      bind({ portal: 'b', statement: 'some', values: ['5'] }),
      execute({ portal: 'a', rows: 1 }),
      execute({ portal: 'b', rows: 2 }),
      sync(),
    ]),
    Buffer.concat([execute({ portal: 'a', rows: 2 }), execute({ portal: 'b', rows: 0 }), sync()]),
    query('COMMIT'),
  ],
  'binary parameters and NULL': [
    Buffer.concat([
      parse({ text: 'SELECT $1::int4 + 1, $2::bytea, $3::text IS NULL', types: [23, 17, 25] }),
      bind({ values: [int4(41), Buffer.from([0, 1, 255]), null] }),
      execute(),
      sync(),
    ]),
  ],
  'Describe of a statement and of a portal': [
    Buffer.concat([
      parse({ name: 'typed', text: 'SELECT id, body FROM notes WHERE id = $1' }),
      about({ type: 'S', name: 'typed' }),
      bind({ statement: 'typed', values: ['1'] }),
      about({ type: 'P' }),
      execute(),
      close({ type: 'S', name: 'typed' }),
      sync(),
    ]),
    Buffer.concat([bind({ statement: 'typed', values: ['1'] }), execute(), sync()]),
  ],
  'Flush in place of Sync': [
    Buffer.concat([parse({ text: 'SELECT 1' }), flush(), bind(), flush(), execute(), flush(), sync()]),
  ],
  'SQL PREPARE, EXECUTE and DEALLOCATE': [
    query('PREPARE plus AS SELECT $1::int + $2::int'),
    query('EXECUTE plus(1, 2)'),
    query('DEALLOCATE plus'),
    query('DEALLOCATE plus'),
  ],
  'names of SQL bound by the protocol, and the other way round': [
    query('PREPARE minus AS SELECT $1::int - $2::int'),
    Buffer.concat([bind({ statement: 'minus', values: ['5', '3'] }), execute(), sync()]),
    Buffer.concat([parse({ name: 'Times', text: 'SELECT $1::int * $2::int' }), sync()]),
    query('EXECUTE "Times"(6, 7)'),
  ],
  cursors: [
    query('BEGIN'),
    query('DECLARE few CURSOR FOR SELECT id FROM users ORDER BY id LIMIT 5'),
    query('FETCH 2 FROM few'),
    query('MOVE 1 FROM few'),
    query('FETCH ALL FROM few'),
    query('CLOSE few'),
    query('CLOSE few'),
    query('ROLLBACK'),
  ],
  'a cursor that outlives its transaction': [
    query('BEGIN; DECLARE kept CURSOR WITH HOLD FOR SELECT id FROM users ORDER BY id LIMIT 5; COMMIT'),
    query('FETCH 2 FROM kept'),
    query('CLOSE ALL'),
  ],
  'a portal of the protocol fetched by SQL': [
    query('BEGIN'),
    Buffer.concat([
      parse({ text: 'SELECT id FROM users ORDER BY id LIMIT 3' }),
      bind({ portal: 'shared' }),
      sync(),
    ]),
    query('FETCH 2 FROM shared'),
    query('ROLLBACK'),
  ],
  'a portal made within a savepoint ends with it, one from before stays': [
    query('BEGIN'),
    Buffer.concat([
      parse({ name: 'five', text: 'SELECT generate_series(1, 5)' }),
      bind({ portal: 'outer', statement: 'five' }),
      execute({ portal: 'outer', rows: 1 }),
      sync(),
    ]),
    query('SAVEPOINT a'),
    Buffer.concat([
      bind({ portal: 'inner', statement: 'five' }),
      execute({ portal: 'inner', rows: 2 }),
      sync(),
    ]),
    query('ROLLBACK TO a'),
    Buffer.concat([execute({ portal: 'outer', rows: 2 }), sync()]),
    Buffer.concat([execute({ portal: 'inner', rows: 1 }), sync()]),
    query('ROLLBACK'),
  ],
  'a Bind under the name of a suspended portal fails, and the portal goes on after the savepoint': [
    query('BEGIN'),
    Buffer.concat([
      parse({ name: 'six', text: 'SELECT generate_series(1, 6)' }),
      bind({ portal: 'p', statement: 'six' }),
      execute({ portal: 'p', rows: 1 }),
      sync(),
    ]),
    query('SAVEPOINT a'),
    Buffer.concat([parse({ text: 'SELECT 42' }), bind({ portal: 'p' }), execute({ portal: 'p' }), sync()]),
    query('ROLLBACK TO a'),
    Buffer.concat([
      execute({ portal: 'p', rows: 3 }),
      close({ type: 'P', name: 'p' }),
      bind({ portal: 'p', statement: 'six' }),
      execute({ portal: 'p', rows: 1 }),
      sync(),
    ]),
    query('COMMIT'),
  ],
  'portals end with their transaction, implicit or not; prepared statements do not': [
    Buffer.concat([
      parse({ name: 'stays', text: 'SELECT 1' }),
      bind({ portal: 'gone', statement: 'stays' }),
      sync(),
    ]),
    query('BEGIN'),
    Buffer.concat([bind({ portal: 'gone', statement: 'stays' }), sync()]),
    query('COMMIT AND CHAIN'),
    Buffer.concat([bind({ portal: 'gone', statement: 'stays' }), execute({ portal: 'gone' }), sync()]),
    query('ROLLBACK'),
    query('PREPARE rolled AS SELECT 2'),
    query('BEGIN; PREPARE back AS SELECT 3; ROLLBACK'),
    query('EXECUTE rolled'),
    query('EXECUTE back'),
    query('DEALLOCATE ALL'),
  ],
  'the unnamed statement is replaced, and ends with a simple query': [
    Buffer.concat([parse({ text: 'SELECT 1' }), parse({ text: 'SELECT 2' }), bind(), execute(), sync()]),
    query('SELECT 3'),
    Buffer.concat([bind(), execute(), sync()]),
  ],
  'a text that ends its own transaction, and one that begins one': [
    query('BEGIN; SELECT 1; COMMIT; SELECT 2'),
    query("INSERT INTO notes(body) VALUES ('implicit'); SELECT 1/0"),
    query('SELECT 1; BEGIN'),
    query('ROLLBACK; SELECT 2'),
    query('COMMIT'),
  ],
  'a deferred constraint that fails with the Sync': [
    query('CREATE TEMPORARY TABLE late (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)'),
    pipeline('INSERT INTO late VALUES (1)', 'INSERT INTO late VALUES (1)'),
    query('INSERT INTO late VALUES (2), (2)'),
  ],
  'errors of Parse, Bind and Execute, each skipping to its Sync': [
    Buffer.concat([parse({ text: 'SELECT nothing_of_the_kind' }), bind(), execute(), sync()]),
    Buffer.concat([parse({ text: 'SELECT $1::int' }), bind({ values: ['x'] }), execute(), sync()]),
    pipeline('SELECT 1/(id - 1) FROM users WHERE id = 1', 'SELECT 2'),
  ],
};

test.each(Object.entries(CONVERSATIONS))('%s', async (_, turns) => {
  const before = (await stage.holds('all')).length;
  for (const turn of turns) expect(await through.run(turn)).toEqual(await direct.run(turn));
  expect((await stage.holds('all')).length).toBe(before);
});

test('pipelined simple queries: each has its own answer and its own transaction', async () => {
  const texts = [
    'SELECT 1',
    'SELECT 1/0',
    '',
    "INSERT INTO notes(body) VALUES ('kept')",
    'BEGIN',
    'SELECT 1/0',
    'SELECT 2',
    'COMMIT',
  ];
  const frames = texts.map((text) => query(text));
  through.write(...frames);
  direct.write(...frames);
  expect(await through.ready(texts.length)).toEqual(await direct.ready(texts.length));
});

describe('COPY TO STDOUT, after a yes, is what the server sends', () => {
  test.each([
    ['whole', 'COPY (SELECT generate_series(1, 3)) TO STDOUT'],
    ['and fails on the way', 'COPY (SELECT 1 / (3 - n) FROM generate_series(1, 5) n) TO STDOUT'],
  ])('%s', async (_, sql) => {
    for (const frames of [query(sql), pipeline(sql), pipeline('SELECT 1', sql, 'SELECT 2')]) {
      through.write(frames);
      await stage.approve(sql);
      expect(await through.ready()).toEqual(await direct.run(frames));
    }
  });
});

test.each([
  ['a portal', Buffer.concat([execute({ portal: 'no such portal' }), sync()]), ''],
  ['a prepared statement', query('EXECUTE no_such_statement(1)'), 'EXECUTE no_such_statement'],
  ['a cursor', query('FETCH 1 FROM no_such_cursor'), 'FETCH 1 FROM no_such_cursor'],
])(
  '%s that nobody made through us is held, and after a yes the error is that of the server',
  async (_, turn, words) => {
    through.write(turn);
    await stage.approve(words);
    expect(await through.ready()).toEqual(await direct.run(turn));
  },
);

test('the place of an error, its table and its constraint', async () => {
  const failed = async (client: { query(sql: string): Promise<unknown> }, sql: string) => {
    const error = await client.query(sql).then(
      () => ({}),
      (reason: object) => reason,
    );
    const { length: _length, ...fields } = { ...error } as { length?: number };
    return fields;
  };
  const [agent, owner] = [await stage.pg(), stage.database.superuser];
  for (const sql of [
    'SELECT 1,\n  nothing_of_the_kind',
    "INSERT INTO users(email) VALUES ('user1@example.com')",
    'SELECT * FROM no_such_table',
    'INSERT INTO orders(user_id, total) VALUES (-1, 1)',
  ]) {
    const through = await failed(agent, sql);
    expect(through).toHaveProperty('code');
    expect(through).toEqual(await failed(owner, sql));
  }
  await agent.end();
});
