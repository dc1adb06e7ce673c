// The Postgres behind every way in: private, with the tables of pgbench and one for bulk reads, all of it owned by a
// role that is no superuser. fsync is off, which no read notices.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import pg from 'pg';
import { startPostgres } from '../services/postgres.ts';
import { program } from '../services/programs.ts';
import { atTheEnd } from './closings.ts';
import { MOST_CLIENTS } from './flags.ts';
import { IDLE_SESSIONS } from './idle.ts';

const run = promisify(execFile);

export const BULK_ROWS = 1_000_000;

/** The same name and password direct and through every proxy, so that the same command line works for all. */
export interface Login {
  readonly user: string;
  readonly password: string;
  readonly database: string;
}
const LOGIN: Login = { user: 'bench', password: 'bench', database: 'bench' };

export interface Server {
  readonly host: string;
  readonly port: number;
  readonly login: Login;
  readonly version: string;
  /** Size of the table `bulk` as COPY writes it, bytes. */
  readonly bulkBytes: number;
}

export async function startServer(): Promise<Server> {
  const { address, close } = await startPostgres({
    log_statement: 'none',
    max_connections: String(MOST_CLIENTS + IDLE_SESSIONS * 2),
    // Everything is read from memory, and nothing is cleaned up in the middle of a run.
    shared_buffers: '256MB',
    autovacuum: 'off',
    fsync: 'off',
  });
  atTheEnd(close);
  const { host, port, superuser, password } = address;
  const { user, database } = LOGIN;
  const administrator = { host, port, user: superuser, password, database: 'postgres' };
  const version = await connected(administrator, async (client) => {
    await client.query(`CREATE ROLE ${user} LOGIN NOSUPERUSER PASSWORD '${LOGIN.password}'`);
    await client.query(`CREATE DATABASE ${database} OWNER ${user}`);
    const shown = await client.query('SHOW server_version');
    return String(shown.rows[0]['server_version']);
  });
  await run(program('pgbench'), ['--initialize', '--quiet', '--scale=1'], {
    env: clientEnvironment(LOGIN, host, port),
  });
  const bulkBytes = await connected({ host, port, ...LOGIN }, async (client) => {
    await client.query(
      'CREATE TABLE bulk AS SELECT g AS id, md5(g::text) AS label, g * 7 AS amount, now() AS at ' +
        `FROM generate_series(1, ${BULK_ROWS}) AS g`,
    );
    await client.query('VACUUM ANALYZE bulk');
    // Each column as text, a tab or the line's end after it: no value here is one that COPY would escape.
    const size = await client.query(
      'SELECT sum(length(id::text) + length(label) + length(amount::text) + length(at::text) + 4)::float8 AS bytes FROM bulk',
    );
    return Number(size.rows[0]['bytes']);
  });
  return { host, port, login: LOGIN, version, bulkBytes };
}

async function connected<T>(config: pg.ClientConfig, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(config);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** What libpq's programs need to find the server, and not one variable more of ours. */
export function clientEnvironment(login: Login, host: string, port: number): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '',
    PGHOST: host,
    PGPORT: String(port),
    PGUSER: login.user,
    PGPASSWORD: login.password,
    PGDATABASE: login.database,
    PGSSLMODE: 'disable',
    PGGSSENCMODE: 'disable',
    PGCONNECT_TIMEOUT: '10',
  };
}
