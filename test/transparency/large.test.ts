// Values of 64 MiB, there and back, by each way that a protocol message can carry them: as with the server itself.
import { createCipheriv, createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Answer, frame, type WireClient } from '../live/wire-client.ts';
import { asked, exchange, rowsOf } from './exchange.ts';
import { Pair, WAYS, type Way } from './observed.ts';

const MIB = 1024 * 1024;
const LENGTH = 64 * MIB;
// No two parts of it alike, or one that is lost or comes twice would not be missed.
const VALUE = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(LENGTH));
const TEXT = VALUE.toString('base64', 0, (LENGTH / 4) * 3);

let pair: Pair;
const clients = new Map<Way, WireClient>();
beforeAll(async () => {
  // A message is the value and what is around it.
  pair = await Pair.open({ frame: '65MiB' });
  // The server would write the values into its log.
  await pair.prepare(`
    DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET log_parameter_max_length = 0', current_database()); END $$;
    CREATE TABLE kept (body bytea);
    ALTER TABLE kept ALTER body SET STORAGE EXTERNAL;
    GRANT ALL ON kept TO PUBLIC`);
  for (const way of WAYS) clients.set(way, await pair.wire(way));
});
afterAll(() => pair?.close());

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** The answers through us; those of the server itself are as long and have the same digests. */
async function same(...frames: Buffer[]): Promise<readonly Answer[]> {
  const answers = new Map<Way, readonly Answer[]>();
  for (const [way, client] of clients) answers.set(way, await exchange(client, frames));
  const [direct, through] = WAYS.map((way) =>
    answers.get(way)!.map(({ name, bytes }) =>
      // It has the table's OID, which is another in another database.
      name === 'RowDescription' ? `${name} ${bytes.length}` : `${name} ${bytes.length} ${digest(bytes)}`,
    ),
  );
  expect(through).toEqual(direct);
  return answers.get('through')!;
}

test('as a parameter and in a row, binary', async () => {
  const text = 'INSERT INTO kept VALUES ($1) RETURNING body, sha256(body)';
  const [row] = rowsOf(await same(asked({ text, values: [VALUE], binary: true })));
  expect(row![1]!.toString('hex')).toBe(digest(VALUE));
  expect(row![0]!.equals(VALUE)).toBe(true);
});

test('as a parameter and in a row, text', async () => {
  const [row] = rowsOf(await same(asked({ text: 'SELECT $1::text, length($1)', values: [TEXT] })));
  expect(row![1]!.toString()).toBe(`${TEXT.length}`);
  expect(row![0]!.equals(Buffer.from(TEXT))).toBe(true);
});

test('in a row, twice as long as the value, by a simple query', async () => {
  const [row] = rowsOf(await same(frame.query('SELECT body FROM kept')));
  expect(row![0]!.length).toBe(2 + 2 * LENGTH);
  expect(Buffer.from(row![0]!.toString('latin1', 2), 'hex').equals(VALUE)).toBe(true);
});

test('in the message of a COPY, both directions', async () => {
  const copied = await same(frame.query('COPY kept TO STDOUT (FORMAT binary)'));
  const data = copied.filter(({ name }) => name === 'CopyData').map(({ bytes }) => bytes.subarray(5));
  expect(Math.max(...data.map(({ length }) => length))).toBeGreaterThan(LENGTH);
  const messages = data.map((bytes) => frame.copyData(bytes));
  await same(frame.query('COPY kept FROM STDIN (FORMAT binary)'), ...messages, frame.copyDone());
  const [row] = rowsOf(await same(frame.query('SELECT count(*), count(DISTINCT body) FROM kept')));
  expect(row!.map(String)).toEqual(['2', '1']);
});
