// Attacks before a session: settings past the rules, and connections that cost a place for ever.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { int32 } from '../../src/base/bytes.ts';
import { connectUpstream } from '../../src/gate/upstream.ts';
import { Stage } from '../live/stage.ts';
import { cancelRequest, startupPacket } from '../live/wire-client.ts';
import { eventually } from '../services/wait.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open({ limits: { connections: 4, startup: '5s' } });
});
afterAll(() => stage?.close());

test.each([
  [{ OPTIONS: '-c standard_conforming_strings=off' }],
  [{ Options: '-c role=admin' }],
  [{ options: '-c options=-c\\ standard_conforming_strings=off' }],
  [{ options: '-c replication=true' }],
  [{ REPLICATION: 'database' }],
  [{ options: '-c USER=postgres' }],
])('%j does not get past the rules', async (parameters) => {
  await expect(stage.wire({ parameters })).rejects.toThrow(/FATAL (42501|22023|08P01)/);
});

test('a CancelRequest gives its place back', async () => {
  for (let i = 0; i < 6; i++) {
    await cancelRequest(stage.agent, { processId: 1, secretKey: Buffer.alloc(4) });
  }
  await (await stage.wire()).end();
});

test.each([
  ['was refused', startupPacket({ user: 'x', database: 'y' }, 0x0002_0000)],
  ['sent a CancelRequest', Buffer.concat([int32(16), int32(80877102), int32(1), int32(1)])],
])('nobody who %s keeps a place by going on to talk', async (_, packet) => {
  const { host, port } = stage.agent;
  const sockets = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const socket = connect({ host, port, allowHalfOpen: true });
      socket.on('error', () => {});
      socket.resume();
      await once(socket, 'connect');
      socket.write(packet);
      return socket;
    }),
  );
  const talking = setInterval(() => {
    for (const socket of sockets) if (socket.writable) socket.write('x');
  }, 100);
  try {
    await eventually(async () => (await stage.wire()).end(), { timeoutMs: 8_000, what: 'a free place' });
  } finally {
    clearInterval(talking);
    for (const socket of sockets) socket.destroy();
  }
});

test('a server that takes the connection and says nothing does not keep the agent’s place', async () => {
  const silent = createServer(() => {}).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const target = { host: '127.0.0.1', port, database: 'd', user: 'u', password: null, ca: null };
  try {
    for (const tls of ['disable', 'prefer'] as const) {
      await expect(connectUpstream({ ...target, tls }, new Map(), 200)).rejects.toMatchObject({
        code: 'upstream_unavailable',
      });
    }
  } finally {
    silent.close();
  }
});
