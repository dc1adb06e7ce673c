// What transparency is tested on: a database to speak to directly and another to speak to through a countersign that lets
// everything pass (rules/observe.yaml), under one role whose name is also the agent's, so that both look alike.
import pg from 'pg';
import { expect } from 'vitest';
import { formatScramSecret, makeScramSecret } from '../../src/wire/scram-secret.ts';
import { expectEvidence } from '../live/evidence.ts';
import { WireClient, type WireOptions } from '../live/wire-client.ts';
import { type RunningCountersign, startCountersign } from '../services/countersign.ts';
import { createDatabase, type Database } from '../services/database.ts';
import { PROJECT } from '../services/places.ts';
import type { Connection } from '../services/psql.ts';
import { eventually } from '../services/wait.ts';

interface Role {
  readonly user: string;
  readonly password: string;
}

export interface Behind {
  readonly host: string;
  readonly port: number;
  /** Each is the name of the database behind the proxy and before it. */
  readonly databases: readonly string[];
  readonly role: Role;
  readonly limits?: object;
}

/** A countersign in front of these databases that holds nothing. */
export async function observe({
  host,
  port,
  databases,
  role,
  limits = {},
}: Behind): Promise<RunningCountersign> {
  return startCountersign({
    listen: { host: '127.0.0.1', port: 0 },
    databases: Object.fromEntries(
      databases.map((database) => [database, { host, port, database, ...role, tls: 'disable' }]),
    ),
    agents: [
      {
        name: role.user,
        owner: 'bob@example.com',
        scram: formatScramSecret(await makeScramSecret(role.password)),
        databases,
      },
    ],
    rules: [`${PROJECT}/rules/observe.yaml`],
    audit: { dir: './audit' },
    http: { host: '127.0.0.1', port: 0 },
    limits,
  });
}

/** The two ways to a database. */
export type Way = 'direct' | 'through';
export const WAYS: readonly Way[] = ['direct', 'through'];

/** Two empty databases, one of them behind the proxy. Closing it checks the two logs against each other. */
export class Pair {
  readonly proxy: RunningCountersign;
  readonly #databases: Readonly<Record<Way, Database>>;
  readonly #wires: WireClient[] = [];

  private constructor(databases: Readonly<Record<Way, Database>>, proxy: RunningCountersign) {
    this.#databases = databases;
    this.proxy = proxy;
  }

  static async open(limits: object = {}): Promise<Pair> {
    const [direct, through] = await Promise.all([createDatabase('empty'), createDatabase('empty')]);
    const { host, port, name, user, password } = through;
    for (const { superuser } of [direct, through]) {
      await superuser.query(`GRANT ALL ON SCHEMA public TO ${user}`);
    }
    const proxy = await observe({ host, port, databases: [name], role: { user, password }, limits });
    return new Pair({ direct, through }, proxy);
  }

  connection(way: Way): Connection {
    const { host, port, name: database, user, password } = this.#databases[way];
    return { host, port: way === 'direct' ? port : this.proxy.port, user, password, database };
  }

  /** As a superuser, and straight to the database that is behind the proxy, for what must be told of the very same rows. */
  behind(): Connection {
    const { host, port, user, password, database } = this.#databases.through.superuser;
    return { host, port, user: user ?? '', password: password ?? '', database: database ?? '' };
  }

  /** As a superuser and straight to the database of one way: for what must be the same for both before a test. */
  async prepare(sql: string): Promise<void> {
    for (const way of WAYS) await this.#databases[way].superuser.query(sql);
  }

  /** Runs SQL behind the proxy's back. */
  async look<Row extends pg.QueryResultRow>(way: Way, sql: string): Promise<Row[]> {
    return (await this.#databases[way].superuser.query<Row>(sql)).rows;
  }

  async wire(way: Way, options: WireOptions = {}): Promise<WireClient> {
    const client = await WireClient.connect(this.connection(way), options);
    this.#wires.push(client);
    return client;
  }

  async pg(way: Way): Promise<pg.Client> {
    const client = new pg.Client({ ...this.connection(way) });
    await client.connect();
    return client;
  }

  async close(): Promise<void> {
    for (const { socket } of this.#wires) socket.destroy();
    const { through, direct } = this.#databases;
    expect(await this.proxy.stop(), this.proxy.stderr()).toBe(0);
    const marker = `SELECT 'marker ${Math.random()}'`;
    await through.superuser.query(marker);
    await eventually(() => through.serverLog().some(({ text }) => text.includes(marker)), {
      what: 'the marker in the log of the server',
    });
    expectEvidence(`${this.proxy.folder}/audit`, through.serverLog(), through.user);
    await Promise.all([direct.close(), through.close()]);
  }
}
