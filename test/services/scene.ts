// What most tests of a running node need: a config with one agent and two approvers, the agent's connection, and an
// approver who reads the queue and votes over the real API.
import { readdirSync, readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { formatTokenHash, newBearerToken } from '../../src/identity/bearer-token.ts';
import { formatScramSecret, makeScramSecret } from '../../src/wire/scram-secret.ts';
import type { RunningCountersign } from './countersign.ts';
import { PROJECT } from './places.ts';
import { eventually } from './wait.ts';

export const BOT = { name: 'reporting-bot', owner: 'bob@example.com', password: 'test bot' } as const;
export const ALICE = { name: 'alice@example.com', token: newBearerToken() };
export const CAROL = { name: 'carol@example.com', token: newBearerToken() };
const scram = makeScramSecret(BOT.password).then(formatScramSecret);

interface Target {
  readonly host: string;
  readonly port: number;
  readonly name: string;
  readonly user: string;
  readonly password: string;
}

type Section = Readonly<Record<string, unknown>>;

/** A config for one database, known to agents as `shop`. `changes`: sections, each laid over what is here. */
export async function sceneConfig(
  target: Target,
  changes: Readonly<Record<string, Section | unknown[] | string>> = {},
): Promise<Record<string, unknown>> {
  const config: Record<string, unknown> = {
    listen: { host: '127.0.0.1', port: 0 },
    databases: {
      shop: {
        host: target.host,
        port: target.port,
        database: target.name,
        user: target.user,
        password: target.password,
        tls: 'disable',
      },
    },
    agents: [{ name: BOT.name, owner: BOT.owner, scram: await scram, databases: ['shop'] }],
    approvers: [ALICE, CAROL].map(({ name, token }) => ({ name, token: formatTokenHash(token) })),
    rules: [join(PROJECT, 'rules/default.yaml')],
    holds: { store: 'memory', wait: '20s', waitInTransaction: '20s' },
    audit: { dir: 'audit' },
    http: { host: '127.0.0.1', port: 0 },
  };
  for (const [name, change] of Object.entries(changes)) {
    const mergeable = typeof change === 'object' && !Array.isArray(change);
    config[name] = mergeable ? { ...(config[name] as Section | undefined), ...change } : change;
  }
  return config;
}

/** What a client was told, apart from its answers. */
export interface Agent extends pg.Client {
  readonly notices: string[];
}

/** The agent's connection through `proxy`. The connection's own errors are kept from ending the test. */
export async function connectAgent(
  proxy: Pick<RunningCountersign, 'host' | 'port'>,
  changes: pg.ClientConfig = {},
): Promise<Agent> {
  const client = new pg.Client({
    host: proxy.host,
    port: proxy.port,
    user: BOT.name,
    password: BOT.password,
    database: 'shop',
    ...changes,
  });
  const notices: string[] = [];
  client.on('error', () => {});
  client.on('notice', ({ message }) => notices.push(message ?? ''));
  await client.connect();
  return Object.assign(client, { notices });
}

/** The socket under a node-postgres client, for saying what a driver would not. */
export function socketOf(agent: Agent): Socket {
  return (agent as unknown as { connection: { stream: Socket } }).connection.stream;
}

/** The error that `work` rejects with, which it must. */
export async function failureOf(work: Promise<unknown>): Promise<pg.DatabaseError> {
  try {
    await work;
  } catch (error) {
    return error as pg.DatabaseError;
  }
  throw new Error('it succeeded, and should have failed');
}

interface ListedHold {
  readonly id: string;
  readonly version: number;
  readonly state: string;
  readonly statement: { readonly text: string; readonly sha256: string };
}

export interface VoteAnswer {
  readonly status: number;
  readonly body: { readonly code?: string; readonly state?: string };
}

/** Alice, or whoever holds `token`, at the API of one node. */
export class Approver {
  readonly #base: string;
  readonly #token: string;

  constructor(proxy: Pick<RunningCountersign, 'httpPort'>, { token } = ALICE) {
    this.#base = `http://127.0.0.1:${proxy.httpPort}`;
    this.#token = token;
  }

  async request(method: string, path: string, body?: object): Promise<{ status: number; body: unknown }> {
    const response = await fetch(this.#base + path, {
      method,
      headers: {
        authorization: `Bearer ${this.#token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  }

  async list(state: 'pending' | 'all' = 'pending'): Promise<readonly ListedHold[]> {
    const { status, body } = await this.request('GET', `/v1/holds?state=${state}`);
    if (status !== 200) throw new Error(`the list was answered with ${status}: ${JSON.stringify(body)}`);
    return (body as { holds: ListedHold[] }).holds;
  }

  async get(id: string): Promise<ListedHold> {
    const { body } = await this.request('GET', `/v1/holds/${id}`);
    return body as ListedHold;
  }

  /** Waits until a statement with this text waits for approval. */
  waiting(text: string): Promise<ListedHold> {
    return eventually(async () => (await this.list()).find((hold) => hold.statement.text === text) ?? false, {
      what: `${text} waiting for approval`,
    });
  }

  async vote(hold: ListedHold, decision: 'approve' | 'deny', reason = 'seen'): Promise<VoteAnswer> {
    const ballot = { decision, reason, statement_sha256: hold.statement.sha256, version: hold.version };
    const { status, body } = await this.request('POST', `/v1/holds/${hold.id}/votes`, ballot);
    return { status, body: body as VoteAnswer['body'] };
  }

  /** Waits for the statement, and approves it. */
  async approve(text: string): Promise<ListedHold> {
    const hold = await this.waiting(text);
    const { status, body } = await this.vote(hold, 'approve');
    if (status !== 200) throw new Error(`the vote was answered with ${status}: ${JSON.stringify(body)}`);
    return hold;
  }
}

/** A record as it stands in the log, with the text of its statement. */
export interface LoggedRecord {
  readonly seq: number;
  readonly type: string;
  readonly sql: string | undefined;
  readonly leaf: Readonly<Record<string, unknown>>;
}

/** The segments of a log, oldest first. */
export function segmentFiles(auditDir: string): string[] {
  const folder = join(auditDir, 'segments');
  return readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl'))
    .sort()
    .map((name) => join(folder, name));
}

/** Every record of a log folder, read without any code of ours, as an auditor with a text editor would. */
export function loggedRecords(auditDir: string): LoggedRecord[] {
  return segmentFiles(auditDir).flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .slice(0, -1)
      .filter((line) => line.startsWith('{"leaf":'))
      .map((line) => {
        const { leaf, opening } = JSON.parse(line);
        return { seq: leaf.seq, type: leaf.type, sql: opening?.sql?.value, leaf };
      }),
  );
}

/** The texts that the log says went to the server. */
export function forwardedTexts(auditDir: string): string[] {
  return loggedRecords(auditDir).flatMap(({ type, sql, leaf }) =>
    type === 'statement.intent' && leaf['fate'] === 'forward' && sql !== undefined ? [sql] : [],
  );
}
