// Where the fuzzer plays: a Postgres of its own that writes down everything, a proxy with the default rules and one that
// only observes, and for each lane a pair of equal databases, one behind the proxies and one that is reached directly.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { formatTokenHash, newBearerToken } from '../../src/identity/bearer-token.ts';
import { formatScramSecret, makeScramSecret } from '../../src/wire/scram-secret.ts';
import { type RunningCountersign, startCountersign } from '../services/countersign.ts';
import { PROJECT, TLS, tempDir, VECTORS } from '../services/places.ts';
import { type PostgresServer, startPostgres } from '../services/postgres.ts';
import type { Side } from './differential.ts';
import { MEMORY_FILE, memoryHook } from './health.ts';
import { FRAME_MAX_LENGTH } from './play.ts';
import { Witness } from './witness.ts';

const ROLE = 'countersign';
const PASSWORD = 'test owner';
export const AGENT = { user: 'fuzz-bot', password: 'an agent’s password' } as const;
export const CA = readFileSync(join(TLS, 'ca.crt'));
/** Long enough for an approver who is quick, short enough for a fuzzer that is in a hurry. */
const HOLD = '60ms';

/** Back to what ground.sql made, but for what only a superuser would notice. */
const RESET = `
  TRUNCATE plain, copied, child, barred;
  INSERT INTO plain SELECT g, 'row ' || g FROM generate_series(1, 20) g;
  ALTER TABLE copied ALTER COLUMN id DROP DEFAULT`;

export interface Lane {
  readonly direct: Side;
  readonly observe: Side;
  readonly default: Side;
  /** Makes the databases equal again. */
  reset(): Promise<void>;
}

export interface RunningProxy {
  readonly running: RunningCountersign;
  readonly auditDir: string;
  readonly memoryFile: string;
}

export interface Ground {
  readonly postgres: PostgresServer;
  readonly proxies: { readonly default: RunningProxy; readonly observe: RunningProxy };
  /** The database that hostile clients and the one that behaves share, through the default rules. */
  readonly arena: Side;
  readonly lanes: readonly Lane[];
  readonly witness: Witness;
  readonly approverToken: string;
  /** A superuser in the arena, looking behind the proxy's back. */
  look<Row extends pg.QueryResultRow>(sql: string): Promise<Row[]>;
  close(): Promise<void>;
}

/** `main`: the compiled src/cli/main.js. */
export async function openGround(main: string, laneCount: number): Promise<Ground> {
  const closings: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (let end = closings.pop(); end !== undefined; end = closings.pop()) await end();
  };
  try {
    const postgres = await startPostgres({
      log_connections: 'on',
      lock_timeout: '2s',
      deadlock_timeout: '200ms',
      // Nothing happens that no client asked for.
      autovacuum: 'off',
    });
    closings.push(() => postgres.close());
    const connect = async (database: string): Promise<pg.Client> => {
      const { host, port, superuser: user, password } = postgres.address;
      const client = new pg.Client({ host, port, user, password, database });
      client.on('error', () => {});
      await client.connect();
      closings.push(() => client.end());
      return client;
    };
    const numbers = Array.from({ length: laneCount }, (_, i) => i);
    const twins = numbers.map((i) => `twin_${i}`);
    const direct = numbers.map((i) => `direct_${i}`);
    await createDatabases(connect, ['arena', ...twins, ...direct]);

    const approverToken = newBearerToken();
    const start = async (rules: 'default' | 'observe'): Promise<RunningProxy> => {
      const folder = tempDir(`fuzz-${rules}`);
      const memoryFile = join(folder, MEMORY_FILE);
      const running = await startCountersign(
        await config(postgres, rules, ['arena', ...twins], approverToken),
        { main, folder, env: memoryHook(memoryFile) },
      );
      closings.push(() => running.stop());
      return { running, auditDir: join(folder, 'audit'), memoryFile };
    };
    const proxies = { default: await start('default'), observe: await start('observe') };
    const witness = new Witness({
      auditDirs: [proxies.default.auditDir, proxies.observe.auditDir],
      serverLog: postgres.address.logFile!,
      databases: new Set(['arena', ...twins]),
      role: ROLE,
    });
    closings.push(() => witness.close());

    const through = (proxy: RunningProxy, database: string): Side => ({
      is: 'proxy',
      place: { host: '127.0.0.1', port: proxy.running.port },
      login: { ...AGENT, database },
    });
    const { host, port } = postgres.address;
    const lanes: Lane[] = [];
    for (const i of numbers) {
      const [twin, alone] = [twins[i] as string, direct[i] as string];
      const both = [await connect(twin), await connect(alone)];
      lanes.push({
        direct: {
          is: 'server',
          place: { host, port },
          login: { user: ROLE, password: PASSWORD, database: alone },
        },
        observe: through(proxies.observe, twin),
        default: through(proxies.default, twin),
        reset: async () => void (await Promise.all(both.map((client) => client.query(RESET)))),
      });
    }
    const superuser = await connect('arena');
    return {
      postgres,
      proxies,
      arena: through(proxies.default, 'arena'),
      lanes,
      witness,
      approverToken,
      look: async <Row extends pg.QueryResultRow>(sql: string) => (await superuser.query<Row>(sql)).rows,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function createDatabases(
  connect: (database: string) => Promise<pg.Client>,
  names: readonly string[],
): Promise<void> {
  const root = await connect('postgres');
  await root.query(`CREATE ROLE ${ROLE} LOGIN NOSUPERUSER PASSWORD '${PASSWORD}'`);
  const template = 'fuzz_ground';
  await root.query(`CREATE DATABASE ${template} TEMPLATE template0 OWNER ${ROLE}`);
  const loader = await connect(template);
  const sql = readFileSync(join(VECTORS, 'fuzz', 'ground.sql'), 'utf8');
  await loader.query(`GRANT ALL ON SCHEMA public TO ${ROLE}; SET ROLE ${ROLE}; ${sql}`);
  await loader.end();
  for (const name of names) await root.query(`CREATE DATABASE ${name} TEMPLATE ${template} OWNER ${ROLE}`);
}

async function config(
  { address: { host, port } }: PostgresServer,
  rules: string,
  databases: readonly string[],
  approverToken: string,
): Promise<object> {
  return {
    listen: {
      host: '127.0.0.1',
      port: 0,
      tls: { cert: join(TLS, 'server.crt'), key: join(TLS, 'server.key') },
    },
    databases: Object.fromEntries(
      databases.map((database) => [
        database,
        { host, port, database, user: ROLE, password: PASSWORD, tls: 'disable' },
      ]),
    ),
    agents: [
      {
        name: AGENT.user,
        owner: 'bob@example.com',
        scram: formatScramSecret(await makeScramSecret(AGENT.password)),
        databases,
      },
    ],
    approvers: [{ name: 'alice@example.com', token: formatTokenHash(approverToken) }],
    rules: [join(PROJECT, 'rules', `${rules}.yaml`)],
    holds: { wait: HOLD, waitInTransaction: HOLD },
    limits: { startup: '2s', authentication: '2s', frame: `${FRAME_MAX_LENGTH}B` },
    audit: { dir: './audit' },
    http: { host: '127.0.0.1', port: 0 },
  };
}
