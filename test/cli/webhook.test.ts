// A receiver of webhooks as its owner would write it: it checks the signature with the specification's own library, reads
// the statement, and decides by posting a vote back. Through a real node, from the agent's statement to its answer.
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type RunningCountersign, startCountersign } from '../services/countersign.ts';
import { createDatabase, type Database } from '../services/database.ts';
import { ALICE, Approver, connectAgent, failureOf, sceneConfig } from '../services/scene.ts';
import { eventually } from '../services/wait.ts';

interface Message {
  readonly type: 'hold.requested' | 'hold.closed';
  readonly timestamp: string;
  readonly data: {
    readonly id: string;
    readonly version: number;
    readonly state: string;
    readonly url: string;
    readonly agent: string;
    readonly statement: { readonly text: string; readonly sha256: string };
  };
}

const SECRET = `whsec_${randomBytes(32).toString('base64')}`;
let database: Database;
let receiver: Server;
let proxy: RunningCountersign;
/** What arrived, signature checked. */
let messages: { id: string; message: Message }[];
/** What did not pass the library's check. */
let refused: unknown[];
/** The first so many deliveries are answered with a failure. */
let failures: number;

beforeAll(async () => {
  database = await createDatabase('empty');
  receiver = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      response.writeHead(failures-- > 0 ? 503 : 204).end();
      if (response.statusCode === 204) receive(request.headers, Buffer.concat(chunks).toString());
    });
  });
  receiver.listen(0, '127.0.0.1');
  await once(receiver, 'listening');
});
afterEach(async () => {
  expect(refused).toEqual([]);
  expect(await proxy.stop()).toBe(0);
});
afterAll(async () => {
  receiver.closeAllConnections();
  receiver.close();
  await database.close();
});

async function start(failuresFirst = 0): Promise<void> {
  messages = [];
  refused = [];
  failures = failuresFirst;
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/countersign`;
  proxy = await startCountersign(
    await sceneConfig(database, { notify: [{ type: 'webhook', url, secret: SECRET, allowPrivate: true }] }),
  );
}

function receive(headers: IncomingHttpHeaders, body: string): void {
  try {
    const message = new Webhook(SECRET).verify(body, headers as Record<string, string>) as Message;
    messages.push({ id: String(headers['webhook-id']), message });
  } catch (error) {
    refused.push(error);
  }
}

function arrival(type: Message['type'], text: string): Promise<Message> {
  return eventually(
    () =>
      messages.find(({ message }) => message.type === type && message.data.statement.text === text)
        ?.message ?? false,
    { timeoutMs: 20_000, what: `${type} for ${text}` },
  );
}

/** The decision goes where the message says, with the hash and version that it showed. */
async function decide({ data }: Message, decision: 'approve' | 'deny'): Promise<void> {
  const { port } = new URL(data.url);
  // The API's port was free for the taking, so the config could not name it: only the path is to be followed here.
  expect(port).toBe('0');
  const { status } = await new Approver(proxy).request('POST', `${new URL(data.url).pathname}/votes`, {
    decision,
    reason: 'by webhook',
    statement_sha256: data.statement.sha256,
    version: data.version,
  });
  expect(status).toBe(200);
}

test('hold.requested → approved by the receiver → it runs → hold.closed', async () => {
  await start();
  const text = `CREATE TABLE "${randomUUID()}" ()`;
  const ran = (await connectAgent(proxy)).query(text);
  const requested = await arrival('hold.requested', text);
  expect(requested.data).toMatchObject({ state: 'pending', agent: 'reporting-bot' });
  await decide(requested, 'approve');
  await ran;
  const closed = await arrival('hold.closed', text);
  expect(closed.data).toMatchObject({ id: requested.data.id, state: 'executed' });
  expect(messages.map(({ message }) => message.type)).toEqual(['hold.requested', 'hold.closed']);
  expect(new Set(messages.map(({ id }) => id)).size).toBe(2);
  expect(JSON.stringify(messages)).not.toContain(ALICE.token);
});

test('denied by the receiver: the agent reads why, and nothing runs', async () => {
  await start();
  const text = `DROP TABLE "${randomUUID()}"`;
  const failure = failureOf((await connectAgent(proxy)).query(text));
  await decide(await arrival('hold.requested', text), 'deny');
  expect(await failure).toMatchObject({ code: '42501', message: `denied by ${ALICE.name}: by webhook` });
  expect((await arrival('hold.closed', text)).data.state).toBe('denied');
  expect(database.statements()).not.toContain(text);
});

test('a receiver that fails first is told again, and then in order', async () => {
  await start(2);
  const text = `DROP TABLE "${randomUUID()}"`;
  const failure = failureOf((await connectAgent(proxy)).query(text));
  await decide(await arrival('hold.requested', text), 'deny');
  await failure;
  await arrival('hold.closed', text);
  expect(failures).toBeLessThan(0);
  expect(messages.map(({ message }) => message.type)).toEqual(['hold.requested', 'hold.closed']);
});
