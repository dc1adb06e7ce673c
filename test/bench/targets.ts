// The ways to the server that are compared: none in between, a bare splice, pgbouncer, and Countersign with each pack.
// Each can be started anew, so that rounds are independent and no log grows beyond one round.
import { accessSync, chmodSync, constants, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { stringify } from 'yaml';
import { formatScramSecret, makeScramSecret } from '../../src/wire/scram-secret.ts';
import { freePort, PROJECT, tempDir } from '../services/places.ts';
import { atTheEnd } from './closings.ts';
import { MOST_CLIENTS } from './flags.ts';
import { IDLE_SESSIONS } from './idle.ts';
import { COLLECTABLE, type ProxyProcess, startProxy } from './process.ts';
import type { Server } from './server.ts';

export interface Target {
  readonly name: string;
  /** Whether it lets a bulk read pass without a person. */
  readonly exports: boolean;
  start(): Promise<RunningTarget>;
}

export interface RunningTarget {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Null: there is nothing in between. */
  readonly proxy: ProxyProcess | null;
  /** Where it keeps a record of every statement; null when it keeps none. */
  readonly logFolder: string | null;
  stop(): Promise<void>;
}

/** `main`: the compiled src/cli/main.js. */
export async function targetsOf(server: Server, main: string): Promise<Target[]> {
  const pgbouncer = findPgbouncer();
  const countersign = (pack: string): Promise<Target> => countersignTarget(server, main, pack);
  return [
    directTarget(server),
    spliceTarget(server),
    ...(pgbouncer === null ? [] : [pgbouncerTarget(server, pgbouncer)]),
    await countersign('default'),
    await countersign('observe'),
  ];
}

function directTarget({ host, port }: Server): Target {
  const running = { name: 'direct', host, port, proxy: null, logFolder: null, stop: async () => {} };
  return { name: 'direct', exports: true, start: async () => running };
}

interface Described {
  readonly command: string;
  readonly args: readonly string[];
  readonly port: number;
  readonly user?: { readonly uid: number; readonly gid: number } | null;
  readonly logFolder?: string;
}

/** A target that is a process; `describe` writes what it reads into `folder`, which lives as long as the process. */
function proxyTarget(
  name: string,
  exports: boolean,
  describe: (folder: string) => Promise<Described>,
): Target {
  const start = async (): Promise<RunningTarget> => {
    const folder = tempDir(name.replace(/\W+/g, '-'));
    const remove = atTheEnd(() => rmSync(folder, { recursive: true, force: true }));
    const { logFolder = null, ...command } = await describe(folder);
    const proxy = await startProxy({ ...command, cwd: PROJECT });
    const stop = async (): Promise<void> => {
      await proxy.stop();
      await remove();
    };
    return { name, host: '127.0.0.1', port: command.port, proxy, logFolder, stop };
  };
  return { name, exports, start };
}

function spliceTarget(server: Server): Target {
  const script = join(PROJECT, 'test', 'bench', 'splice.ts');
  return proxyTarget('splice', true, async () => {
    const port = await freePort();
    return {
      command: process.execPath,
      args: [...COLLECTABLE, '--import', 'tsx', script, String(port), String(server.port)],
      port,
    };
  });
}

async function countersignTarget(server: Server, main: string, pack: string): Promise<Target> {
  const { user, password, database } = server.login;
  const scram = formatScramSecret(await makeScramSecret(password));
  return proxyTarget(`countersign, ${pack}`, pack === 'observe', async (folder) => {
    const port = await freePort();
    const logFolder = join(folder, 'audit');
    const configFile = join(folder, 'countersign.yaml');
    const config = {
      listen: { host: '127.0.0.1', port },
      databases: {
        [database]: { host: server.host, port: server.port, database, user, password, tls: 'disable' },
      },
      agents: [{ name: user, owner: 'bob@example.com', scram, databases: [database] }],
      rules: [join(PROJECT, 'rules', `${pack}.yaml`)],
      // Counted all the same, and never spent.
      budgets: {
        statementRows: 1e12,
        statementBytes: '1000GiB',
        sessionRows: 1e12,
        sessionBytes: '1000GiB',
        agentRows: 1e12,
        agentBytes: '1000GiB',
      },
      holds: { store: 'memory' },
      audit: { dir: logFolder },
      http: { port: 0 },
    };
    writeFileSync(configFile, stringify(config), { mode: 0o600 });
    return {
      command: process.execPath,
      args: [...COLLECTABLE, main, 'serve', '--config', configFile],
      port,
      logFolder,
    };
  });
}

/** Debian keeps it in /usr/sbin, which is not on everybody's PATH. */
export function findPgbouncer(): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  for (const folder of folders) {
    const path = join(folder, 'pgbouncer');
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here; the next folder.
    }
  }
  return null;
}

/** The numbers of "nobody" on every Linux: pgbouncer refuses to run as root. */
const NOBODY = { uid: 65_534, gid: 65_534 };

function pgbouncerTarget({ host, port: upstreamPort, login }: Server, command: string): Target {
  return proxyTarget('pgbouncer', true, async (folder) => {
    const port = await freePort();
    const settings = join(folder, 'settings');
    mkdirSync(settings);
    const configFile = join(settings, 'pgbouncer.ini');
    const users = join(settings, 'users.txt');
    writeFileSync(users, `"${login.user}" "${login.password}"\n`);
    const most = MOST_CLIENTS + IDLE_SESSIONS * 2;
    writeFileSync(
      configFile,
      `[databases]
${login.database} = host=${host} port=${upstreamPort} dbname=${login.database}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${users}
pool_mode = session
server_tls_sslmode = disable
max_client_conn = ${most}
default_pool_size = ${most}
log_connections = 0
log_disconnections = 0
`,
    );
    chmodSync(folder, 0o755);
    return { command, args: [configFile], port, user: process.getuid?.() === 0 ? NOBODY : null };
  });
}
