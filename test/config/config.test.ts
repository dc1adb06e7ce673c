// The config file: what is accepted and what it becomes, and for every broken file exactly the complaints expected.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { formatProblem, ProblemsError } from '../../src/base/problem.ts';
import { Secret } from '../../src/base/secret.ts';
import { loadConfig, readConfig } from '../../src/config.ts';

const VECTORS = 'test/vectors/config';
const SECRETS = [
  'pass-from-env',
  'redis-pass',
  'hunter2',
  'from-a-file',
  'whsec_AAAA',
  'log-key-material',
  'PRIVATE KEY',
];
const env = {
  SHOP_PASSWORD: 'pass-from-env',
  SHOP_PORT: '6000',
  REDIS_PASSWORD: 'redis-pass',
  NODE_NAME: 'proxy-7',
  EMPTY: '',
  SECRET: 'hunter2',
};

/** Secrets shown, the rest as it is, so that a test can compare the whole. */
function revealed(value: unknown): unknown {
  if (value instanceof Secret) return { secret: value.reveal() };
  if (value instanceof Map)
    return Object.fromEntries([...value].map(([key, inner]) => [key, revealed(inner)]));
  if (Array.isArray(value)) return value.map(revealed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, revealed(inner)]));
}

describe('a good config', () => {
  test('the least: everything else has its default', () => {
    const config = loadConfig(`${VECTORS}/good/minimal.yaml`, {});
    expect(config.warnings).toEqual([]);
    expect(revealed(config)).toMatchObject({
      node: 'node-1',
      listen: { host: '127.0.0.1', port: 6432, tls: null },
      databases: {
        shop: {
          host: '127.0.0.1',
          port: 5432,
          database: 'shop',
          user: 'countersign',
          password: null,
          tls: 'prefer',
          tlsCa: null,
        },
      },
      agents: [
        {
          name: 'reporting-bot',
          owner: 'alice@example.com',
          databases: ['shop'],
          groups: [],
          maxSessions: null,
        },
      ],
      identity: { issuers: [] },
      approvers: [{ name: 'alice@example.com', groups: [] }],
      holds: {
        store: 'memory',
        redis: null,
        waitMs: 45_000,
        waitInTransactionMs: 10_000,
        ttlMs: 1_800_000,
        grantMs: 300_000,
        noticeMs: 15_000,
      },
      catalog: { maxAgeMs: 30_000 },
      audit: { dir: `${process.cwd()}/${VECTORS}/good/audit`, key: null, durability: 'standard' },
      notify: [],
      http: { host: '127.0.0.1', port: 8432, publicUrl: 'http://127.0.0.1:8432', tls: null },
      limits: {
        connections: 1000,
        connectionsPerAgent: null,
        connectionsPerAddress: null,
        unauthenticated: 200,
        startupMs: 10_000,
        authenticationMs: 10_000,
        idleMs: null,
        idleInTransactionMs: null,
        frameBytes: 64 * 1024 ** 2,
        backlogBytes: 1024 ** 2,
        statements: 1000,
        preparedStatements: 10_000,
        preparedBytes: 128 * 1024 ** 2,
      },
      budgets: {
        statement: { rows: 10_000, bytes: 10 * 1024 ** 2 },
        session: { rows: 100_000, bytes: 100 * 1024 ** 2 },
        agent: { rows: 1_000_000, bytes: 1024 ** 3 },
        windowMs: 3_600_000,
      },
    });
    expect(config.rules).toEqual([`${process.cwd()}/rules/default.yaml`]);
  });

  test('every name there is, with variables and files filled in', () => {
    const config = loadConfig(`${VECTORS}/good/full.yaml`, env);
    const pem = readFileSync(`${VECTORS}/tls/server.crt`, 'utf8');
    const key = readFileSync(`${VECTORS}/tls/server.key`, 'utf8');
    expect(config.warnings.map(formatProblem)).toEqual([]);
    expect(revealed(config)).toMatchObject({
      budgets: {
        statement: { rows: 10, bytes: 20 * 1024 ** 2 },
        session: { rows: 30, bytes: 40 * 1024 },
        agent: { rows: 50, bytes: 60 },
        windowMs: 2 * 3_600_000,
      },
      node: 'proxy-7',
      listen: { host: '0.0.0.0', port: 7000, tls: { cert: pem, key: { secret: key }, clientCa: pem } },
      databases: {
        shop: {
          host: 'db.example.com',
          port: 6000,
          database: 'shop_v2',
          user: 'countersign',
          password: { secret: 'pass-from-env' },
          tls: 'verify-full',
          tlsCa: pem,
        },
        no: { host: '::1', port: 5432, database: 'no', password: { secret: 'from-a-file' }, tls: 'disable' },
      },
      agents: [{ groups: ['reports'], maxSessions: 5, databases: ['shop', 'no'] }],
      identity: {
        issuers: [
          {
            issuer: 'https://idp.example.com',
            audience: ['countersign'],
            jwks: 'https://idp.example.com/jwks.json',
            algorithms: ['ES256'],
          },
        ],
      },
      holds: {
        store: 'redis',
        redis: { secret: 'redis://:redis-pass@127.0.0.1:6379' },
        waitMs: 20_000,
        waitInTransactionMs: 5000,
        ttlMs: 3_600_000,
        grantMs: 90_000,
        noticeMs: 500,
      },
      catalog: { maxAgeMs: 7_000 },
      audit: {
        dir: `${process.cwd()}/${VECTORS}/good/log`,
        key: { secret: 'log-key-material' },
        durability: 'strict',
      },
      notify: [{ type: 'webhook', url: { secret: 'http://10.0.0.7/hook' }, allowPrivate: true }],
      http: { host: '0.0.0.0', port: 8433, publicUrl: 'https://countersign.example.com', tls: { cert: pem } },
      limits: {
        connections: 10,
        connectionsPerAgent: 3,
        connectionsPerAddress: 4,
        unauthenticated: 5,
        startupMs: 1000,
        authenticationMs: 2000,
        idleMs: 3_600_000,
        idleInTransactionMs: 60_000,
        frameBytes: 1024 ** 2,
        backlogBytes: 65_536,
        statements: 7,
        preparedStatements: 8,
        preparedBytes: 2 * 1024 ** 2,
      },
    });
  });

  test('no secret shows in a dump of it', () => {
    const config = loadConfig(`${VECTORS}/good/full.yaml`, env);
    const dump =
      JSON.stringify({ ...config, databases: [...config.databases] }) +
      inspect(config, { depth: 9 }) +
      `${config.holds.redis}`;
    for (const secret of [...SECRETS, 'SCRAM-SHA-256']) expect(dump).not.toContain(secret);
    expect(dump).toContain('[secret]');
  });
});

describe('a broken config', () => {
  const files = readdirSync(`${VECTORS}/broken`).filter((name) => name.endsWith('.yaml'));
  test.each(files)('%s', (name) => {
    const file = `${VECTORS}/broken/${name}`;
    const { config, problems, warnings } = readConfig(file, env);
    const expected = readFileSync(file.replace(/yaml$/, 'expected'), 'utf8');
    expect(config).toBeNull();
    const lines = [
      ...problems.map(formatProblem),
      ...warnings.map((warning) => `warning: ${formatProblem(warning)}`),
    ];
    expect(`${lines.join('\n')}\n`).toBe(expected);
    for (const secret of SECRETS) expect(expected).not.toContain(secret);
    expect(() => loadConfig(file, env)).toThrow(expect.objectContaining({ code: 'config', problems }));
  });

  test('a file that is not there, and a folder', () => {
    expect(() => loadConfig('nowhere.yaml')).toThrow(
      new ProblemsError('config', readConfig('nowhere.yaml').problems),
    );
    expect(readConfig('nowhere.yaml').problems.map(formatProblem)).toEqual(['nowhere.yaml: no such file']);
    expect(readConfig('test').problems.map(formatProblem)).toEqual(['test: is a folder, not a file']);
  });
});

test('a pack that ships is found by its name, unless the folder of the config has one of its own', () => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-rules-'));
  try {
    const file = join(folder, 'config.yaml');
    const rules = ['rules/default.yaml', 'rules/other.yaml', '../rules/default.yaml'];
    writeFileSync(
      file,
      `databases: { shop: { host: 127.0.0.1, user: u } }\nrules: ${JSON.stringify(rules)}\n`,
    );
    const shipped = fileURLToPath(new URL('../../rules/default.yaml', import.meta.url));
    expect(readConfig(file, {}).rules).toEqual([
      shipped,
      join(folder, 'rules/other.yaml'),
      join(folder, '../rules/default.yaml'),
    ]);
    mkdirSync(join(folder, 'rules'));
    writeFileSync(join(folder, 'rules/default.yaml'), 'version: 1\n');
    expect(readConfig(file, {}).rules[0]).toBe(join(folder, 'rules/default.yaml'));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
