// Data that drivers seldom carry: COPY in the binary format cut anywhere, large objects by FunctionCall, text in other
// encodings. Frame by frame, and the answers are the same bytes both ways.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { int32 } from '../../src/base/bytes.ts';
import { frame } from '../live/wire-client.ts';
import { Both, names, sqlstates } from './both.ts';
import { rowsOf } from './exchange.ts';
import { Pair } from './observed.ts';

let pair: Pair;
let both: Both;
beforeAll(async () => {
  pair = await Pair.open();
  await pair.prepare(`
    CREATE TABLE copied (id int, body text, raw bytea);
    GRANT ALL ON copied TO PUBLIC;
    INSERT INTO copied SELECT i, repeat('ž', i), decode(md5(i::text), 'hex') FROM generate_series(1, 200) i;
    INSERT INTO copied VALUES (NULL, NULL, NULL), (0, '', '')`);
  both = await Both.connect(pair);
});
afterAll(() => pair?.close());

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function message(tag: string, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from(tag), int32(body.length + 4), body]);
}

describe('COPY in the binary format', () => {
  const COPY = 'COPY copied FROM STDIN (FORMAT binary)';

  /** All that the table holds, as one run of bytes. */
  async function copied(): Promise<Buffer> {
    const answers = await both.query('COPY copied TO STDOUT (FORMAT binary)');
    const data = answers.filter(({ name }) => name === 'CopyData').map(({ bytes }) => bytes.subarray(5));
    expect(data.length).toBeGreaterThan(200);
    return Buffer.concat(data);
  }

  const cut = (bytes: Buffer, length: number): Buffer[] =>
    Array.from({ length: Math.ceil(bytes.length / length) }, (_, i) =>
      frame.copyData(bytes.subarray(i * length, (i + 1) * length)),
    );

  test.each([1, 7, 1000, 1_000_000])('cut into messages of %i bytes', async (length) => {
    const parts = cut(await copied(), length);
    const [start] = rowsOf(await both.query('SELECT count(*) FROM copied'));
    await both.same([frame.query('BEGIN'), frame.query(COPY), ...parts, frame.copyDone()], 2);
    const [end] = rowsOf(await both.query('SELECT count(*), count(DISTINCT (id, body, raw)) FROM copied'));
    expect(end!.map(Number)).toEqual([2 * Number(start![0]), Number(start![0])]);
    await both.query('ROLLBACK');
  });

  test.each<[string, (bytes: Buffer) => Buffer]>([
    ['another signature', (bytes) => Buffer.concat([Buffer.from('PGCOPZ'), bytes.subarray(6)])],
    ['an end amid a row', (bytes) => bytes.subarray(0, 1000)],
    ['bytes behind the trailer', (bytes) => Buffer.concat([bytes, Buffer.from('more')])],
    ['a row of other columns', (bytes) => Buffer.concat([bytes.subarray(0, 19), int16(9)])],
  ])('%s', async (_, spoil) => {
    const parts = cut(spoil(await copied()), 500);
    expect(sqlstates(await both.same([frame.query(COPY), ...parts, frame.copyDone()]))).toEqual(['22P04']);
  });

  test('in a pipeline, with a Flush amid it, and given up', async () => {
    const parts = cut(await copied(), 600);
    const [first, rest] = [parts.slice(0, 5), parts.slice(5)];
    const start = [frame.parse({ text: COPY }), frame.bind(), frame.execute()];
    const whole = [...start, ...first, frame.flush(), ...rest, frame.copyDone(), frame.sync()];
    expect(names(await both.same(whole))).toContain('CommandComplete');
    const givenUp = [...start, ...first, frame.copyFail('no more'), frame.sync()];
    expect(sqlstates(await both.same(givenUp))).toEqual(['57014']);
  });
});

describe('large objects by FunctionCall', () => {
  /** As libpq finds them in pg_proc. */
  const PROC = { lo_open: 952, lo_close: 953, loread: 954, lowrite: 955, lo_lseek: 956, lo_unlink: 964 };

  const call = (oid: number, values: readonly (Buffer | null)[], format = 1): Buffer =>
    message(
      'F',
      int32(oid),
      int16(1),
      int16(format),
      int16(values.length),
      ...values.flatMap((value) => (value === null ? [int32(-1)] : [int32(value.length), value])),
      int16(format),
    );

  const READ_AND_WRITE = int32(0x0006_0000);

  test('opened, written, read, and removed', async () => {
    await both.query('SELECT lo_create(1234567890); BEGIN');
    const oid = int32(1_234_567_890);
    const bytes = Buffer.alloc(50_000, 'any bytes\0\xff', 'latin1');
    const fd = int32(0);
    const frames = [
      call(PROC.lo_open, [oid, READ_AND_WRITE]),
      call(PROC.lowrite, [fd, bytes]),
      call(PROC.lo_lseek, [fd, int32(9), int32(0)]),
      call(PROC.loread, [fd, int32(20_000)]),
      // In the text format.
      call(PROC.loread, [Buffer.from('0'), Buffer.from('5')], 0),
      call(PROC.lo_close, [fd]),
      frame.query('COMMIT'),
      call(PROC.lo_unlink, [oid]),
    ];
    const answers = await both.same(frames, frames.length);
    const returned = answers.filter(({ name }) => name === 'FunctionCallResponse');
    expect(returned.length).toBe(7);
    // Header and length, then what was read.
    expect(returned[3]!.bytes.subarray(9).equals(bytes.subarray(9, 20_009))).toBe(true);
  });

  test('failures, alone and in a transaction', async () => {
    const lost = call(PROC.lo_unlink, [int32(12345)]);
    const frames = [
      lost,
      call(4_000_000, []),
      call(PROC.lo_unlink, []),
      call(PROC.lo_unlink, [null]),
      frame.query('BEGIN'),
      lost,
      lost,
      frame.query('ROLLBACK'),
    ];
    const answers = await both.same(frames, frames.length);
    expect(sqlstates(answers)).toEqual(['42704', '42883', '08P01', '42704', '25P02']);
  });
});

describe('encodings', () => {
  const LATIN2 = Buffer.from('\xbelu\xbb', 'latin1'); // žluť

  /** A statement with one value that need not be UTF-8. */
  const bound = (text: string, value: Buffer): Buffer[] => [
    frame.parse({ text }),
    message('B', Buffer.from('\0\0'), int16(0), int16(1), int32(value.length), value, int16(0)),
    frame.execute(),
    frame.sync(),
  ];

  test('values, rows and errors in the client’s own', async () => {
    await both.query("SET client_encoding = 'LATIN2'");
    const [row] = rowsOf(await both.same(bound('SELECT $1::text, length($1)', LATIN2)));
    expect(row!.map((value) => value!.toString('latin1'))).toEqual([LATIN2.toString('latin1'), '4']);
    const failed = await both.same(bound('SELECT $1::int', LATIN2));
    expect(failed.find(({ name }) => name === 'ErrorResponse')!.bytes.includes(LATIN2)).toBe(true);
    // ParameterStatus with what is no UTF-8.
    await both.same(bound("SELECT set_config('application_name', $1, false)", LATIN2));
    expect(sqlstates(await both.query('SELECT chr(28450)'))).toEqual(['22P05']);
    await both.query('RESET client_encoding');
  });

  test.each(['SJIS', 'BIG5', 'EUC_JP', 'WIN1250', 'SQL_ASCII', 'KLINGON'])('%s', async (encoding) => {
    await both.query(`SET client_encoding = '${encoding}'`);
    await both.query("SELECT chr(28450) || chr(23383), 'ascii'");
    await both.same(bound('SELECT $1::text', Buffer.from('8abf8e9a', 'hex')));
    await both.query('RESET client_encoding');
  });

  test('what is no UTF-8 is the server’s to refuse', async () => {
    const frames = [LATIN2, Buffer.from('a\0')].flatMap((value) => bound('SELECT $1::text', value));
    expect(sqlstates(await both.same(frames, 2))).toEqual(['22021', '22021']);
    const [row] = rowsOf(await both.query("SELECT 'still here'"));
    expect(String(row)).toBe('still here');
  });
});
