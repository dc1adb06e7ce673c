// A session whose client or server is gone before it begins: between the login and its first byte lies a write to the log.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RecordDraft } from '../../src/audit/record.ts';
import { systemClock } from '../../src/base/clock.ts';
import { newSessionId } from '../../src/base/ids.ts';
import { AgentAccounts } from '../../src/gate/budget.ts';
import type { Node } from '../../src/gate/node.ts';
import { Session } from '../../src/gate/session.ts';

const sockets: Socket[] = [];
const server = createServer({ allowHalfOpen: true });
beforeEach(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server.close();
});

/** Two ends of one connection. */
async function ends(): Promise<[Socket, Socket]> {
  const accepted = once(server, 'connection');
  const { port } = server.address() as AddressInfo;
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  socket.on('error', () => {});
  const [other] = (await accepted) as [Socket];
  other.on('error', () => {});
  sockets.push(socket, other);
  return [socket, other];
}

const NO_LIMIT = { rows: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY };
const CLIENT = 'client disconnected';
const SERVER = 'upstream closed the connection';

test.each([
  ['client', 'was reset', CLIENT],
  ['client', 'had nothing more to say', CLIENT],
  ['server', 'was reset', SERVER],
  ['server', 'had nothing more to say', SERVER],
] as const)('a %s that %s before the session began has left', async (gone, how, because) => {
  const [client, agent] = await ends();
  const [upstream, database] = await ends();
  database.once('end', () => database.end());
  database.resume();
  const [near, far] = gone === 'client' ? [client, agent] : [upstream, database];
  if (how === 'was reset') {
    near.destroy();
    await once(near, 'close');
  } else {
    far.end();
    near.read(0);
    await once(near, 'end');
  }

  const records: RecordDraft[] = [];
  const node = {
    log: { append: (draft: RecordDraft) => records.push(draft), when: () => {}, close: async () => {} },
    limits: { frameBytes: 1000, backlogBytes: 1000, statements: 10, names: 10 },
    budgets: new AgentAccounts(
      { statement: NO_LIMIT, session: NO_LIMIT, agent: NO_LIMIT, windowMs: 1000 },
      systemClock,
    ),
    problem: () => {},
    catalogs: new Map(),
  } as unknown as Node;
  await new Promise<void>((resolve) => {
    new Session({
      node,
      speaker: { session: newSessionId(), who: {} as never },
      client,
      upstream: {
        socket: upstream,
        parameters: new Map(),
        processId: null,
        cancel: async () => {},
        end: () => void upstream.end(),
      },
      requesters: [],
      variables: { claimed: { applicationName: '', purpose: '' } } as never,
      onEnd: resolve,
    });
  });
  expect(records).toMatchObject([{ type: 'session.close', because }]);
});
