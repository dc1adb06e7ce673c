// Where the proxy may listen without encryption: on this machine only, unless somebody insists in so many words.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { readConfig } from '../../src/config.ts';

const folder = mkdtempSync(join(tmpdir(), 'countersign-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

function read(lines: string) {
  const file = join(folder, 'config.yaml');
  writeFileSync(file, `databases: { shop: { host: 127.0.0.1, user: u } }\nrules: [ r.yaml ]\n${lines}\n`);
  const { config, problems, warnings } = readConfig(file, {});
  return {
    config,
    problems: problems.map(({ message }) => message),
    warnings: warnings.map(({ message }) => message),
  };
}

test.each([
  ['127.0.0.1', true],
  ['127.8.8.8', true],
  ['localhost', true],
  ['::1', true],
  ['::ffff:127.0.0.1', true],
  ['0.0.0.0', false],
  ['::', false],
  ['10.0.0.1', false],
  ['127.0.0.1.example.com', false],
  ['proxy.example.com', false],
])('listen.host %s without TLS: %s', (host, good) => {
  for (const section of ['listen', 'http']) {
    const { config, problems } = read(`${section}: { host: "${host}" }`);
    expect(config !== null).toBe(good);
    expect(problems.length).toBe(good ? 0 : 1);
    if (!good) expect(problems[0]).toContain(`configure ${section}.tls`);
  }
});

test('plain text on a network must be asked for by its frightening name, and is warned of', () => {
  const { config, warnings } = read(
    'listen: { host: 0.0.0.0, dangerouslyAllowPlaintext: true }\nhttp: { host: 0.0.0.0, dangerouslyAllowPlaintext: true }',
  );
  expect(config?.listen).toEqual({ host: '0.0.0.0', port: 6432, tls: null, allowPlaintext: true });
  expect(warnings.filter((warning) => warning.includes('in the clear')).length).toBe(2);
});

test('http behind a reverse proxy that encrypts is told by publicUrl', () => {
  expect(read('http: { host: 0.0.0.0, publicUrl: "https://c.example.com" }').problems).toEqual([]);
  expect(read('http: { host: 0.0.0.0, publicUrl: "http://c.example.com" }').problems.length).toBe(1);
});

test('a shorter life or wait shortens the defaults that depend on it', () => {
  expect(read('holds: { ttl: 20s }').config?.holds).toMatchObject({
    waitMs: 20_000,
    waitInTransactionMs: 10_000,
  });
  expect(read('holds: { wait: 5s }').config?.holds).toMatchObject({
    waitMs: 5000,
    waitInTransactionMs: 5000,
  });
});

test('with redis and no name of its own, a node gets one that differs', () => {
  const redis = 'holds: { store: redis, redis: "redis://127.0.0.1" }';
  const [a, b] = [read(redis), read(redis)];
  expect(a.config?.node).toMatch(/^node-[0-9a-f]{8}$/);
  expect(a.config?.node).not.toBe(b.config?.node);
  expect(a.warnings.join()).toContain('"node" is not set');
});

test('teams is refused as not there yet, and so is what misses a secret', () => {
  expect(read('notify: [ { type: teams, url: "https://x.example.com" } ]').problems.join()).toContain(
    'not available in this version',
  );
  expect(read('notify: [ { type: webhook, url: "https://x.example.com" } ]').problems.join()).toContain(
    'needs a secret',
  );
});

test('a key that is given in place of its file is not printed', () => {
  const { problems } = read('listen: { tls: { cert: not-a-file, key: hunter2-the-key-itself } }');
  expect(problems.length).toBe(2);
  expect(problems.join()).not.toContain('hunter2');
});

const webhook = (url: string) =>
  read(`notify: [ { type: webhook, url: "${url}", secret: whsec_${'A'.repeat(32)} } ]`);

test.each(['http://127.0.0.1:9000/hook', 'http://[::1]:9000/', 'http://localhost/hook'])(
  'a webhook on this machine needs no further word: %s',
  (url) => {
    const { config, problems } = webhook(url);
    expect(problems).toEqual([]);
    expect(config?.notify[0]?.allowPrivate).toBe(true);
  },
);

test.each(['http://10.0.0.7/hook', 'http://localhost.example.com/hook', 'http://127.0.0.1.example.com/'])(
  'a webhook elsewhere in the clear does: %s',
  (url) => expect(webhook(url).problems[0]).toContain('must be an https URL'),
);

test('a webhook over https may not go to a private address by that', () => {
  expect(webhook('https://ops.example.com/hook').config?.notify[0]?.allowPrivate).toBe(false);
});
