// The section "Cancel" of the protocol on one node: a statement that waits is withdrawn, one that runs is cancelled on the
// server, and only by who may.
import { readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { int32 } from '../../src/base/bytes.ts';
import { Stage } from '../live/stage.ts';
import { cancelRequest, frame, pipeline } from '../live/wire-client.ts';
import { TLS } from '../services/places.ts';
import { psqlSession } from '../services/psql.ts';
import { cancelPacket, FirstBytes, SSL_REQUEST } from './first-bytes.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open();
});
afterAll(() => stage?.close());

const CANCELLED = 'ErrorResponse 57014 canceling statement due to user request';

describe('The client’s CancelRequest carries our key', () => {
  test('the key of the server never leaves us', async () => {
    const client = await stage.wire();
    const answers = await client.query('SELECT pg_backend_pid()');
    const pid = answers.find((answer) => answer.startsWith('DataRow'));
    expect(pid).toMatch(/^DataRow \d+$/);
    expect(pid).not.toBe(`DataRow ${client.key?.processId}`);
  });

  test('a cancel when nothing runs is forgotten', async () => {
    const client = await stage.wire();
    await cancelRequest(stage.agent, client.key!);
    expect(await client.query('SELECT 1')).toContain('DataRow 1');
  });
});

describe('Waiting: withdraw', () => {
  test('Ctrl-C in psql; a late yes runs nothing', async () => {
    const session = psqlSession(stage.agent, ['-v', 'VERBOSITY=verbose']);
    session.send('DROP TABLE users;');
    const hold = await stage.held('DROP TABLE users');
    await session.expect(/held for approval/);
    session.interrupt();
    await session.expect(/ERROR: {2}57014: canceling statement due to user request/);
    await session.end();
    const withdrawn = await stage.became(hold.id, 'withdrawn');
    expect(withdrawn.closed_because).toBe('client cancelled');
    expect((await stage.vote(hold, 'approve')).status).toBe(409);
    expect(await stage.timesRun('DROP TABLE users')).toBe(0);
    expect(await stage.tableExists('users')).toBe(true);
  });

  test('57014, the status of the server, and the session goes on', async () => {
    const client = await stage.wire();
    await client.query('BEGIN');
    client.write(pipeline('SELECT 1', 'DROP TABLE users', 'SELECT 2'));
    const hold = await stage.held('DROP TABLE users');
    await cancelRequest(stage.agent, client.key!);
    expect((await client.ready()).slice(-2)).toEqual([CANCELLED, 'ReadyForQuery E']);
    expect(await client.query('ROLLBACK')).toEqual(['CommandComplete ROLLBACK', 'ReadyForQuery I']);
    expect((await stage.vote(hold, 'approve')).status).toBe(409);
    expect(await stage.timesRun('DROP TABLE users')).toBe(0);
  });
});

describe('Running: a CancelRequest upstream with the real key (TLS as configured)', () => {
  test('it is cancelled on the server', async () => {
    const client = await stage.wire();
    client.write(frame.query('SELECT pg_sleep(60)'));
    await stage.asleep();
    await cancelRequest(stage.agent, client.key!);
    expect((await client.ready()).slice(-2)).toEqual([CANCELLED, 'ReadyForQuery I']);
  });

  test('what runs ahead of one that is to be held: it is cancelled, and nobody is asked', async () => {
    const client = await stage.wire();
    client.write(pipeline('SELECT pg_sleep(60)', 'DROP TABLE users'));
    await stage.asleep();
    await cancelRequest(stage.agent, client.key!);
    expect((await client.ready()).slice(-2)).toEqual([CANCELLED, 'ReadyForQuery I']);
    expect(await stage.holds()).toEqual([]);
  });

  test('with TLS to the server the real key does not go over the wire in the clear', async () => {
    const recorder = await Recorder.open(stage.database.port);
    const secure = await Stage.open({
      listen: { tls: { cert: `${TLS}/server.crt`, key: `${TLS}/server.key` } },
      target: { port: recorder.port, tls: 'verify-full', tlsCa: `${TLS}/ca.crt` },
    });
    try {
      const ca = readFileSync(`${TLS}/ca.crt`);
      const client = await secure.wire({ ca });
      for (const options of [{ ca }, { ca, direct: true }, {}]) {
        client.write(frame.query('SELECT pg_sleep(60)'));
        await secure.asleep();
        await cancelRequest(secure.agent, client.key!, options);
        expect((await client.ready()).slice(-2)).toEqual([CANCELLED, 'ReadyForQuery I']);
      }
      // The session, one connection for each cancel, and the proxy's own.
      expect(recorder.firstBytes()).toEqual(Array(5).fill(SSL_REQUEST.toString('hex')));
    } finally {
      await secure.close();
      recorder.close();
    }
  });
});

test('Unknown key: close silently, count it', async () => {
  const client = await stage.wire();
  client.write(frame.query('DROP TABLE users'));
  const hold = await stage.held('DROP TABLE users');
  const { processId, secretKey } = client.key!;
  const flipped = Buffer.from(secretKey.map((byte) => byte ^ 1));
  const packets = [
    cancelPacket(int32(processId), flipped),
    cancelPacket(int32(processId + 1), secretKey),
    cancelPacket(int32(-processId), secretKey),
    cancelPacket(int32(0), secretKey),
    cancelPacket(int32(processId), secretKey, Buffer.alloc(28)),
    cancelPacket(int32(processId), Buffer.alloc(256)),
    cancelPacket(int32(processId)),
    cancelPacket(),
  ];
  for (const packet of packets) expect(await FirstBytes.answerTo(stage.agent, packet)).toBe('');
  expect((await stage.hold(hold.id)).state).toBe('pending');
  await stage.deny('DROP TABLE users');
  expect(await client.ready()).toEqual([expect.stringContaining('ErrorResponse 42501'), 'ReadyForQuery I']);
  // At once when it happens first, then with the numbers: the last of them when the process ends.
  expect(stage.proxy.stderr()).toContain('"cancel request with an unknown key":1');
  const other = await Stage.open();
  for (const packet of packets) await FirstBytes.answerTo(other.agent, packet);
  await other.close();
  expect(other.proxy.stderr()).toContain(`"cancel request with an unknown key":${packets.length}`);
});

/** A TCP relay that remembers the first eight bytes of each connection. */
class Recorder {
  readonly port: number;
  readonly #heads: Buffer[];
  readonly #end: () => void;

  private constructor(port: number, heads: Buffer[], end: () => void) {
    this.port = port;
    this.#heads = heads;
    this.#end = end;
  }

  static async open(to: number): Promise<Recorder> {
    const heads: Buffer[] = [];
    const sockets = new Set<Socket>();
    const server = createServer((client) => {
      const upstream = connect(to, '127.0.0.1');
      client.once('data', (chunk: Buffer) => heads.push(chunk.subarray(0, 8)));
      for (const [one, two] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        sockets.add(one);
        one.pipe(two);
        one.on('error', () => {}).on('close', () => two.destroy());
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no TCP address');
    return new Recorder(address.port, heads, () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
  }

  firstBytes(): string[] {
    return this.#heads.map((head) => head.toString('hex'));
  }

  close(): void {
    this.#end();
  }
}
