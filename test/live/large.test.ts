// Much data: relayed whole, and never more of it in the proxy than the client has room for.
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../services/wait.ts';
import { Stage } from './stage.ts';
import { frame, type WireClient } from './wire-client.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open();
});
afterAll(() => stage?.close());

const MIB = 1024 * 1024;

test('a result of 50 MB reaches a reader that pauses, whole; meanwhile the server waits', async () => {
  const sql = 'SELECT i, repeat(md5(i::text), 31) FROM generate_series(1, 50000) i';
  const client = await stage.wire();
  client.write(frame.query(sql));
  client.socket.pause();
  // The server cannot get rid of its rows, and stays so: nobody between it and the client takes them all.
  let waits = 0;
  await eventually(
    async () => {
      const rows = await stage.look(
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'ClientWrite'",
      );
      waits = rows.length === 1 ? waits + 1 : 0;
      return waits === 50;
    },
    { what: 'the server waiting for the client to read' },
  );
  client.socket.resume();
  const through = createHash('sha256');
  let rows = 0;
  for (;;) {
    const { name, bytes } = await client.next();
    if (name === 'DataRow') {
      rows++;
      through.update(bytes);
    }
    if (name === 'ReadyForQuery') break;
  }
  expect(rows).toBe(50_000);
  const direct = createHash('sha256');
  const other = await stage.direct();
  other.write(frame.query(sql));
  for (let answer = await other.next(); answer.name !== 'ReadyForQuery'; answer = await other.next()) {
    if (answer.name === 'DataRow') direct.update(answer.bytes);
  }
  expect(through.digest('hex')).toBe(direct.digest('hex'));
});

test('a value of 20 MiB, there and back', async () => {
  const client = await stage.wire();
  const value = Buffer.alloc(20 * MIB, 'countersign ');
  client.write(
    frame.parse({ text: 'SELECT $1::text, md5($1), length($1)' }),
    frame.bind({ values: [value.toString('latin1')] }),
    frame.execute(),
    frame.sync(),
  );
  const answers = [];
  for (;;) {
    const answer = await client.next();
    answers.push(answer);
    if (answer.name === 'ReadyForQuery') break;
  }
  const row = answers.find(({ name }) => name === 'DataRow');
  expect(row).toBeDefined();
  // Header, number of columns, length: then the value itself.
  const from = 5 + 2 + 4;
  expect(row!.bytes.subarray(from, from + value.length).equals(value)).toBe(true);
  const md5 = createHash('md5').update(value).digest('hex');
  expect(row!.bytes.toString('latin1', from + value.length)).toContain(md5);
});

test('a message over limits.frame is refused before it is read', async () => {
  const client = await stage.wire();
  const header = Buffer.alloc(5);
  header.write('Q');
  header.writeInt32BE(64 * MIB + 1, 1);
  client.write(header);
  expect(await client.closed()).toEqual([expect.stringMatching(/^ErrorResponse 53400 message of/)]);
});

test('more behind a held statement than limits.backlog ends the wait, not the session', async () => {
  const client: WireClient = await stage.wire();
  client.write(frame.query('DROP TABLE users'));
  const hold = await stage.held('DROP TABLE users');
  const comment = `SELECT 'behind' /* ${'x'.repeat(600 * 1024)} */`;
  client.write(frame.query(comment), frame.query(comment));
  expect(await client.ready(3)).toEqual([
    expect.stringMatching(/^ErrorResponse 53400/),
    'ReadyForQuery I',
    ...Array(2)
      .fill(['RowDescription', 'DataRow behind', 'CommandComplete SELECT 1', 'ReadyForQuery I'])
      .flat(),
  ]);
  expect((await stage.hold(hold.id)).state).toBe('withdrawn');
  expect(await stage.timesRun('DROP TABLE users')).toBe(0);
});
