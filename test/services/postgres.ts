// A real Postgres for tests: the one named in TEST_DATABASE_URL, a container, or a process of this machine, in that
// order. It speaks TLS with the suite's certificate, wants SCRAM, and writes every statement it runs into its log.
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { dockerAnswers, startContainer } from './container.ts';
import { freePort, TLS, tempDir } from './places.ts';
import { program } from './programs.ts';
import { type Service, startProcess } from './service.ts';

const run = promisify(execFile);
const POSTGRES_IMAGE = `postgres:${process.env['TEST_POSTGRES_VERSION'] ?? '17'}-alpine`;
const SUPERUSER = 'postgres';
const PASSWORD = 'test superuser';

export interface PostgresAddress {
  readonly host: string;
  readonly port: number;
  readonly superuser: string;
  readonly password: string;
  /** The server's log, every statement in it. Null for a server whose log we cannot read. */
  readonly logFile: string | null;
}

export interface PostgresServer extends Service {
  readonly address: PostgresAddress;
}

/** What TEST_DATABASE_URL names (a superuser's URL), or null. TEST_DATABASE_LOG is the path of that server's log. */
export function postgresFromEnvironment(): PostgresAddress | null {
  const text = process.env['TEST_DATABASE_URL'];
  if (!text) return null;
  const url = new URL(text);
  return {
    host: url.hostname,
    port: Number(url.port || 5432),
    superuser: decodeURIComponent(url.username) || SUPERUSER,
    password: decodeURIComponent(url.password),
    logFile: process.env['TEST_DATABASE_LOG'] ?? null,
  };
}

// What each line of the log starts with; serverLog in database.ts reads it back.
export const LOG_LINE_PREFIX = '@@%p|%d|%u|%e|%n|%a| ';

function settings(certificates: string, overrides: Readonly<Record<string, string>>): string[] {
  const values = {
    // Speed: no test survives a power cut of the machine, only of the server process, and that needs no fsync.
    fsync: 'off',
    full_page_writes: 'off',
    shared_buffers: '64MB',
    max_connections: '200',
    max_prepared_transactions: '10',
    timezone: 'UTC',
    password_encryption: 'scram-sha-256',
    ssl: 'on',
    ssl_cert_file: `${certificates}/server.crt`,
    ssl_key_file: `${certificates}/server.key`,
    ssl_ca_file: `${certificates}/ca.crt`,
    log_statement: 'all',
    log_line_prefix: LOG_LINE_PREFIX,
    lc_messages: 'C',
    ...overrides,
  };
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/**
 * A Postgres of the caller's own, for tests that stop, pause or kill it, or need other settings.
 * The shared one comes from shared.ts.
 */
export async function startPostgres(
  overrides: Readonly<Record<string, string>> = {},
): Promise<PostgresServer> {
  const port = await freePort();
  const address: PostgresAddress = {
    host: '127.0.0.1',
    port,
    superuser: SUPERUSER,
    password: PASSWORD,
    logFile: join(tempDir('postgres-log'), 'postgres.log'),
  };
  const answers = async (): Promise<void> => {
    const client = new pg.Client({
      host: address.host,
      port,
      user: SUPERUSER,
      password: PASSWORD,
      database: 'postgres',
      connectionTimeoutMillis: 2_000,
    });
    client.on('error', () => {});
    try {
      await client.connect();
      await client.query('SELECT 1');
    } finally {
      await client.end();
    }
  };
  const start = (await dockerAnswers()) ? startInContainer : startOnMachine;
  return { ...(await start(address, answers, overrides)), address };
}

function startInContainer(
  address: PostgresAddress,
  answers: () => Promise<void>,
  overrides: Readonly<Record<string, string>>,
): Promise<Service> {
  const files = ['server.crt', 'server.key', 'ca.crt'];
  // Files arrive as root's, and Postgres refuses a key that is not its own.
  const script =
    'mkdir -p /tls && cp /incoming/* /tls/ && chown -R postgres /tls && chmod 600 /tls/* && ' +
    'exec docker-entrypoint.sh postgres "$@"';
  return startContainer({
    image: POSTGRES_IMAGE,
    entrypoint: ['sh', '-c', script, 'postgres'],
    command: settings('/tls', overrides),
    environment: {
      POSTGRES_USER: SUPERUSER,
      POSTGRES_PASSWORD: PASSWORD,
      POSTGRES_INITDB_ARGS: '--encoding=UTF8 --locale=C --auth-host=scram-sha-256',
    },
    files: files.map((name) => ({
      target: `/incoming/${name}`,
      content: readFileSync(join(TLS, name), 'utf8'),
    })),
    port: 5432,
    hostPort: address.port,
    logFile: address.logFile!,
    answers,
  });
}

async function startOnMachine(
  address: PostgresAddress,
  answers: () => Promise<void>,
  overrides: Readonly<Record<string, string>>,
): Promise<Service> {
  const user = unprivilegedUser();
  const folder = tempDir('postgres');
  const data = join(folder, 'data');
  mkdirSync(data, { mode: 0o700 });
  const passwordFile = join(folder, 'password');
  writeFileSync(passwordFile, `${PASSWORD}\n`);
  const owned = [folder, data, passwordFile];
  for (const name of ['server.crt', 'server.key', 'ca.crt']) {
    const copy = join(folder, name);
    copyFileSync(join(TLS, name), copy);
    chmodSync(copy, 0o600);
    owned.push(copy);
  }
  if (user !== null) for (const path of owned) chownSync(path, user.uid, user.gid);

  const initdb = ['-D', data, '-U', SUPERUSER, '-A', 'scram-sha-256', '--pwfile', passwordFile];
  await run(program('initdb'), [...initdb, '--encoding=UTF8', '--locale=C', '--no-sync'], {
    cwd: folder,
    ...(user ?? {}),
  });
  return startProcess({
    command: program('postgres'),
    args: [
      '-D',
      data,
      '-p',
      String(address.port),
      '-c',
      'listen_addresses=127.0.0.1',
      '-c',
      'unix_socket_directories=',
      ...settings(folder, overrides),
    ],
    folder,
    logFile: address.logFile!,
    user,
    stopSignal: 'SIGINT',
    answers,
  });
}

/** Postgres refuses to run as root: its own user if there is one, else nobody. Null: we are not root. */
function unprivilegedUser(): { uid: number; gid: number } | null {
  if (process.getuid?.() !== 0) return null;
  for (const name of ['postgres', 'nobody']) {
    try {
      const id = (flag: string): number =>
        Number(execFileSync('id', [flag, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
      return { uid: id('-u'), gid: id('-g') };
    } catch {
      // No such user; the next one.
    }
  }
  throw new Error(
    'Postgres must not run as root, and this machine has neither a user "postgres" nor "nobody".',
  );
}
