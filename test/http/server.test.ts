// The server itself: the guard, health, and one voice for every error.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { get } from 'node:https';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CountersignError } from '../../src/base/errors.ts';
import { startHttp } from '../../src/http/server.ts';
import { Stage } from './stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await new Stage().open();
});
afterEach(() => stage.close());

test.each([
  ['GET', '/v1/holds'],
  ['GET', '/v1/holds/h_0000000000000000?wait=60'],
  ['POST', '/v1/holds/h_0000000000000000/votes'],
  ['HEAD', '/v1/holds'],
])('%s %s needs a token, whatever is wrong besides', async (method, path) => {
  for (const authorization of ['', 'Bearer', 'Bearer nobody', 'Basic Ym9iLXRva2VuOg==', 'bob-token']) {
    const response = await fetch(stage.server.address + path, {
      method,
      headers: { authorization },
      ...(method === 'POST' ? { body: '{not json' } : {}),
    });
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toMatch(/^Bearer/);
    expect(response.headers.get('content-type')).toContain('application/problem+json');
  }
});

describe('errors are problem documents that tell nothing of the inside', () => {
  const cases: readonly {
    name: string;
    path: string;
    method?: string;
    body?: string;
    type?: string;
    status: number;
    code: string;
  }[] = [
    { name: 'no route', path: '/v2/holds', status: 404, code: 'no_such_route' },
    { name: 'bad escape', path: '/v1/holds/%zz', status: 400, code: 'bad_request' },
    { name: 'wrong method', path: '/v1/holds', method: 'DELETE', status: 405, code: 'method_not_allowed' },
    { name: 'reading votes', path: '/v1/holds/x/votes', status: 405, code: 'method_not_allowed' },
    { name: 'writing health', path: '/healthz', method: 'POST', status: 405, code: 'method_not_allowed' },
    { name: 'not JSON', path: '/v1/holds/x/votes', body: '{"a":', status: 400, code: 'bad_request' },
    { name: 'no body', path: '/v1/holds/x/votes', body: '', status: 400, code: 'bad_request' },
    { name: 'poison', path: '/v1/holds/x/votes', body: '{"__proto__":{}}', status: 400, code: 'bad_request' },
    {
      name: 'too large',
      path: '/v1/holds/x/votes',
      body: `"${'x'.repeat(70_000)}"`,
      status: 413,
      code: 'payload_too_large',
    },
    {
      name: 'a form',
      path: '/v1/holds/x/votes',
      body: 'decision=approve',
      type: 'application/x-www-form-urlencoded',
      status: 415,
      code: 'unsupported_media_type',
    },
    {
      name: 'plain text',
      path: '/v1/holds/x/votes',
      body: '{}',
      type: 'text/plain',
      status: 415,
      code: 'unsupported_media_type',
    },
  ];
  test.each(cases)('$name: $status', async ({ path, method, body, type, status, code }) => {
    const answer = await stage.call(path, {
      ...(method === undefined ? {} : { method }),
      ...(body === undefined ? {} : { body, method: 'POST' }),
      headers: type === undefined ? {} : { 'content-type': type },
    });
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    expect(answer.body).toMatchObject({ status, code, detail: expect.stringMatching(/./) });
    expect(JSON.stringify(answer.body)).not.toMatch(/FST_|node_modules|\.ts|Unexpected/);
    if (status === 405) expect(answer.headers.get('allow')).toMatch(/GET|POST/);
  });

  test.each([
    new Error('password=hunter2 at line 7'),
    new CountersignError('internal', 'password=hunter2 at line 7'),
  ])('a bug: 500, constant text, and the cause in our own log only (%s)', async (bug) => {
    stage.store.list = () => Promise.reject(bug);
    const answer = await stage.call('/v1/holds');
    expect([answer.status, answer.body['code']]).toEqual([500, 'internal']);
    expect(JSON.stringify(answer.body)).not.toContain('hunter2');
    expect(stage.logged).toHaveLength(1);
  });

  test('bytes that are not HTTP', async () => {
    const socket = connect(stage.server.port, '127.0.0.1');
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.end('\x00\x00\x00\x08\x04\xd2\x16\x2f');
    await once(socket, 'close');
    const text = Buffer.concat(chunks).toString();
    expect(text).toMatch(/^HTTP\/1\.1 400 Bad Request\r\nContent-Type: application\/problem\+json/);
    expect(JSON.parse(text.split('\r\n\r\n')[1] ?? '')).toMatchObject({ status: 400, code: 'bad_request' });
  });
});

test('every answer tells a browser to do nothing with it and to keep nothing', async () => {
  for (const path of ['/healthz', '/v1/holds', '/nowhere']) {
    const { headers } = await stage.call(path, { as: null });
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(headers.get('strict-transport-security')).toContain('max-age');
    expect(headers.get('access-control-allow-origin')).toBeNull();
  }
});

test('/healthz and /readyz answer without a token; ready only when holds and log are', async () => {
  expect((await stage.call('/healthz', { as: null })).body).toEqual({ status: 'up' });
  const ready = await stage.call('/readyz', { as: null });
  expect([ready.status, ready.body['checks']]).toEqual([200, { holds: true, log: true }]);
  stage.logReady = false;
  const noLog = await stage.call('/readyz', { as: null });
  expect([noLog.status, noLog.body['checks']]).toEqual([503, { holds: true, log: false }]);
  await stage.store.close();
  const neither = await stage.call('/readyz', { as: null });
  expect(neither.body['checks']).toEqual({ holds: false, log: false });
  expect((await stage.call('/healthz', { as: null })).status).toBe(200);
});

test('a port in use is a clear error of the configuration', async () => {
  const error: unknown = await new Stage().open(stage.server.port).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(CountersignError);
  expect(error).toMatchObject({ code: 'config', message: expect.stringContaining(`:${stage.server.port}`) });
});

test('a connection that was opened and never used does not keep the server from closing', async () => {
  const socket = connect(stage.server.port, '127.0.0.1');
  await once(socket, 'connect');
  await stage.call('/healthz');
  const closed = once(socket, 'close');
  socket.on('error', () => {});
  await stage.server.close();
  await closed;
});

test('with a certificate it speaks HTTPS, and nothing else', async () => {
  const file = (name: string) => readFileSync(new URL(`../vectors/tls/${name}`, import.meta.url), 'utf8');
  const secured = await startHttp({
    host: '127.0.0.1',
    port: 0,
    tls: { cert: file('server.crt'), key: file('server.key') },
    store: stage.store,
    approvers: { authenticate: () => null },
    recordChange: async () => {},
    logReady: () => true,
    clock: stage.clock,
    publicUrl: 'https://countersign.example.com',
  });
  try {
    expect(secured.address).toMatch(/^https:/);
    const request = get({ host: '127.0.0.1', port: secured.port, path: '/healthz', ca: file('ca.crt') });
    const [response] = await once(request, 'response');
    expect(response.statusCode).toBe(200);
    await expect(fetch(`http://127.0.0.1:${secured.port}/healthz`)).rejects.toThrow();
  } finally {
    await secured.close();
  }
});
