// The demo's embedded Postgres: several clients, each of which must believe it has a server of its own.
import { connect, type Socket } from 'node:net';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type DemoDatabase, startDemoDatabase } from '../../src/cli/demo-database.ts';
import { SCOUT_NAME } from '../../src/gate/scout.ts';
import { eventually } from '../services/wait.ts';

let demo: DemoDatabase;
const open: pg.Client[] = [];

beforeAll(async () => {
  demo = await startDemoDatabase({ port: 0 });
});
afterAll(async () => {
  await Promise.all(open.map((client) => client.end()));
  await demo.close();
});

async function client(): Promise<pg.Client> {
  const made = new pg.Client({ ...demo });
  made.on('error', () => {});
  await made.connect();
  open.push(made);
  return made;
}

function message(tag: string, ...parts: (string | number[])[]): Buffer {
  const body = Buffer.concat(parts.map((part) => Buffer.from(typeof part === 'string' ? `${part}\0` : part)));
  const header = Buffer.alloc(5);
  header.write(tag, 'latin1');
  header.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}
const parse = (name: string, sql: string): Buffer => message('P', name, sql, [0, 0]);
const bind = (): Buffer => message('B', '', '', [0, 0, 0, 0, 0, 0]);
const execute = (): Buffer => message('E', '', [0, 0, 0, 0]);
const flush = message('H');
const sync = message('S');

/** A client that sends what a driver would not: one message, and nothing after it for a while. */
async function rawClient(): Promise<{ socket: Socket; heard: () => string }> {
  const socket = connect(demo.port, demo.host);
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk;
  });
  const body = Buffer.from('\0\x03\0\0user\0anyone\0database\0any\0\0', 'latin1');
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length + 4);
  socket.write(Buffer.concat([length, body]));
  await eventually(() => text.endsWith('Z\0\0\0\x05I'), { what: 'ReadyForQuery' });
  return { socket, heard: () => text.slice(text.indexOf('Z\0\0\0\x05I') + 6) };
}

/** The tags of the messages in what a client heard, without ParameterStatus, which may come at any time. */
function tags(heard: string): string {
  const bytes = Buffer.from(heard, 'latin1');
  let found = '';
  for (let at = 0; at < bytes.length; at += 1 + bytes.readInt32BE(at + 1))
    found += String.fromCharCode(bytes[at]!);
  return found.replaceAll('S', '');
}

describe('one client', () => {
  test('finds a shop', async () => {
    const { rows } = await (await client()).query(
      'SELECT (SELECT count(*)::int FROM customers) AS customers, (SELECT count(*)::int FROM orders) AS orders',
    );
    expect(rows).toEqual([{ customers: 200, orders: 2000 }]);
  });

  test('gets the true transaction status after an error', async () => {
    const one = await client();
    await one.query('BEGIN');
    await expect(one.query('SELECT 1 / $1::int', [0])).rejects.toMatchObject({ code: '22012' });
    await expect(one.query('SELECT 1')).rejects.toMatchObject({ code: '25P02' });
    await one.query('ROLLBACK');
    expect((await one.query('SELECT 1 AS a')).rows).toEqual([{ a: 1 }]);
  });

  test('is refused COPY FROM STDIN in both protocols, and goes on', async () => {
    const one = await client();
    const sql = 'COPY customers FROM STDIN';
    await expect(one.query(sql)).rejects.toMatchObject({ code: '0A000' });
    await expect(one.query({ name: 'copy', text: sql })).rejects.toMatchObject({ code: '0A000' });
    expect((await one.query('SELECT 1 AS a')).rows).toEqual([{ a: 1 }]);
  });

  test('sees its CancelRequest taken and the connection closed', async () => {
    const socket = connect(demo.port, demo.host);
    const packet = Buffer.alloc(16);
    packet.writeInt32BE(16, 0);
    packet.writeInt32BE(80877102, 4);
    socket.resume().write(packet);
    await new Promise((resolve) => socket.once('close', resolve));
  });
});

describe('two clients', () => {
  test('read at the same time', async () => {
    const [one, two] = [await client(), await client()];
    const numbers = Array.from({ length: 20 }, (_, n) => n);
    const ask = async (each: pg.Client, from: number): Promise<number[]> => {
      const answers: number[] = [];
      for (const n of numbers) answers.push((await each.query('SELECT $1::int AS a', [from + n])).rows[0].a);
      return answers;
    };
    expect(await Promise.all([ask(one, 0), ask(two, 100)])).toEqual([numbers, numbers.map((n) => 100 + n)]);
  });

  test('may use the same name for different prepared statements', async () => {
    const [one, two] = [await client(), await client()];
    expect((await one.query({ name: 'same', text: "SELECT 'one' AS a" })).rows).toEqual([{ a: 'one' }]);
    expect((await two.query({ name: 'same', text: "SELECT 'two' AS a" })).rows).toEqual([{ a: 'two' }]);
    expect((await one.query({ name: 'same', text: "SELECT 'one' AS a" })).rows).toEqual([{ a: 'one' }]);
  });

  test('do not execute each other’s unnamed statement', async () => {
    const { socket, heard } = await rawClient();
    const two = await client();
    socket.write(Buffer.concat([parse('', 'SELECT 111'), sync]));
    await eventually(() => heard().endsWith('I'));
    expect((await two.query('SELECT $1::int AS a', [222])).rows).toEqual([{ a: 222 }]);
    socket.write(Buffer.concat([bind(), execute(), sync]));
    await eventually(() => heard().includes('SELECT 1\0'));
    expect(heard()).toContain('111');
    // One answer to each of the client's own messages, and none to those that the front added.
    expect(tags(heard())).toBe('1Z2DCZ');
    socket.destroy();
  });

  test('one parsing and waiting to execute does not keep the other waiting', async () => {
    const { socket, heard } = await rawClient();
    const two = await client();
    socket.write(parse('', 'SELECT 111'));
    expect((await two.query('SELECT 1 AS a')).rows).toEqual([{ a: 1 }]);
    socket.write(Buffer.concat([bind(), execute(), sync]));
    await eventually(() => heard().includes('111'));
    socket.destroy();
  });

  test('an error of one does not make the engine ignore the other', async () => {
    const { socket, heard } = await rawClient();
    const two = await client();
    socket.write(Buffer.concat([parse('', 'SELEC'), flush]));
    await eventually(() => heard().includes('42601'));
    const answer = two.query('SELECT $1::int AS a', [5]);
    socket.write(sync);
    expect((await answer).rows).toEqual([{ a: 5 }]);
    socket.destroy();
  });

  test('what the last of them has set goes with it, though the proxy’s own connection stays', async () => {
    const scout = new pg.Client({ ...demo, application_name: SCOUT_NAME });
    await scout.connect();
    const one = await client();
    await one.query("SET work_mem = '5MB'");
    expect((await scout.query('SHOW work_mem')).rows).toEqual([{ work_mem: '5MB' }]);
    for (const each of open.splice(0)) await each.end();
    await eventually(async () => (await scout.query('SHOW work_mem')).rows[0].work_mem !== '5MB');
    await scout.end();
  });

  test('a transaction of one is not entered by the other, and is rolled back when its client vanishes', async () => {
    const [one, two] = [await client(), await client()];
    await one.query('BEGIN');
    await one.query('DELETE FROM orders');
    const count = two.query('SELECT count(*)::int AS n FROM orders');
    (one as unknown as { connection: { stream: Socket } }).connection.stream.destroy();
    expect((await count).rows).toEqual([{ n: 2000 }]);
  });
});

test('a taken port is said to be taken', async () => {
  await expect(startDemoDatabase({ port: demo.port })).rejects.toMatchObject({
    code: 'usage',
    message: `port ${demo.port} on 127.0.0.1 is taken`,
  });
});
