// The table "Startup" of the protocol, row by row: what a client sends first, and what it gets. Where nothing of ours is
// in play the real server is asked too, and must say the same.
import { readFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { int32 } from '../../src/base/bytes.ts';
import { Stage } from '../live/stage.ts';
import { cancelRequest, frame, startupPacket } from '../live/wire-client.ts';
import { TLS } from '../services/places.ts';
import { eventually } from '../services/wait.ts';
import {
  cancelPacket,
  FirstBytes,
  fatalOf,
  GSSENC_REQUEST,
  packet,
  SSL_REQUEST,
  startupOfLength,
} from './first-bytes.ts';

const ca = readFileSync(`${TLS}/ca.crt`);
const ALPN = { ca, ALPNProtocols: ['postgresql'] };
const startup = startupPacket({ user: 'reporting-bot', database: 'shop' });
/** What everybody is asked for who has got as far as a login. */
const ASKED = /^R[\s\S]*SCRAM-SHA-256/;

let plain: Stage;
let tls: Stage;
beforeAll(async () => {
  const limits = { startup: '2s', authentication: '2s' };
  const certificate = { cert: `${TLS}/server.crt`, key: `${TLS}/server.key` };
  [plain, tls] = await Promise.all([
    Stage.open({ limits }),
    Stage.open({ limits, listen: { tls: certificate }, target: { tls: 'require' } }),
  ]);
});
afterAll(async () => {
  await Promise.all([plain?.close(), tls?.close()]);
});

/** The same first bytes to us and to the real server. */
async function bothAnswer(stage: Stage, ...bytes: Buffer[]): Promise<[ours: string, theirs: string]> {
  const { host, port } = stage.database;
  return await Promise.all([
    FirstBytes.answerTo(stage.agent, ...bytes),
    FirstBytes.answerTo({ host, port }, ...bytes),
  ]);
}

async function expectServed(stage: Stage): Promise<void> {
  const client = await stage.wire();
  expect(await client.query('SELECT 1')).toContain('DataRow 1');
  await client.end();
}

/** A connection on which SSLRequest was answered with `S`, and TLS. */
async function requested(options: object = ALPN): Promise<FirstBytes> {
  const connection = await FirstBytes.dial(tls.agent);
  connection.send(SSL_REQUEST);
  expect(await connection.read(1)).toBe('S');
  return await connection.secure(options);
}

async function direct(options: object = ALPN): Promise<FirstBytes> {
  return await (await FirstBytes.dial(tls.agent)).secure(options);
}

describe('SSLRequest: `S` and TLS, or `N` where the listener has none; a second one, or bytes buffered behind it before the handshake, is fatal', () => {
  test('S, the handshake, and a session inside it', async () => {
    const client = await tls.wire({ ca });
    expect(await client.query('SELECT 1')).toContain('DataRow 1');
  });

  test('ALPN need not be named after an SSLRequest, but another protocol must not be', async () => {
    const without = await requested({ ca });
    without.send(startup);
    expect(await without.read(1)).toBe('R');
    without.socket.destroy();
    await expect(requested({ ca, ALPNProtocols: ['h2', 'http/1.1'] })).rejects.toThrow(
      /no application protocol/i,
    );
  });

  test('N, and the startup may follow in the clear', async () => {
    const connection = await FirstBytes.dial(plain.agent);
    connection.send(SSL_REQUEST);
    expect(await connection.read(1)).toBe('N');
    connection.send(startup);
    expect(await connection.read(24)).toMatch(ASKED);
    connection.socket.destroy();
  });

  test('a second one after N', async () => {
    const connection = await FirstBytes.dial(plain.agent);
    connection.send(SSL_REQUEST);
    await connection.read(1);
    connection.send(SSL_REQUEST);
    expect(fatalOf(await connection.rest())).toEqual({
      sqlstate: '0A000',
      message: 'unsupported frontend protocol 1234.5679: server supports 3.0 to 3.2',
    });
  });

  test('a second one in place of the handshake', async () => {
    const connection = await FirstBytes.dial(tls.agent);
    connection.send(SSL_REQUEST);
    await connection.read(1);
    connection.send(SSL_REQUEST);
    // At most an alert of TLS (type 0x15); nothing of ours in the clear.
    expect(await connection.rest()).toMatch(/^(\x15[\s\S]*)?$/);
  });

  test.each([
    ['SSLRequest', SSL_REQUEST, '1234.5679'],
    ['GSSENCRequest', GSSENC_REQUEST, '1234.5680'],
  ])('%s inside TLS, in the words of the server', async (_, request, code) => {
    const connection = await requested();
    connection.send(request);
    expect(fatalOf(await connection.rest())).toEqual({
      sqlstate: '0A000',
      message: `unsupported frontend protocol ${code}: server supports 3.0 to 3.2`,
    });
  });

  test.each([
    ['a startup', startup],
    ['one byte', Buffer.from([0])],
    ['the first bytes of a handshake', Buffer.from('16030100c8010000c40303', 'hex')],
  ])('%s behind it, with TLS: not one byte is taken for an encrypted one', async (_, bytes) => {
    expect(fatalOf(await FirstBytes.answerTo(tls.agent, SSL_REQUEST, bytes))).toEqual({
      sqlstate: '08P01',
      message: 'received unencrypted data after SSL request',
    });
  });

  test('a startup behind it, without TLS', async () => {
    const answer = await FirstBytes.answerTo(plain.agent, SSL_REQUEST, startup);
    expect(answer[0]).toBe('N');
    expect(fatalOf(answer.slice(1))).toEqual({
      sqlstate: '08P01',
      message: 'received unencrypted data after SSL request',
    });
  });
});

describe('direct TLS (first byte 0x16, ALPN `postgresql`; PG 17+): accepted when TLS is on', () => {
  test('a session', async () => {
    const client = await tls.wire({ ca, direct: true });
    expect(await client.query('SELECT 1')).toContain('DataRow 1');
    client.write(frame.query('DROP TABLE users'));
    await tls.deny('DROP TABLE users');
    expect((await client.ready())[0]).toMatch(/^ErrorResponse 42501/);
  });

  test('without ALPN it ends after the handshake, without a word', async () => {
    const connection = await direct({ ca });
    connection.send(startup);
    expect(await connection.rest()).toBe('');
    await expectServed(tls);
  });

  test('with another protocol’s ALPN it ends in the handshake', async () => {
    await expect(direct({ ca, ALPNProtocols: ['h2', 'http/1.1'] })).rejects.toThrow(
      /no application protocol/i,
    );
  });

  test('SSLRequest and GSSENCRequest within: N, once each, as the server answers', async () => {
    const connection = await direct();
    connection.send(SSL_REQUEST);
    expect(await connection.read(1)).toBe('N');
    connection.send(GSSENC_REQUEST);
    expect(await connection.read(1)).toBe('N');
    connection.send(SSL_REQUEST);
    expect(fatalOf(await connection.rest()).sqlstate).toBe('0A000');
  });

  test('where TLS is off the connection is closed without a word', async () => {
    const hello = Buffer.from('16030100c8010000c40303', 'hex');
    expect(await FirstBytes.answerTo(plain.agent, hello)).toBe('');
    await expect((await FirstBytes.dial(plain.agent)).secure(ALPN)).rejects.toThrow();
    await expectServed(plain);
  });
});

describe('GSSENCRequest: `N`', () => {
  test('and a startup, or an SSLRequest, may follow', async () => {
    const connection = await FirstBytes.dial(tls.agent);
    connection.send(GSSENC_REQUEST);
    expect(await connection.read(1)).toBe('N');
    connection.send(SSL_REQUEST);
    expect(await connection.read(1)).toBe('S');
    const secured = await connection.secure(ALPN);
    secured.send(startup);
    expect(await secured.read(24)).toMatch(ASKED);
    secured.socket.destroy();
  });

  test('a second one', async () => {
    const connection = await FirstBytes.dial(plain.agent);
    connection.send(GSSENC_REQUEST);
    await connection.read(1);
    connection.send(GSSENC_REQUEST);
    expect(fatalOf(await connection.rest()).message).toMatch(/^unsupported frontend protocol 1234\.5680/);
  });

  test('bytes behind it', async () => {
    const answer = await FirstBytes.answerTo(plain.agent, GSSENC_REQUEST, startup);
    expect(fatalOf(answer.slice(1)).message).toBe(
      'received unencrypted data after GSSAPI encryption request',
    );
  });
});

test('CancelRequest: looked up by our own key, never forwarded blindly', async () => {
  // The server's own key, sent to us, must not get to the server.
  const direct = await plain.direct();
  direct.write(frame.query('SELECT pg_sleep(60)'));
  const sleeping = "SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'";
  const isAsleep = async () => (await plain.look(sleeping, [direct.key!.processId])).length === 1;
  await eventually(isAsleep, { what: 'a statement sleeping on the server' });
  await cancelRequest(plain.agent, direct.key!);
  expect(await isAsleep()).toBe(true);
  expect(direct.unread).toEqual([]);
  await plain.look('SELECT pg_cancel_backend($1)', [direct.key!.processId]);
  expect((await direct.ready())[0]).toMatch(/^(RowDescription|ErrorResponse 57014)/);
});

describe('protocol 2 or other: FATAL 0A000', () => {
  test.each([
    ['2.0', 0x0002_0000],
    ['1.0', 0x0001_0000],
    ['4.0', 0x0004_0000],
    ['1234.5681', 80877105],
    ['0.0', 0],
  ])('%s', async (name, version) => {
    const answer = await FirstBytes.answerTo(plain.agent, startupPacket({ user: 'reporting-bot' }, version));
    expect(fatalOf(answer)).toEqual({
      sqlstate: '0A000',
      message: `unsupported frontend protocol ${name}: server supports 3.0 to 3.2`,
    });
  });
});

describe('length < 8 or > 10,000 bytes; no startup within `limits.startup`: closed', () => {
  test.each([
    ['nothing, but the end', Buffer.alloc(0)],
    ['length 0', Buffer.alloc(64)],
    ['length 7', Buffer.concat([int32(7), Buffer.alloc(3)])],
    ['length 1 GiB', Buffer.concat([int32(1 << 30), int32(0x0003_0000)])],
    ['a negative length', Buffer.concat([int32(-1), int32(0x0003_0000)])],
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['noise', Buffer.from(Array.from({ length: 64 }, (_, i) => (i * 151 + 7) % 256))],
    ['a CancelRequest without a key', cancelPacket(int32(1))],
    ['a CancelRequest with 257 bytes of key', cancelPacket(int32(1), Buffer.alloc(257))],
    ['half a length and the end', Buffer.from([0, 0])],
    ['half a packet and the end', int32(100)],
  ])('%s: without a word, as by the server', async (name, bytes) => {
    const answers = [plain.agent, plain.database].map(async ({ host, port }) => {
      const connection = await FirstBytes.dial({ host, port });
      if (name.endsWith('the end')) connection.socket.end(bytes);
      else connection.send(bytes);
      return await connection.rest();
    });
    expect(await Promise.all(answers)).toEqual(['', '']);
    await expectServed(plain);
  });

  test('10,000 bytes are read, 10,001 are not', async () => {
    const connection = await FirstBytes.dial(plain.agent);
    connection.send(startupOfLength(10_000, 'reporting-bot', 'shop'));
    expect(await connection.read(24)).toMatch(ASKED);
    connection.socket.destroy();
    const longer = startupOfLength(10_001, 'reporting-bot', 'shop');
    expect(await FirstBytes.answerTo(plain.agent, longer)).toBe('');
  });

  test.each([
    ['no terminator', packet(0x0003_0000, Buffer.from('user\0x\0'))],
    ['bytes behind the terminator', packet(0x0003_0000, Buffer.from('user\0x\0\0z'))],
    ['a name without a value', packet(0x0003_0000, Buffer.from('user\0'))],
    ['no user', startupPacket({ database: 'shop' })],
  ])('%s: FATAL with the SQLSTATE of the server', async (_, bytes) => {
    const [ours, theirs] = await bothAnswer(plain, bytes);
    expect(fatalOf(ours).sqlstate).toBe(fatalOf(theirs).sqlstate);
    expect(ours).not.toMatch(/node_modules|\.ts:|\.js:/);
  });

  test.each<[string, Buffer]>([
    ['nothing at all', Buffer.alloc(0)],
    ['half a packet', Buffer.concat([int32(100), int32(0x0003_0000)])],
    ['an SSLRequest and no handshake', SSL_REQUEST],
  ])('%s and then silence: closed when the time is over', async (_, bytes) => {
    const answer = await FirstBytes.answerTo(tls.agent, bytes);
    expect(answer).toBe(bytes === SSL_REQUEST ? 'S' : '');
    await expectServed(tls);
  });

  test('byte by byte is no crime, but for ever is', async () => {
    const slow = await FirstBytes.dial(plain.agent);
    for (const byte of startup) slow.send(Buffer.from([byte]));
    expect(await slow.read(24)).toMatch(ASKED);
    slow.socket.destroy();

    const { host, port } = plain.agent;
    const endless = createConnection({ host, port });
    const long = startupOfLength(10_000, 'reporting-bot', 'shop');
    let sent = 0;
    const dripping = setInterval(() => endless.write(long.subarray(sent, ++sent)), 20);
    await new Promise((resolve) => endless.on('error', () => {}).once('close', resolve));
    clearInterval(dripping);
    expect(sent).toBeLessThan(long.length);
  });
});
