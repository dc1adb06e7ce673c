// Two servers alike, one of them behind the proxy: so a database, and a role, can have one name in both, and a script may
// make roles and whatever else belongs to a whole server. For the psql scripts; other tests do with a Pair of databases.
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { expect } from 'vitest';
import { expectEvidence } from '../live/evidence.ts';
import type { RunningCountersign } from '../services/countersign.ts';
import { parseServerLog, withoutScout } from '../services/database.ts';
import { type PostgresServer, startPostgres } from '../services/postgres.ts';
import type { Connection } from '../services/psql.ts';
import { eventually } from '../services/wait.ts';
import { observe, type Way } from './observed.ts';

/** A superuser: what only a superuser may do must look the same too. */
const ROLE = { user: 'tester', password: 'test scripts' } as const;

/** So that PREPARE TRANSACTION and publications can be had in a script. */
const SETTINGS = { max_prepared_transactions: '20', wal_level: 'logical' } as const;

interface Twin {
  readonly server: PostgresServer;
  readonly superuser: pg.Client;
}

export class Twins {
  readonly #twins: Readonly<Record<Way, Twin>>;
  readonly #proxy: RunningCountersign;

  private constructor(twins: Readonly<Record<Way, Twin>>, proxy: RunningCountersign) {
    this.#twins = twins;
    this.#proxy = proxy;
  }

  /** `databases`: names of those that there will be. */
  static async open(databases: readonly string[]): Promise<Twins> {
    const [direct, through] = await Promise.all([openTwin(), openTwin()]);
    const { host, port } = through.server.address;
    return new Twins({ direct, through }, await observe({ host, port, databases, role: ROLE }));
  }

  /** A fresh database and how to connect to it. */
  async fresh(way: Way, database: string): Promise<Connection> {
    const { server, superuser } = this.#twins[way];
    await superuser.query(`CREATE DATABASE ${database} TEMPLATE template0 OWNER ${ROLE.user}`);
    const { host, port } = server.address;
    return { host, port: way === 'direct' ? port : this.#proxy.port, ...ROLE, database };
  }

  /** As soon as it is done with: seventy databases at the end are a gigabyte, which takes longer to remove than to make. */
  async drop(database: string): Promise<void> {
    const twins = Object.values(this.#twins);
    await Promise.all(
      twins.map(({ superuser }) => superuser.query(`DROP DATABASE ${database} WITH (FORCE)`)),
    );
  }

  /** Holds our log against that of the server for all that ran in these databases, and stops everything. */
  async close(databases: readonly string[]): Promise<void> {
    expect(await this.#proxy.stop(), this.#proxy.stderr()).toBe(0);
    const { server, superuser } = this.#twins.through;
    const marker = `SELECT 'marker ${Math.random()}'`;
    await superuser.query(marker);
    const log = await eventually(
      () => {
        const text = readFileSync(server.address.logFile!, 'utf8');
        return text.includes(marker) && text;
      },
      { what: 'the marker in the log of the server' },
    );
    const entries = databases.flatMap((database) => parseServerLog(log, database));
    expectEvidence(`${this.#proxy.folder}/audit`, withoutScout(entries), ROLE.user);
    await Promise.all(
      Object.values(this.#twins).map(async (twin) => {
        await twin.superuser.end();
        await twin.server.close();
      }),
    );
  }
}

async function openTwin(): Promise<Twin> {
  const server = await startPostgres(SETTINGS);
  const { host, port, superuser: user, password } = server.address;
  const superuser = new pg.Client({ host, port, user, password, database: 'postgres' });
  await superuser.connect();
  await superuser.query(`CREATE ROLE ${ROLE.user} SUPERUSER LOGIN PASSWORD '${ROLE.password}'`);
  return { server, superuser };
}
