// Tokens in place of passwords, against an issuer of the test's own: a JWKS over HTTP with keys made by jose.
import { createHmac } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, exportSPKI, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Clock } from '../../src/base/clock.ts';
import { Agents } from '../../src/identity/agents.ts';
import { type IssuerOptions, Issuers, MAX_TOKEN_BYTES, type TokenRefusal } from '../../src/identity/jwt.ts';

const ISSUER = 'https://idp.example.com';
const MINUTE = 60_000;
const START_MS = Date.UTC(2030, 0, 1);

type Keys = Awaited<ReturnType<typeof generateKeyPair>>;
let rsa: Keys;
let ec: Keys;
let stranger: Keys;
let server: Server;
let jwks: string;

const published = { keys: [] as JWK[], status: 200, requests: 0 };
let elapsedMs = 0;
const clock: Clock = { nowMs: () => START_MS + elapsedMs, monoUs: () => elapsedMs * 1000 };

beforeAll(async () => {
  rsa = await generateKeyPair('RS256', { extractable: true });
  ec = await generateKeyPair('ES256', { extractable: true });
  stranger = await generateKeyPair('RS256', { extractable: true });
  server = createServer((_request, response) => {
    published.requests++;
    response.writeHead(published.status, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ keys: published.keys }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  jwks = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
beforeEach(async () => {
  elapsedMs = 0;
  published.keys = [await jwkOf(rsa, 'rsa-1'), await jwkOf(ec, 'ec-1')];
  published.status = 200;
  published.requests = 0;
});

const jwkOf = async (keys: Keys, kid: string): Promise<JWK> => ({
  ...(await exportJWK(keys.publicKey)),
  kid,
  use: 'sig',
});
const issuersOf = (options: Partial<IssuerOptions> = {}) =>
  Issuers.fromOptions([{ issuer: ISSUER, audience: 'countersign', jwks, ...options }], clock);
const seconds = (ms: number) => Math.floor(ms / 1000);

function claimsNow(more: Record<string, unknown> = {}): JWTPayload {
  const now = seconds(clock.nowMs());
  return { iss: ISSUER, aud: 'countersign', sub: 'alice', iat: now, exp: now + 300, ...more };
}
function sign(more: Record<string, unknown> = {}, header: Record<string, unknown> = {}, keys: Keys = rsa) {
  return new SignJWT(claimsNow(more))
    .setProtectedHeader({ alg: 'RS256', kid: 'rsa-1', ...header })
    .sign(keys.privateKey);
}
async function identityOf(issuers: Issuers, token: string) {
  const verdict = await issuers.verify(token);
  if (!verdict.ok) throw new Error(`refused: ${verdict.refusal}: ${verdict.because}`);
  return verdict.identity;
}
async function refusalOf(issuers: Issuers, token: string): Promise<TokenRefusal | null> {
  const verdict = await issuers.verify(token);
  return verdict.ok ? null : verdict.refusal;
}
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('who it is', () => {
  it('a subject that acts for itself', async () => {
    const token = await sign({ groups: ['dba', 'on-call'], email: 'Alice@example.com' });
    expect(await identityOf(issuersOf(), token)).toMatchObject({
      agent: 'alice',
      owner: 'alice',
      onBehalfOf: [],
      groups: ['dba', 'on-call'],
      authenticatedBy: 'jwt',
      issuer: ISSUER,
      requesters: ['alice', `${ISSUER}#alice`, 'Alice@example.com', 'alice@example.com'],
      databases: '*',
      expiresAtMs: START_MS + 300_000,
      claims: { sub: 'alice' },
    });
  });

  it('an agent for a person, through another agent: none of them may decide', async () => {
    const act = { sub: 'reporting-bot', act: { sub: 'planner', iss: 'https://other.example.com' } };
    const identity = await identityOf(issuersOf(), await sign({ act }));
    expect(identity).toMatchObject({
      agent: 'reporting-bot',
      owner: 'alice',
      onBehalfOf: ['alice', 'planner'],
    });
    expect(identity.requesters).toEqual(
      expect.arrayContaining(['alice', 'reporting-bot', 'planner', 'https://other.example.com#planner']),
    );
  });

  it('EC keys serve as well', async () => {
    const token = await sign({}, { alg: 'ES256', kid: 'ec-1' }, ec);
    expect((await identityOf(issuersOf(), token)).agent).toBe('alice');
  });

  it('a databases claim narrows what the issuer may, and never widens it', async () => {
    const issuers = issuersOf({ databases: ['shop', 'stock'] });
    const databases = async (more: JWTPayload) => (await identityOf(issuers, await sign(more))).databases;
    expect(await databases({})).toEqual(['shop', 'stock']);
    expect(await databases({ databases: ['shop', 'payroll'] })).toEqual(['shop']);
    expect(await databases({ databases: 'payroll' })).toEqual([]);
    expect(await databases({ databases: '*' })).toEqual([]);
  });

  it('is not a configured agent, whatever the token says', async () => {
    const key = Buffer.alloc(32);
    const agents = Agents.fromOptions({
      agents: [
        {
          name: 'reporting-bot',
          owner: 'alice@example.com',
          secret: { iterations: 4096, salt: key, storedKey: key, serverKey: key },
          databases: '*',
        },
      ],
      issuers: [{ issuer: ISSUER, audience: 'countersign', jwks }],
      clock,
    });
    expect(await agents.verifyToken(await sign({ act: { sub: 'other-bot' } }))).toMatchObject({ ok: true });
    expect(await agents.verifyToken(await sign({ act: { sub: 'reporting-bot' } }))).toMatchObject({
      ok: false,
      refusal: 'name_taken',
    });
  });
});

describe('refused', () => {
  it.each<[string, TokenRefusal, () => Promise<string> | string]>([
    ['no token at all', 'unknown_issuer', () => 'hunter2'],
    ['empty', 'unknown_issuer', () => ''],
    ['another issuer', 'unknown_issuer', () => sign({ iss: 'https://evil.example.com' })],
    ['wrong audience', 'audience', () => sign({ aud: 'payroll' })],
    ['no audience', 'claims', () => sign({ aud: undefined })],
    ['expired', 'expired', () => sign({ exp: seconds(START_MS) - 60, iat: seconds(START_MS) - 120 })],
    ['not yet valid', 'not_yet_valid', () => sign({ nbf: seconds(START_MS) + 60 })],
    ['issued in the future', 'not_yet_valid', () => sign({ iat: seconds(START_MS) + 60 })],
    ['no expiry', 'claims', () => sign({ exp: undefined })],
    ['no time of issue', 'claims', () => sign({ iat: undefined })],
    ['long-lived', 'claims', () => sign({ exp: seconds(START_MS) + 86_400 })],
    ['no subject', 'claims', () => sign({ sub: undefined })],
    ['subject with a line break', 'claims', () => sign({ sub: 'alice\nroot' })],
    ['actor that is no object', 'claims', () => sign({ act: 'bot' })],
    ['actor without a subject', 'claims', () => sign({ act: {} })],
    ['groups that are no names', 'claims', () => sign({ groups: [1] })],
    ['databases that are no names', 'claims', () => sign({ databases: { shop: true } })],
    ['made for another purpose', 'claims', () => sign({}, { typ: 'logout+jwt' })],
    ["a stranger's signature", 'signature', () => sign({}, {}, stranger)],
    ['unknown kid', 'unknown_key', () => sign({}, { kid: 'rsa-9' })],
    ['alg none', 'algorithm', () => `${part({ alg: 'none' })}.${part(claimsNow())}.`],
    [
      'HS256 with the public key for a secret',
      'algorithm',
      async () => {
        const signed = `${part({ alg: 'HS256', kid: 'rsa-1' })}.${part(claimsNow())}`;
        const mac = createHmac('sha256', await exportSPKI(rsa.publicKey)).update(signed);
        return `${signed}.${mac.digest('base64url')}`;
      },
    ],
    [
      'its own key in its header',
      'signature',
      async () => sign({}, { jwk: await exportJWK(stranger.publicKey) }, stranger),
    ],
    ['oversize', 'oversize', () => sign({ pad: 'x'.repeat(MAX_TOKEN_BYTES) })],
    [
      'a changed claim',
      'signature',
      async () => (await sign()).replace(/\.[^.]+\./, `.${part(claimsNow({ sub: 'mallory' }))}.`),
    ],
  ])('%s', async (_what, refusal, make) => {
    const verdict = await issuersOf().verify(await make());
    expect(verdict).toMatchObject({ ok: false, refusal });
  });

  it('an algorithm that is not pinned, though the key is right', async () => {
    expect(await refusalOf(issuersOf({ algorithms: ['ES256'] }), await sign())).toBe('algorithm');
  });

  it('a chain of actors without end', async () => {
    let act: Record<string, unknown> = { sub: 'bot' };
    for (let i = 0; i < 8; i++) act = { sub: `bot${i}`, act };
    expect(await refusalOf(issuersOf(), await sign({ act }))).toBe('claims');
  });

  it('a token of 59 KB is not too long', async () => {
    expect(await refusalOf(issuersOf(), await sign({ pad: 'x'.repeat(44_000) }))).toBeNull();
  });

  it('says nothing of the token in its reason', async () => {
    const verdict = await issuersOf().verify(await sign({ aud: 'sesame', act: { sub: 'sesame\n' } }));
    expect(verdict.ok).toBe(false);
    expect(JSON.stringify(verdict)).not.toContain('sesame');
  });
});

describe('keys', () => {
  it('are fetched once for many logins', async () => {
    const issuers = issuersOf();
    const token = await sign();
    const refusals = await Promise.all(Array.from({ length: 20 }, () => refusalOf(issuers, token)));
    expect(new Set(refusals)).toEqual(new Set([null]));
    expect(published.requests).toBe(1);
  });

  it('survive an outage of eleven minutes, in which no new key gets in', async () => {
    const issuers = issuersOf();
    expect(await refusalOf(issuers, await sign())).toBeNull();
    published.status = 503;
    elapsedMs = 11 * MINUTE;
    expect(await refusalOf(issuers, await sign())).toBeNull();
    expect(published.requests).toBe(2);
    expect(await refusalOf(issuers, await sign({}, { kid: 'rsa-2' }, stranger))).toBe('unknown_key');
  });

  it('are not believed past the stale limit, and again once the issuer is back', async () => {
    const issuers = issuersOf({ staleLimitMs: 60 * MINUTE });
    expect(await refusalOf(issuers, await sign())).toBeNull();
    published.status = 503;
    elapsedMs = 61 * MINUTE;
    expect(await refusalOf(issuers, await sign())).toBe('keys_unavailable');
    published.status = 200;
    elapsedMs += 10_000;
    expect(await refusalOf(issuers, await sign())).toBeNull();
  });

  it('that were withdrawn no longer serve after ten minutes', async () => {
    const issuers = issuersOf();
    expect(await refusalOf(issuers, await sign())).toBeNull();
    published.keys = [await jwkOf(ec, 'ec-1')];
    elapsedMs = 11 * MINUTE;
    expect(await refusalOf(issuers, await sign())).toBe('unknown_key');
  });

  it('that are new are found, but a flood of unknown ones costs one fetch', async () => {
    const issuers = issuersOf();
    expect(await refusalOf(issuers, await sign())).toBeNull();
    elapsedMs = MINUTE;
    const flood = Array.from({ length: 20 }, (_, i) => sign({}, { kid: `made-up-${i}` }, stranger));
    const refusals = await Promise.all((await Promise.all(flood)).map((token) => refusalOf(issuers, token)));
    expect(new Set(refusals)).toEqual(new Set(['unknown_key']));
    expect(published.requests).toBe(2);

    published.keys.push(await jwkOf(stranger, 'rsa-2'));
    const token = await sign({}, { kid: 'rsa-2' }, stranger);
    expect(await refusalOf(issuers, token)).toBe('unknown_key');
    elapsedMs += 31_000;
    expect(await refusalOf(issuers, await sign({}, { kid: 'rsa-2' }, stranger))).toBeNull();
  });

  it('that are new let in all who come with them at once', async () => {
    const issuers = issuersOf();
    expect(await refusalOf(issuers, await sign())).toBeNull();
    elapsedMs = MINUTE;
    published.keys.push(await jwkOf(stranger, 'rsa-2'));
    const token = await sign({}, { kid: 'rsa-2' }, stranger);
    const refusals = await Promise.all(Array.from({ length: 5 }, () => refusalOf(issuers, token)));
    expect(new Set(refusals)).toEqual(new Set([null]));
    expect(published.requests).toBe(2);
  });

  it('are fetched again in the background after five minutes', async () => {
    const issuers = issuersOf();
    expect(await refusalOf(issuers, await sign())).toBeNull();
    elapsedMs = 6 * MINUTE;
    expect(await refusalOf(issuers, await sign())).toBeNull();
    await expect.poll(() => published.requests).toBe(2);
  });

  it('that were never had let nobody in, and are not asked for at each login', async () => {
    published.status = 503;
    const issuers = issuersOf();
    for (let i = 0; i < 5; i++) expect(await refusalOf(issuers, await sign())).toBe('keys_unavailable');
    expect(published.requests).toBe(1);
    published.status = 200;
    elapsedMs = 6_000;
    expect(await refusalOf(issuers, await sign())).toBeNull();
  });

  it('are not asked for on behalf of an issuer that is not configured', async () => {
    await issuersOf().verify(await sign({ iss: 'https://evil.example.com' }));
    expect(published.requests).toBe(0);
  });
});

describe('config', () => {
  it.each<[string, Partial<IssuerOptions>]>([
    ['keys over plain http', { jwks: 'http://idp.example.com/jwks' }],
    ['loopback in name only', { jwks: 'http://127.0.0.1.example.com/jwks' }],
    ['keys from a file', { jwks: 'file:///jwks.json' }],
    ['no address', { jwks: 'jwks' }],
    ['alg none', { algorithms: ['none'] }],
    ['a shared secret', { algorithms: ['RS256', 'HS256'] }],
    ['no algorithm', { algorithms: [] }],
    ['no audience', { audience: '' }],
  ])('refuses %s', (_what, options) => {
    expect(() => issuersOf(options)).toThrow(expect.objectContaining({ code: 'config' }));
  });
});
