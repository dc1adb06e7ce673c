// What the live tests play on: a database of their own, a countersign process with the default rules in front of it, an
// agent and an approver. Closing it checks the two logs against each other, whatever the tests did.
import pg from 'pg';
import { expect } from 'vitest';
import type { HoldDocument } from '../../src/holds/document.ts';
import { formatTokenHash, newBearerToken } from '../../src/identity/bearer-token.ts';
import { formatScramSecret, makeScramSecret } from '../../src/wire/scram-secret.ts';
import { countersign, type RunningCountersign, startCountersign } from '../services/countersign.ts';
import { createDatabase, type Database } from '../services/database.ts';
import { PROJECT } from '../services/places.ts';
import type { Connection } from '../services/psql.ts';
import { eventually } from '../services/wait.ts';
import { expectEvidence } from './evidence.ts';
import { WireClient, type WireOptions } from './wire-client.ts';

const AGENT = { user: 'reporting-bot', password: 'an agent’s password' } as const;

/** Budgets for what is more than anybody would be sent unasked. */
export const ENDLESS = {
  statementRows: 1e9,
  statementBytes: '1000GiB',
  sessionRows: 1e9,
  sessionBytes: '1000GiB',
  agentRows: 1e9,
  agentBytes: '1000GiB',
} as const;

export interface VoteAnswer {
  readonly status: number;
  readonly body: { readonly code?: string; readonly state?: string; readonly detail?: string };
}

/** Sections of the config that a test wants otherwise. */
export interface StageOptions {
  readonly listen?: object;
  readonly holds?: object;
  readonly limits?: object;
  readonly budgets?: object;
  /** Of the one database, `shop`. */
  readonly target?: object;
  /** Of the proxy's process. */
  readonly env?: Readonly<Record<string, string>>;
}

export class Stage {
  readonly database: Database;
  readonly proxy: RunningCountersign;
  /** How the agent connects: through the proxy. */
  readonly agent: Connection;
  readonly #token: string;
  readonly #twins: Database[] = [];
  readonly #clients: WireClient[] = [];

  private constructor(database: Database, proxy: RunningCountersign, token: string) {
    this.database = database;
    this.proxy = proxy;
    this.#token = token;
    this.agent = { host: '127.0.0.1', port: proxy.port, ...AGENT, database: 'shop' };
  }

  static async open(options: StageOptions = {}): Promise<Stage> {
    const database = await createDatabase();
    const token = newBearerToken();
    const { host, port, user, password, name } = database;
    const config = {
      listen: { host: '127.0.0.1', port: 0, ...options.listen },
      databases: {
        shop: { host, port, database: name, user, password, tls: 'disable', ...options.target },
        // A database that is there and not the agent's.
        other: { host, port, database: name, user, password, tls: 'disable' },
        nowhere: { host, port, database: 'no_such_database', user, password, tls: 'disable' },
      },
      agents: [
        {
          name: AGENT.user,
          owner: 'bob@example.com',
          scram: formatScramSecret(await makeScramSecret(AGENT.password)),
          databases: ['shop', 'nowhere'],
        },
      ],
      approvers: [{ name: 'alice@example.com', groups: ['dba'], token: formatTokenHash(token) }],
      rules: [`${PROJECT}/rules/default.yaml`],
      holds: { wait: '25s', waitInTransaction: '25s', ...options.holds },
      limits: { ...options.limits },
      budgets: { ...options.budgets },
      audit: { dir: './audit' },
      http: { host: '127.0.0.1', port: 0 },
    };
    const proxy = await startCountersign(config, options.env === undefined ? {} : { env: options.env });
    return new Stage(database, proxy, token);
  }

  get auditDir(): string {
    return `${this.proxy.folder}/audit`;
  }

  /** A raw client through the proxy. */
  async wire(options: WireOptions = {}): Promise<WireClient> {
    return this.#keep(await WireClient.connect(this.agent, options));
  }

  /**
   * A raw client straight to the server, as the same role on a copy of the same database: what it gets is what a client
   * of ours must get. A copy, so that the log of the stage's own database has only what came through the proxy.
   */
  async direct(options: WireOptions = {}): Promise<WireClient> {
    const twin = await createDatabase();
    this.#twins.push(twin);
    const { host, port, user, password, name } = twin;
    return this.#keep(await WireClient.connect({ host, port, user, password, database: name }, options));
  }

  /** node-postgres, connected through the proxy. */
  async pg(): Promise<pg.Client> {
    const client = new pg.Client({ ...this.agent });
    await client.connect();
    return client;
  }

  /** Runs SQL behind the proxy's back. */
  async look<Row extends pg.QueryResultRow>(sql: string, values: unknown[] = []): Promise<Row[]> {
    return (await this.database.superuser.query<Row>(sql, values)).rows;
  }

  async tableExists(name: string): Promise<boolean> {
    const rows = await this.look('SELECT FROM pg_class WHERE relname = $1', [name]);
    return rows.length > 0;
  }

  /** Waits for one statement to sleep on the server. */
  async asleep(): Promise<void> {
    const sleeping =
      "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
    await eventually(async () => (await this.look(sleeping)).length === 1, {
      what: 'a statement sleeping on the server',
    });
  }

  /** How often the server began to run a statement with these words for us, up to now. */
  async timesRun(words: string): Promise<number> {
    return (await this.ran()).filter((sql) => sql.includes(words)).length;
  }

  /** Every statement that the server began to run for us, up to now: a marker that is in its log says that it is. */
  async ran(): Promise<string[]> {
    const marker = `SELECT 'marker ${Math.random()}'`;
    await this.look(marker);
    await eventually(() => this.database.serverLog().some(({ text }) => text.includes(marker)), {
      what: 'the marker in the log of the server',
    });
    return this.database.statements();
  }

  // — The approver ——————————————————————————————————————————————————————————————————————————————————————————

  async holds(state: 'pending' | 'open' | 'all' = 'pending'): Promise<HoldDocument[]> {
    const { body } = await this.#http('GET', `/v1/holds?state=${state}`);
    return (body as { holds: HoldDocument[] }).holds;
  }

  async hold(id: string): Promise<HoldDocument> {
    return (await this.#http('GET', `/v1/holds/${id}`)).body as HoldDocument;
  }

  /** Waits for the one pending hold whose statement has these words. */
  held(words: string): Promise<HoldDocument> {
    return eventually(
      async () => {
        const pending = await this.holds();
        const found = pending.filter(({ statement }) => statement.text.includes(words));
        if (found.length > 1) throw new Error(`${found.length} holds with "${words}"`);
        if (found[0] === undefined) {
          throw new Error(`held are: ${pending.map(({ statement }) => statement.text).join(' | ')}`);
        }
        return found[0];
      },
      { what: `a hold for "${words}"` },
    );
  }

  /** Waits for a hold to come to this state. */
  async became(id: string, state: string): Promise<HoldDocument> {
    return eventually(
      async () => {
        const hold = await this.hold(id);
        if (hold.state !== state) throw new Error(`hold ${id} is ${hold.state}`);
        return hold;
      },
      { what: `the hold being ${state}` },
    );
  }

  /** What `countersign show` prints. */
  async show(id: string): Promise<string> {
    const url = `http://127.0.0.1:${this.proxy.httpPort}`;
    const { code, stdout, stderr } = await countersign(['show', id], {
      env: { COUNTERSIGN_URL: url, COUNTERSIGN_TOKEN: this.#token },
    });
    expect(code, stderr).toBe(0);
    return stdout;
  }

  async vote(hold: HoldDocument, decision: 'approve' | 'deny', reason?: string): Promise<VoteAnswer> {
    return (await this.#http('POST', `/v1/holds/${hold.id}/votes`, {
      decision,
      ...(reason === undefined ? {} : { reason }),
      statement_sha256: hold.statement.sha256,
      version: hold.version,
    })) as VoteAnswer;
  }

  /** Waits for the statement to be held and lets it run. */
  async approve(words: string): Promise<HoldDocument> {
    return this.#decide(words, 'approve');
  }

  async deny(words: string): Promise<HoldDocument> {
    return this.#decide(words, 'deny');
  }

  async #decide(words: string, decision: 'approve' | 'deny'): Promise<HoldDocument> {
    const hold = await this.held(words);
    const { status, body } = await this.vote(hold, decision, 'the test says so');
    if (status !== 200) throw new Error(`vote on "${words}" answered ${status}: ${JSON.stringify(body)}`);
    return hold;
  }

  async #http(method: string, path: string, body?: object): Promise<{ status: number; body: unknown }> {
    const response = await fetch(`http://127.0.0.1:${this.proxy.httpPort}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  }

  #keep(client: WireClient): WireClient {
    this.#clients.push(client);
    return client;
  }

  /** Ends everything, and checks what remains: both logs. */
  async close(): Promise<void> {
    for (const client of this.#clients) client.socket.destroy();
    await this.ran();
    expect(await this.proxy.stop(), this.proxy.stderr()).toBe(0);
    try {
      expectEvidence(this.auditDir, this.database.serverLog(), this.database.user);
    } finally {
      await Promise.all([this.database, ...this.#twins].map((database) => database.close()));
    }
  }
}
