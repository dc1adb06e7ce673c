// A database of a test file's own on the shared Postgres, and what the server says it ran there.
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { SCOUT_NAME } from '../../src/gate/scout.ts';
import { VECTORS } from './places.ts';
import { LOG_LINE_PREFIX, type PostgresAddress } from './postgres.ts';
import { sharedPostgres } from './shared.ts';

/** The role that the proxy logs in with: no superuser, but owner of every test database and of all in it. */
const OWNER = { user: 'countersign', password: 'test owner' } as const;
/** The plain role of shop.sql, with the grants given there. */
export const AGENT = { user: 'agent', password: 'test agent' } as const;

// Locks the making of roles and of the template against other test files, and other runs on the same server.
const SETUP_LOCK = 7_264_112;

export interface Database {
  readonly host: string;
  readonly port: number;
  readonly name: string;
  readonly user: string;
  readonly password: string;
  /** For a client that connects directly as the owner. */
  readonly url: string;
  /** A superuser's connection to this database, for looking behind the proxy's back. */
  readonly superuser: pg.Client;
  /** What the server wrote into its log about this database since it was created, in order, the scout's part aside. */
  serverLog(): LogEntry[];
  /** The statements that the server began to run here as the given role (default: the owner), in order. */
  statements(user?: string): string[];
  /** Disconnects everybody and drops it. */
  close(): Promise<void>;
}

export interface LogEntry {
  /** When the server wrote it, milliseconds since the epoch. */
  readonly atMs: number;
  readonly pid: number;
  readonly database: string;
  readonly user: string;
  readonly sqlstate: string;
  /** The application_name of the session at that moment. */
  readonly application: string;
  /** LOG, ERROR, DETAIL, STATEMENT … */
  readonly level: string;
  readonly text: string;
}

/** A new database: a copy of `shop` (test/vectors/shop.sql), or empty. On the shared server unless `server` says else. */
export async function createDatabase(
  content: 'shop' | 'empty' = 'shop',
  server?: PostgresAddress,
): Promise<Database> {
  const address = server ?? (await sharedPostgres());
  const name = `test_${randomBytes(6).toString('hex')}`;
  await asSuperuser(address, 'postgres', async (client) => {
    const template = content === 'shop' ? await shopTemplate(client, address) : await emptyTemplate(client);
    await client.query(`CREATE DATABASE ${name} TEMPLATE ${template} OWNER ${OWNER.user}`);
  });
  const superuser = await connectAsSuperuser(address, name);
  const { host, port, logFile } = address;

  const serverLog = (): LogEntry[] => {
    if (logFile === null) {
      throw new Error(
        'This test reads the log of the Postgres server: set TEST_DATABASE_LOG to its path ' +
          `(with log_statement=all and log_line_prefix='${LOG_LINE_PREFIX}'), or unset TEST_DATABASE_URL.`,
      );
    }
    return withoutScout(parseServerLog(readFileSync(logFile, 'utf8'), name));
  };
  return {
    host,
    port,
    name,
    ...OWNER,
    url: `postgres://${OWNER.user}:${encodeURIComponent(OWNER.password)}@${host}:${port}/${name}`,
    superuser,
    serverLog,
    statements: (user = OWNER.user) =>
      serverLog()
        .filter((entry) => entry.user === user)
        .flatMap((entry) => statementOf(entry) ?? []),
    close: async () => {
      await superuser.end();
      await asSuperuser(address, 'postgres', (client) => client.query(`DROP DATABASE ${name} WITH (FORCE)`));
    },
  };
}

/** The statement that the server says it begins to run; null for every other entry. */
export function statementOf({ level, text }: LogEntry): string | null {
  if (level !== 'LOG') return null;
  // A FunctionCall has no text. The server names the function, the message and so our log only its OID.
  const oid = /^fastpath function call: ".*" \(OID (\d+)\)$/.exec(text)?.[1];
  if (oid !== undefined) return `/* FunctionCall */ function with OID ${oid}`;
  return /^(?:statement|execute [^:]*): ([\s\S]*)$/.exec(text)?.[1] ?? null;
}

/** Splits a server log written with LOG_LINE_PREFIX into the entries of one database. */
export function parseServerLog(log: string, database: string): LogEntry[] {
  return parseEntries(log).filter((entry) => entry.database === database);
}

/** Splits a server log written with LOG_LINE_PREFIX into its entries. */
export function parseEntries(log: string): LogEntry[] {
  const entries: LogEntry[] = [];
  // An entry runs to the next prefix; its further lines begin with a tab that the server put there.
  for (const part of log.split(/^@@(?=\d+\|)/m)) {
    const match = /^(\d+)\|([^|]*)\|([^|]*)\|([^|]*)\|([\d.]+)\|(.*?)\| ([A-Z0-9]+): {2}([\s\S]*)$/.exec(
      part,
    );
    if (match === null) continue;
    const [, pid, database, user, sqlstate, at, application, level, text] = match;
    entries.push({
      database: database!,
      atMs: Math.round(Number(at) * 1000),
      pid: Number(pid),
      user: user!,
      sqlstate: sqlstate!,
      application: application!,
      level: level!,
      text: text!.replace(/\n$/, '').replaceAll('\n\t', '\n'),
    });
  }
  return entries;
}

/**
 * Without what the proxy asked on its own behalf. A session that takes the scout's name later is not the scout, and none
 * of it is left out.
 */
export function withoutScout(entries: readonly LogEntry[]): LogEntry[] {
  const scouts = new Set(
    entries.filter(({ application }) => application === SCOUT_NAME).map(({ pid }) => pid),
  );
  for (const entry of entries) {
    if (entry.application !== SCOUT_NAME && statementOf(entry) !== null) scouts.delete(entry.pid);
  }
  return entries.filter(({ pid }) => !scouts.has(pid));
}

async function connectAsSuperuser(address: PostgresAddress, database: string): Promise<pg.Client> {
  const { host, port, superuser: user, password } = address;
  const client = new pg.Client({ host, port, user, password, database });
  // A test may stop the server under us; the query that notices reports it.
  client.on('error', () => {});
  await client.connect();
  return client;
}

async function asSuperuser<T>(
  address: PostgresAddress,
  database: string,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = await connectAsSuperuser(address, database);
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function emptyTemplate(client: pg.Client): Promise<string> {
  await locked(client, () => createRoles(client));
  return 'template0';
}

/** Loads shop.sql once per server and content of the file; every further database is a copy. */
async function shopTemplate(client: pg.Client, address: PostgresAddress): Promise<string> {
  const sql = readFileSync(join(VECTORS, 'shop.sql'), 'utf8');
  const name = `countersign_shop_${createHash('sha256').update(sql).digest('hex').slice(0, 12)}`;
  await locked(client, async () => {
    await createRoles(client);
    const known = await client.query('SELECT datistemplate FROM pg_database WHERE datname = $1', [name]);
    if (known.rows[0]?.datistemplate === true) return;
    // Left half made by a run that was killed.
    if (known.rows.length > 0) await client.query(`DROP DATABASE ${name} WITH (FORCE)`);
    await client.query(`CREATE DATABASE ${name} TEMPLATE template0 OWNER ${OWNER.user}`);
    // As the owner, so that all in it is the owner's, as it would be for an application.
    await asSuperuser(address, name, async (loader) => {
      await loader.query(`GRANT ALL ON SCHEMA public TO ${OWNER.user}; SET ROLE ${OWNER.user}`);
      await loader.query(sql);
    });
    await client.query(`ALTER DATABASE ${name} WITH IS_TEMPLATE true ALLOW_CONNECTIONS false`);
  });
  return name;
}

/** The roles of shop.sql and the owner. Made beforehand, since the owner may not create roles. */
async function createRoles(client: pg.Client): Promise<void> {
  const roles: readonly (readonly [name: string, options: string])[] = [
    [OWNER.user, `LOGIN NOSUPERUSER PASSWORD '${OWNER.password}'`],
    [AGENT.user, `LOGIN NOSUPERUSER PASSWORD '${AGENT.password}'`],
    ['bob', 'LOGIN'],
    ['admin', 'NOLOGIN'],
    ['admins', 'NOLOGIN'],
  ];
  for (const [name, options] of roles) {
    const known = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [name]);
    if (known.rowCount === 0) await client.query(`CREATE ROLE ${name} ${options}`);
  }
}

async function locked(client: pg.Client, work: () => Promise<void>): Promise<void> {
  await client.query('SELECT pg_advisory_lock($1)', [SETUP_LOCK]);
  try {
    await work();
  } finally {
    await client.query('SELECT pg_advisory_unlock($1)', [SETUP_LOCK]);
  }
}
