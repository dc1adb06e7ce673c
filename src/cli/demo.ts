// `countersign demo`: the whole thing on one machine with nothing but Node. An embedded Postgres with a small shop, a
// node in front of it from a config file like anybody's, and the lines to type. `--check` lives the story by itself.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { stringify } from 'yaml';
import { CountersignError } from '../base/errors.ts';
import { randomSecret } from '../base/ids.ts';
import { loadConfig } from '../config.ts';
import { formatTokenHash, newBearerToken } from '../identity/bearer-token.ts';
import { formatScramSecret, makeScramSecret } from '../wire/scram-secret.ts';
import type { DemoDatabase } from './demo-database.ts';
import type { RunningNode } from './node.ts';
import { operatorLog } from './serve.ts';
import { version } from './version.ts';

const APPROVER = 'alice@example.com';

/** A running demo, with everything that one needs to talk to it. */
export interface Demo {
  readonly agentUrl: string;
  readonly apiUrl: string;
  readonly token: string;
  readonly auditDir: string;
  readonly configFile: string;
  close(): Promise<void>;
}

interface Ports {
  readonly port: number;
  readonly httpPort: number;
}

export function demoCommand(): Command {
  return new Command('demo')
    .description(
      'try it in a minute: an embedded Postgres, Countersign in front of it, and the lines to type',
    )
    .option('-p, --port <port>', 'where agents connect', parsePort, 6432)
    .option('--http-port <port>', 'where approvers decide', parsePort, 8432)
    .option('--check', 'live through the story without a person, print it, and exit 0 when all of it held')
    .action(async (options: Ports & { check?: true }) => {
      const demo = await startDemo(options);
      try {
        if (options.check) return await (await import('./demo-story.ts')).liveTheStory(demo);
        process.stdout.write(introduction(demo));
        await interrupted();
        process.stdout.write(`\nStopped. The log stays in ${demo.auditDir}\n`);
      } finally {
        await demo.close();
      }
    });
}

async function startDemo({ port, httpPort }: Ports): Promise<Demo> {
  // Not before they are needed: `--help` would take twice as long.
  const { startDemoDatabase } = await import('./demo-database.ts');
  const { startNode } = await import('./node.ts');
  const database = await startDemoDatabase({ port: 0 });
  let node: RunningNode | null = null;
  try {
    const password = randomSecret(9).toString('hex');
    const token = newBearerToken();
    const configFile = await writeConfig(database, { port, httpPort }, password, token);
    const config = loadConfig(configFile);
    const started = await startNode(config, {
      version,
      logger: operatorLog('warn'),
      onLogFailure: () => process.kill(process.pid, 'SIGTERM'),
    });
    node = started;
    return {
      agentUrl: `postgresql://agent:${password}@127.0.0.1:${started.listen.port}/shop`,
      apiUrl: `http://127.0.0.1:${started.http.port}`,
      token,
      auditDir: config.audit.dir,
      configFile,
      async close() {
        await started.close();
        await database.close();
      },
    };
  } catch (error) {
    await node?.close();
    await database.close();
    throw withPortHint(error);
  }
}

/** The demo's config is a file like any other: what one sees there is what one writes for a database of one's own. */
async function writeConfig(
  database: DemoDatabase,
  ports: Ports,
  password: string,
  token: string,
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-demo-'));
  const config = {
    listen: { host: '127.0.0.1', port: ports.port },
    databases: {
      shop: {
        host: database.host,
        port: database.port,
        database: database.database,
        user: database.user,
        password: database.password,
        tls: 'disable',
      },
    },
    agents: [
      {
        name: 'agent',
        owner: 'bob@example.com',
        scram: formatScramSecret(await makeScramSecret(password)),
        databases: ['shop'],
      },
    ],
    approvers: [{ name: APPROVER, groups: ['dba'], token: formatTokenHash(token) }],
    rules: [fileURLToPath(new URL('../../rules/default.yaml', import.meta.url))],
    // Longer than in earnest: whoever tries this for the first time reads before typing.
    holds: { store: 'memory', wait: '5m', waitInTransaction: '5m' },
    audit: { dir: join(folder, 'audit') },
    http: { host: '127.0.0.1', port: ports.httpPort },
  };
  const file = join(folder, 'countersign.yaml');
  writeFileSync(file, stringify(config), { mode: 0o600 });
  return file;
}

/** Somebody else has the port: the flag that changes it, not the config key, which is written anew each time. */
function withPortHint(error: unknown): unknown {
  if (!(error instanceof CountersignError) || !/EADDRINUSE|EACCES/.test(error.message)) return error;
  return new CountersignError('usage', error.message, {
    hint: 'Choose other ports: countersign demo --port 7432 --http-port 9432',
    cause: error,
  });
}

function introduction({ agentUrl, apiUrl, token, auditDir, configFile }: Demo): string {
  const cli = `node ${relative('.', process.argv[1] ?? 'dist/cli/main.js')}`;
  return `
Countersign ${version} stands in front of an embedded Postgres with a small shop.

1. Be the agent: connect, read, then do something risky.

     psql "${agentUrl}"
     shop=> SELECT name, city FROM customers LIMIT 3;
     shop=> DROP TABLE orders;

   psql now waits, and prints the hold's id.

2. Be the person who decides (${APPROVER}), in another terminal:

     export COUNTERSIGN_URL=${apiUrl}
     export COUNTERSIGN_TOKEN=${token}
     ${cli} watch                  what is held, as it comes
     ${cli} approve h_…            or: deny h_… --reason "why not"

   or with curl, where a vote names the hash and the version that were read:

     curl -H "Authorization: Bearer $COUNTERSIGN_TOKEN" "$COUNTERSIGN_URL/v1/holds?state=pending"
     curl -H "Authorization: Bearer $COUNTERSIGN_TOKEN" -H "Content-Type: application/json" \\
       -d '{"decision":"approve","statement_sha256":"…","version":1}' \\
       "$COUNTERSIGN_URL/v1/holds/h_…/votes"

3. Be the auditor: see what happened, and check that nobody has changed it.

     ${cli} audit tail ${auditDir}
     ${cli} audit verify ${auditDir}

Config: ${configFile}
Ctrl-C ends it. Other ports: --port and --http-port.
`;
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65535)
    throw new InvalidArgumentError('a port is a number up to 65535.');
  return port;
}

function interrupted(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
}
