// An agent logs in with a token: psql under TLS, keys over HTTP from the issuer, and the person on whose behalf the agent
// acts in the log and before the approver.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readLast } from '../../src/audit/read.ts';
import { countersign, type RunningCountersign, startCountersign } from '../services/countersign.ts';
import { createDatabase, type Database } from '../services/database.ts';
import { TLS } from '../services/places.ts';
import { type Connection, psql } from '../services/psql.ts';
import { sceneConfig } from '../services/scene.ts';

const KEYS = await generateKeyPair('ES256');
const CLAIMS = { act: { sub: 'nightly-report' }, groups: ['analysts'] };

let issuer: Server;
let database: Database;
let proxy: RunningCountersign;

const issuerUrl = (): string => `http://127.0.0.1:${(issuer.address() as AddressInfo).port}`;

const token = (audience = 'countersign'): Promise<string> =>
  new SignJWT(CLAIMS)
    .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
    .setIssuer(issuerUrl())
    .setSubject('dana@example.com')
    .setAudience(audience)
    .setIssuedAt()
    .setExpirationTime('5m')
    .sign(KEYS.privateKey);

const connection = (password: string, sslmode = 'verify-full'): Connection => ({
  host: 'localhost',
  port: proxy.port,
  user: 'nightly-report',
  password,
  database: 'shop',
  sslmode,
  env: { PGSSLROOTCERT: `${TLS}/ca.crt` },
});

beforeAll(async () => {
  const jwk = { ...(await exportJWK(KEYS.publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' };
  issuer = createServer((_request, response) => response.end(JSON.stringify({ keys: [jwk] })));
  await new Promise<void>((resolve) => issuer.listen(0, '127.0.0.1', resolve));
  database = await createDatabase('shop');
  proxy = await startCountersign(
    await sceneConfig(database, {
      listen: { tls: { cert: `${TLS}/server.crt`, key: `${TLS}/server.key` } },
      identity: {
        issuers: [{ issuer: issuerUrl(), audience: 'countersign', jwks: `${issuerUrl()}/keys` }],
      },
    }),
  );
});

afterAll(async () => {
  await proxy.stop();
  await database.close();
  issuer.close();
});

test('a good token is a login; who acts for whom stands in every record', async () => {
  const { code, stdout, stderr } = await psql(connection(await token()), ['-c', 'SELECT 41 + 1']);
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '42\n', stderr: '' });
  const intent = readLast(`${proxy.folder}/audit`, 20).records.find(
    ({ leaf }) => leaf['type'] === 'statement.intent',
  );
  expect(intent?.leaf['who']).toMatchObject({
    agent: 'nightly-report',
    owner: 'dana@example.com',
    on_behalf_of: ['dana@example.com'],
    authenticated_by: 'jwt',
  });
});

test.each([
  ['a token for somebody else', () => token('another-service')],
  ['a token that was changed', async () => `${(await token()).slice(0, -4)}AAAA`],
  ['no token at all', async () => 'secret'],
])('%s is refused, in the words of every refusal', async (_what, password) => {
  const { code, stderr } = await psql(connection(await password()), ['-c', 'SELECT 1']);
  expect(code).toBe(2);
  expect(stderr).toContain('password authentication failed for user "nightly-report"');
});

test('without TLS it is refused before the token is asked for', async () => {
  const { code, stderr } = await psql(connection(await token(), 'disable'), ['-c', 'SELECT 1']);
  expect(code).toBe(2);
  expect(stderr).toContain('logging in with a token needs TLS');
});

test('the log verifies', async () => {
  expect((await countersign(['audit', 'verify', `${proxy.folder}/audit`])).code).toBe(0);
});
