// Where a webhook may not go: nothing inside our own network is reached by a name, a number or a redirect.
import { createServer } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isPublicUnicast, openDestination } from '../../src/notify/destination.ts';
import { startWebhook } from '../../src/notify/webhook.ts';
import { PUBLIC_URL, Stage, until } from '../http/stage.ts';

const SECRET = `whsec_${Buffer.from('0123456789abcdef0123456789abcdef').toString('base64')}`;

describe('URLs refused before anything is sent', () => {
  test.each([
    'http://example.com/hook',
    'ftp://example.com/hook',
    'file:///etc/passwd',
    'not a url',
    'https://user:word@example.com/',
    'https://127.0.0.1/',
    'https://2130706433/',
    'https://0x7f.1/',
    'https://0177.0.0.1/',
    'https://0/',
    'https://10.1.2.3/',
    'https://169.254.169.254/latest/meta-data/',
    'https://[::1]/',
    'https://[::]/',
    'https://[::ffff:127.0.0.1]/',
    'https://[::ffff:7f00:1]/',
    'https://[::127.0.0.1]/',
    'https://[64:ff9b::7f00:1]/',
    'https://[fd00::1]/',
    'https://[fe80::1]/',
    'https://[fec0::1]/',
    'https://①②⑦.0.0.1/',
  ])('%s', (url) => {
    expect(() => openDestination({ url, allowPrivate: false })).toThrow(
      expect.objectContaining({ code: 'config' }),
    );
  });

  test('public https is fine, and so is anything http that is named on purpose', async () => {
    for (const [url, allowPrivate] of [
      ['https://hooks.example.com/x?secret=1', false],
      ['https://93.184.216.34/', false],
      ['https://[2606:2800:220:1::1]/', false],
      ['http://127.0.0.1:9/', true],
    ] as const) {
      const destination = openDestination({ url, allowPrivate });
      expect(destination.name).not.toContain('secret');
      await destination.agent.destroy();
    }
    expect(() => openDestination({ url: 'ftp://127.0.0.1/', allowPrivate: true })).toThrow();
  });
});

test.each([
  ['8.8.8.8', true],
  ['2a00:1450:4001:81b::200e', true],
  ['::ffff:8.8.8.8', true],
  ['0.0.0.0', false],
  ['100.64.0.1', false],
  ['172.16.0.1', false],
  ['192.168.1.1', false],
  ['192.0.2.1', false],
  ['198.18.0.1', false],
  ['224.0.0.1', false],
  ['240.0.0.1', false],
  ['255.255.255.255', false],
  ['::ffff:10.0.0.1', false],
  ['2001::1', false],
  ['2002:7f00:1::', false],
  ['2001:db8::1', false],
  ['ff02::1', false],
  ['4000::1', false],
  ['localhost', false],
])('%s is public: %s', (address, expected) => {
  expect(isPublicUnicast(address)).toBe(expected);
});

describe('names that lead inside', () => {
  let stage: Stage;
  let connections = 0;
  const inside = createServer((_request, response) => response.end());
  inside.on('connection', () => connections++);
  let port = 0;
  beforeEach(async () => {
    stage = new Stage();
    connections = 0;
    await new Promise<void>((resolve) => inside.listen(0, '127.0.0.1', resolve));
    const bound = inside.address();
    port = bound !== null && typeof bound === 'object' ? bound.port : 0;
  });
  afterEach(async () => {
    inside.closeAllConnections();
    await new Promise((resolve) => inside.close(resolve));
    await stage.close();
  });

  test.each([
    { name: 'one private address', addresses: ['127.0.0.1'] },
    { name: 'a private address behind a public one', addresses: ['203.0.114.1', '127.0.0.1'] },
    { name: 'a mapped address', addresses: ['::ffff:127.0.0.1'] },
  ])('$name: not connected to', async ({ addresses }) => {
    const logged: string[] = [];
    let lookups = 0;
    const webhook = startWebhook({
      url: `https://hooks.example.com:${port}/`,
      secret: SECRET,
      store: stage.store,
      node: 'node-1',
      publicUrl: PUBLIC_URL,
      clock: stage.clock,
      schedule: { delaysMs: [0], everyMs: 1, closedAttempts: 1 },
      resolve: (_host, _options, done) => {
        lookups++;
        done(
          null,
          addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
        );
      },
      logger: {
        warn: (particulars) => logged.push(JSON.stringify(particulars)),
        error: () => {},
      },
    });
    await stage.hold();
    // Looked at anew for every connection: a name that changes its mind later is caught too.
    await until(() => logged.length >= 2, 'two failures');
    expect(logged[0]).toContain('not public');
    expect(lookups).toBeGreaterThanOrEqual(2);
    expect(connections).toBe(0);
    await webhook.close(0);
  });

  test('the address that was looked at is the one connected to', async () => {
    const webhook = startWebhook({
      url: `http://hooks.example.com:${port}/`,
      secret: SECRET,
      store: stage.store,
      node: 'node-1',
      publicUrl: PUBLIC_URL,
      clock: stage.clock,
      allowPrivate: true,
      resolve: (_host, _options, done) => done(null, [{ address: '127.0.0.1', family: 4 }]),
    });
    await stage.hold();
    await until(() => webhook.status().delivered === 1, 'the delivery');
    expect(connections).toBe(1);
    await webhook.close(0);
  });
});
