// The table "Frames" of the protocol, row by row, and what is on none of its rows. Bytes are judged as whole messages,
// however they came; what the server would have to guess ends the session before anything of it goes on.
import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { cstring, int32 } from '../../src/base/bytes.ts';
import { Stage } from '../live/stage.ts';
import { frame, type WireClient } from '../live/wire-client.ts';
import { loggedRecords } from '../services/scene.ts';
import { eventually } from '../services/wait.ts';
import { functionCall } from './matrix.ts';
import { lines, message } from './script.ts';

let stage: Stage;
let client: WireClient;
let direct: WireClient;
beforeAll(async () => {
  stage = await Stage.open();
  direct = await stage.direct();
});
beforeEach(async () => {
  client = await stage.wire();
});
afterAll(() => stage?.close());

const REFUSED = expect.stringMatching(/^ErrorResponse 42501 denied by alice/);
const holdsSoFar = async () => (await stage.holds('all')).length;
const int16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);
const int4 = (value: number): Buffer => int32(value);

test('Query: every statement in it is judged, the strictest counts, and a person sees all of it', async () => {
  const text = "INSERT INTO notes(body) VALUES ('first'); DROP TABLE users; SELECT 2";
  client.write(frame.query(text));
  const hold = await stage.deny('DROP TABLE users');
  expect(hold.statement.text).toBe(text);
  expect(hold.statement.tags).toEqual(['INSERT', 'DROP TABLE', 'SELECT']);
  expect(await client.ready()).toEqual([REFUSED, 'ReadyForQuery I']);
  expect(await stage.look("SELECT FROM notes WHERE body = 'first'")).toEqual([]);
  const before = await holdsSoFar();
  expect(await client.query('DROP TABLE users; SET standard_conforming_strings = off')).toEqual([
    expect.stringMatching(/^ErrorResponse 42501 denied by rule "lexing"/),
    'ReadyForQuery I',
  ]);
  expect(await holdsSoFar()).toBe(before);
});

test('Parse: forwarded without a question, whatever the text; its facts count when it runs', async () => {
  const before = await holdsSoFar();
  expect(await client.run(lines('P drop DROP TABLE users', 'S'))).toEqual([
    'ParseComplete',
    'ReadyForQuery I',
  ]);
  expect(await client.run(lines('B - drop', 'S'))).toEqual(['BindComplete', 'ReadyForQuery I']);
  expect(await holdsSoFar()).toBe(before);
  client.write(lines('B - drop', 'E -', 'S'));
  await stage.deny('DROP TABLE users');
  expect(await client.ready()).toEqual(['BindComplete', REFUSED, 'ReadyForQuery I']);
});

test('Bind: the values, in text, in binary and NULL, are what a person is shown and what the server gets', async () => {
  const sql = 'UPDATE users SET name = $1 || $2::int4 || coalesce($3, $4) WHERE true';
  const values = ['it’s', int4(7), null, Buffer.from([0x6f, 0x6b])];
  const send = () =>
    client.write(
      frame.parse({ text: sql, types: [25, 23, 25, 25] }),
      message(
        'B',
        cstring(''),
        cstring(''),
        int16(4),
        ...[0, 1, 0, 1].map(int16),
        int16(4),
        ...values.flatMap((value) => {
          if (value === null) return [int32(-1)];
          const bytes = Buffer.from(value);
          return [int32(bytes.length), bytes];
        }),
        int16(0),
      ),
      frame.execute(),
      frame.sync(),
    );
  send();
  const hold = await stage.approve(sql);
  expect(hold.statement.parameters).toEqual(['it’s', '\\x00000007', null, '\\x6f6b']);
  expect(await client.ready()).toContainEqual(expect.stringMatching(/^CommandComplete UPDATE/));
  expect(await stage.look('SELECT DISTINCT name FROM users')).toEqual([{ name: 'it’s7ok' }]);
});

test('Execute: judged every time; a suspended portal goes on without a second question', async () => {
  const sql = 'SELECT id FROM users ORDER BY id LIMIT 20000';
  client.write(lines(`P many ${sql}`, 'B p many', 'E p 2', 'E p 2', 'E p 1'), frame.sync());
  await stage.approve(sql);
  const answers = await client.ready();
  expect(answers.filter((answer) => answer.startsWith('DataRow'))).toHaveLength(5);
  expect(answers.filter((answer) => answer === 'PortalSuspended')).toHaveLength(3);
  // Bound anew, under the same name: a question of its own.
  client.write(lines('B p many', 'E p 1', 'B - many', 'E - 1', 'S'));
  await stage.approve(sql);
  await stage.deny(sql);
  expect(await client.ready()).toEqual([
    'BindComplete',
    expect.stringMatching(/^DataRow/),
    'PortalSuspended',
    'BindComplete',
    REFUSED,
    'ReadyForQuery I',
  ]);
});

test('Describe, Close, Flush, Sync: forwarded, and Close drops what stood under the name', async () => {
  const turn = lines(
    'P s SELECT 1 AS one',
    'D S s',
    'B p s',
    'D P p',
    'H',
    'E p',
    'C P p',
    'C S s',
    'C S never',
    'S',
  );
  const before = await holdsSoFar();
  const answers = await client.run(turn);
  expect(answers).toEqual(await direct.run(turn));
  expect(answers).toEqual(
    expect.arrayContaining(['ParameterDescription', 'RowDescription', 'CloseComplete', 'DataRow 1']),
  );
  expect(await holdsSoFar()).toBe(before);
  // Not what it was: nobody knows what the server would run.
  client.write(frame.query('EXECUTE s'));
  const hold = await stage.deny('EXECUTE s');
  expect(hold.rule.name).toBe('not-understood');
  await client.ready();
});

test('FunctionCall: by OID, which names nothing, so a person decides; approved it runs once', async () => {
  const [found] = await stage.look<{ oid: number }>(
    "SELECT 'pg_catalog.md5(text)'::regprocedure::oid::int AS oid",
  );
  const call = functionCall(found!.oid, 'abc');
  client.write(call);
  const hold = await stage.approve(`OID ${found!.oid}`);
  expect(hold.statement.parameters).toEqual(['abc']);
  const answers = await client.ready();
  expect(answers).toEqual(await direct.run(call));
  expect(answers[0]).toBe('FunctionCallResponse');
  client.write(call);
  await stage.deny(`OID ${found!.oid}`);
  expect(await client.ready()).toEqual([REFUSED, 'ReadyForQuery I']);
  expect(await stage.timesRun(`OID ${found!.oid}`)).toBe(1);
});

test('CopyData, CopyDone, CopyFail: pass while a COPY is under way, and elsewhere are ignored as by the server', async () => {
  const copied = lines('Q COPY notes(body) FROM STDIN', 'd one', 'd two', 'c');
  expect(await client.run(copied)).toEqual(['CopyInResponse', 'CommandComplete COPY 2', 'ReadyForQuery I']);
  expect(await stage.look("SELECT body FROM notes WHERE body IN ('one', 'two')")).toHaveLength(2);
  const astray = lines(
    'd x',
    'c',
    'f y',
    'Q SELECT 1',
    'd x',
    'P - SELECT 2',
    'c',
    'B - -',
    'f z',
    'E -',
    'd x',
    'S',
  );
  client.write(astray);
  direct.write(astray);
  const answers = await client.ready(2);
  expect(answers).toEqual(await direct.ready(2));
  expect(answers).toContain('DataRow 2');
});

test('Terminate: passes, and is in the log', async () => {
  client.write(frame.query("SELECT 'before the end'"), frame.end());
  expect(await client.closed()).toContain('DataRow before the end');
  const closing = await eventually(
    () => {
      const records = loggedRecords(stage.auditDir);
      const session = records.find(({ sql }) => sql === "SELECT 'before the end'")?.leaf['session'];
      return (
        records.find(({ type, leaf }) => type === 'session.close' && leaf['session'] === session) ?? false
      );
    },
    { what: 'the record of the end' },
  );
  expect(closing.leaf['because']).toBe('client terminated');
});

const VIOLATIONS: Readonly<Record<string, Buffer>> = {
  'PasswordMessage etc. after startup': message('p', cstring('secret')),
  'a message of the server’s': message('R', int32(0)),
  'an unknown tag': message('x'),
  'a NUL for a tag': message('\0'),
  'a tag with its high bit set': message('\xff'),
  'a StartupMessage': Buffer.concat([int32(8), int32(0x0003_0000)]),
  'an SSLRequest': Buffer.concat([int32(8), int32(80877103)]),
  'a length below 4': Buffer.from([0x51, 0, 0, 0, 3]),
  'a negative length': Buffer.from([0x51, 0xff, 0xff, 0xff, 0xff]),
  'Query with bytes after its NUL': message('Q', cstring('SELECT 1'), cstring('; DROP TABLE users')),
  'Query without a NUL': message('Q', Buffer.from('DROP TABLE users')),
  'Parse with a second text behind its NUL': message(
    'P',
    cstring('s'),
    cstring('SELECT 1'),
    cstring('DROP'),
    int16(0),
  ),
  'Parse that promises a type more': message('P', cstring(''), cstring('SELECT 1'), int16(1)),
  'Parse with bytes behind its end': message(
    'P',
    cstring(''),
    cstring('SELECT 1'),
    int16(0),
    Buffer.from([0]),
  ),
  'Bind with a value longer than the message': message(
    'B',
    cstring(''),
    cstring(''),
    int16(0),
    int16(1),
    int32(9),
  ),
  'Bind with a negative length': message(
    'B',
    cstring(''),
    cstring(''),
    int16(0),
    int16(1),
    int32(-2),
    int16(0),
  ),
  'Bind with formats for other values': message(
    'B',
    ...[cstring(''), cstring(''), int16(2), int16(0), int16(0), int16(1), int32(-1), int16(0)],
  ),
  'Bind with a third format': message('B', cstring(''), cstring(''), int16(1), int16(2), int16(0), int16(0)),
  'Execute without its row count': message('E', cstring('')),
  'Describe of neither': message('D', cstring('Xname')),
  'Close of neither': message('C', cstring('Xname')),
  'Sync with a body': message('S', int32(0)),
  'Flush with a body': message('H', int32(0)),
  'CopyDone with a body': message('c', int32(0)),
  'Terminate with a body': message('X', int32(0)),
  'FunctionCall cut short': message('F', int32(1), int16(0)),
};

describe('08P01, FATAL, and nothing of it reaches the server:', () => {
  test.each(Object.entries(VIOLATIONS))('%s', async (_, bytes) => {
    client.write(frame.query('SELECT 1'));
    await client.ready();
    client.write(bytes, frame.query('SELECT 3'));
    expect(await client.closed()).toEqual([expect.stringMatching(/^ErrorResponse 08P01 /)]);
    expect(client.errors.at(-1)).toMatchObject({ S: 'FATAL', V: 'FATAL' });
  });

  test('of them all, the server ran nothing', async () => {
    expect((await stage.ran()).filter((sql) => /DROP|SELECT 3/.test(sql))).toEqual([]);
  });
});

/** Allowed, denied, failing, in both protocols, with COPY and large enough values; the same each time. */
const CONVERSATION = Buffer.concat([
  lines(
    'Q SELECT 1; SELECT 2',
    'Q BEGIN',
    'P s SELECT $1::text',
    'B p s value',
    'D P p',
    'H',
    'E p 1',
    'C S s',
    'S',
  ),
  lines(
    'Q COPY notes(body) FROM STDIN',
    'd copied',
    'c',
    'Q SET standard_conforming_strings = off',
    'Q ROLLBACK',
  ),
  lines('P - SELECT 1/0', 'B - -', 'E -', 'S', 'Q '),
]);
const READIES = 8;

describe('any split of the bytes gives the same answers', () => {
  test('byte by byte', async () => {
    client.write(CONVERSATION);
    const whole = await client.ready(READIES);
    const other = await stage.wire();
    for (const byte of CONVERSATION) {
      other.write(Buffer.from([byte]));
      await setImmediate();
    }
    expect(await other.ready(READIES)).toEqual(whole);
  });

  test('in two, at every place', async () => {
    client.write(CONVERSATION);
    const whole = await client.ready(READIES);
    expect(whole.filter((answer) => answer.startsWith('ErrorResponse'))).toHaveLength(2);
    for (let at = 1; at < CONVERSATION.length; at++) {
      client.write(CONVERSATION.subarray(0, at));
      await setImmediate();
      client.write(CONVERSATION.subarray(at));
      expect(await client.ready(READIES), `split at ${at}`).toEqual(whole);
    }
  });

  test('a held statement is judged whole, however it came', async () => {
    const bytes = lines('P - DROP TABLE users', 'B - -', 'E -', 'S');
    for (const at of [1, 4, 5, 12, bytes.length - 6, bytes.length - 1]) {
      client.write(bytes.subarray(0, at));
      await setImmediate();
      client.write(bytes.subarray(at));
      await stage.deny('DROP TABLE users');
      expect(await client.ready()).toEqual(['ParseComplete', 'BindComplete', REFUSED, 'ReadyForQuery I']);
    }
  });
});
