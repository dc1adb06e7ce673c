// The API over a memory store, with three approvers and a log that can be broken: the stage of the tests of http and cli.
import { createHash } from 'node:crypto';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { newHoldId, type SessionId } from '../../src/base/ids.ts';
import type { Hold, HoldChange, HoldRequest } from '../../src/holds/hold.ts';
import { MemoryHoldStore } from '../../src/holds/memory.ts';
import type { Approver } from '../../src/http/authenticate.ts';
import { type HttpServer, startHttp } from '../../src/http/server.ts';

const TOKENS: Readonly<Record<string, Approver>> = {
  'alice-token': { name: 'alice@example.com', groups: ['dba'] },
  'bob-token': { name: 'bob@example.com', groups: ['dba', 'oncall'] },
  'carol-token': { name: 'carol@example.com', groups: [] },
};

export const PUBLIC_URL = 'https://countersign.example.com';

function holdRequest(sql: string, changes: Partial<HoldRequest> = {}): HoldRequest {
  return {
    id: newHoldId(),
    node: 'node-1',
    session: 's_0123456789abcdef' as SessionId,
    agent: 'reporting-bot',
    owner: 'alice@example.com',
    onBehalfOf: [],
    requesters: ['reporting-bot', 'alice@example.com'],
    authenticatedBy: 'scram-sha-256',
    clientAddress: '192.0.2.7',
    claimed: { applicationName: 'psql', purpose: 'tidy up' },
    database: 'shop',
    role: 'countersign',
    inTransaction: false,
    statement: {
      text: sql,
      sha256: createHash('sha256').update(sql).digest('hex'),
      tags: ['DROP TABLE'],
      classes: ['ddl'],
      relations: [{ schema: 'public', name: 'customers', use: 'define' }],
      reasons: [],
      parameters: [],
    },
    impact: [],
    rule: { name: 'ddl', message: 'Schema changes need a person.', contact: null, hash: 'sha256:00' },
    approvals: { count: 1, groups: [], reasonRequired: false },
    binding: 'b1d1b1d1',
    requestedAtMs: systemClock.nowMs(),
    deadlineMs: systemClock.nowMs() + 1_800_000,
    grantMs: 300_000,
    ...changes,
  };
}

export class Stage {
  /** Added to the time of day: moving it makes holds expire. */
  aheadMs = 0;
  logReady = true;
  recordFails = false;
  readonly clock: Clock = {
    nowMs: () => systemClock.nowMs() + this.aheadMs,
    monoUs: () => systemClock.monoUs(),
  };
  readonly store = new MemoryHoldStore({ clock: this.clock });
  readonly recorded: HoldChange[] = [];
  readonly logged: string[] = [];
  #server: HttpServer | null = null;

  async open(port = 0): Promise<this> {
    this.#server = await startHttp({
      host: '127.0.0.1',
      port,
      store: this.store,
      approvers: { authenticate: (bearer) => TOKENS[bearer] ?? null },
      recordChange: async (change) => {
        if (this.recordFails) throw new Error('disk full at /var/log/secret-place');
        this.recorded.push(change);
      },
      logReady: () => this.logReady,
      clock: this.clock,
      publicUrl: PUBLIC_URL,
      logger: {
        warn: (particulars, message) => this.logged.push(JSON.stringify({ ...particulars, message })),
        error: (particulars, message) => this.logged.push(JSON.stringify({ ...particulars, message })),
      },
    });
    return this;
  }

  get server(): HttpServer {
    if (this.#server === null) throw new Error('the stage is not open');
    return this.#server;
  }

  hold(sql = 'DROP TABLE customers', changes: Partial<HoldRequest> = {}): Promise<Hold> {
    return this.store.create(holdRequest(sql, changes));
  }

  /** GET, or POST when there is a body. `as` names the approver; null sends no token. */
  async call(
    path: string,
    options: {
      as?: 'alice' | 'bob' | 'carol' | null;
      body?: unknown;
      headers?: Record<string, string>;
      method?: string;
      signal?: AbortSignal;
    } = {},
  ): Promise<{ status: number; body: Record<string, unknown>; headers: Headers }> {
    const { as = 'bob', body, headers, method = body === undefined ? 'GET' : 'POST', signal } = options;
    const response = await fetch(this.server.address + path, {
      method,
      headers: {
        ...(as === null ? {} : { authorization: `Bearer ${as}-token` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    });
    const text = await response.text();
    return {
      status: response.status,
      body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>),
      headers: response.headers,
    };
  }

  async close(): Promise<void> {
    await this.#server?.close();
    await this.store.close();
  }
}

/** Resolves once `reached` is true, which it must be within a few seconds. */
export async function until(reached: () => boolean, what: string): Promise<void> {
  for (let turn = 0; turn < 500; turn++) {
    if (reached()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`never came: ${what}`);
}
