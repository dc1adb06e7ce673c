// The generic webhook against a real receiver: signed, in order, retried, and never in the way.
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CountersignError } from '../../src/base/errors.ts';
import type { Hold } from '../../src/holds/hold.ts';
import type { RetrySchedule } from '../../src/notify/outbox.ts';
import { startWebhook, type Webhook, type WebhookOptions } from '../../src/notify/webhook.ts';
import { impact } from '../holds/sample.ts';
import { PUBLIC_URL, Stage, until } from '../http/stage.ts';
import { Receiver } from './receiver.ts';

const SECRET = `whsec_${Buffer.from('0123456789abcdef0123456789abcdef').toString('base64')}`;
const AT_ONCE: RetrySchedule = { delaysMs: [0], everyMs: 1, closedAttempts: 3 };

let stage: Stage;
let receiver: Receiver;
let webhook: Webhook;
let logged: string[];
beforeEach(async () => {
  stage = new Stage();
  receiver = await new Receiver().open();
  logged = [];
});
afterEach(async () => {
  await webhook?.close(0);
  await receiver.close();
  await stage.close();
});

function start(changes: Partial<WebhookOptions> = {}): void {
  webhook = startWebhook({
    url: receiver.url,
    secret: SECRET,
    store: stage.store,
    node: 'node-1',
    publicUrl: `${PUBLIC_URL}/`,
    clock: stage.clock,
    allowPrivate: true,
    schedule: AT_ONCE,
    logger: {
      warn: (particulars, message) => logged.push(JSON.stringify({ ...particulars, message })),
      error: (particulars, message) => logged.push(JSON.stringify({ ...particulars, message })),
    },
    ...changes,
  });
}

async function vote(hold: Hold, decision: 'approve' | 'deny'): Promise<void> {
  const result = await stage.store.apply(hold.request.id, {
    type: 'vote',
    vote: { voter: 'bob@example.com', groups: [], decision, reason: 'seen', atMs: 0, channel: 'api' },
    statementSha256: hold.request.statement.sha256,
    version: hold.version,
  });
  expect(result.ok).toBe(true);
}

const delivered = (count: number) => until(() => webhook.status().delivered === count, `${count} delivered`);
const settled = () => until(() => webhook.status().waiting === 0, 'nothing waiting');

describe('what is told', () => {
  test('requested and closed, each signed so that the public library verifies it', async () => {
    start();
    const hold = await stage.hold('DROP TABLE customers');
    await vote(hold, 'deny');
    await delivered(2);
    expect(receiver.story()).toEqual(['hold.requested pending', 'hold.closed denied']);
    for (const { headers, body } of receiver.got) {
      expect(headers['content-type']).toBe('application/json');
      const verified = new StandardWebhook(SECRET).verify(body, headers as Record<string, string>);
      expect(verified).toMatchObject({
        timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
        data: {
          id: hold.request.id,
          url: `${PUBLIC_URL}/v1/holds/${hold.request.id}`,
          statement: { text: 'DROP TABLE customers', sha256: hold.request.statement.sha256 },
        },
      });
      const tampered = body.replace('customers', 'customer5');
      expect(() => new StandardWebhook(SECRET).verify(tampered, headers as Record<string, string>)).toThrow();
      // The decision is nobody's who merely reads this.
      expect(body).not.toContain(hold.request.binding);
    }
  });

  test('an approved hold is closed when it has run, and once', async () => {
    start();
    const hold = await stage.hold();
    await vote(hold, 'approve');
    await stage.store.apply(hold.request.id, { type: 'consume', binding: hold.request.binding });
    await stage.store.apply(hold.request.id, { type: 'outcome', state: 'executed' });
    await delivered(2);
    await settled();
    expect(receiver.story()).toEqual(['hold.requested pending', 'hold.closed executed']);
    expect(JSON.parse(receiver.got[1]?.body ?? '')).toMatchObject({
      data: { votes: [{ voter: 'bob@example.com', decision: 'approve' }] },
    });
  });

  test('only the holds of this node', async () => {
    start();
    await stage.hold('DROP TABLE theirs', { node: 'node-2' });
    await stage.hold('DROP TABLE ours');
    await delivered(1);
    expect(receiver.got[0]?.body).toContain('DROP TABLE ours');
    expect(webhook.status()).toMatchObject({ delivered: 1, waiting: 0 });
  });

  test.each([
    { name: 'a long statement', sql: `SELECT '${'é'.repeat(40_000)}'`, changes: {} },
    { name: 'a statement of control characters', sql: '\u0001'.repeat(60_000), changes: {} },
    { name: 'a statement of surrogate pairs', sql: '😀'.repeat(30_000), changes: {} },
    {
      name: 'a purpose without end',
      sql: 'DROP TABLE a',
      changes: { claimed: { applicationName: 'x', purpose: '\u0001😀'.repeat(30_000) } },
    },
  ])('stays under 20 KB: $name', async ({ sql, changes }) => {
    start();
    const hold = await stage.hold(sql, changes);
    await delivered(1);
    const body = receiver.got[0]?.body ?? '';
    expect(Buffer.byteLength(body)).toBeLessThan(20_000);
    expect(JSON.parse(body)).toMatchObject({
      data: { id: hold.request.id, statement: { truncated: true, sha256: hold.request.statement.sha256 } },
    });
    const { text } = (JSON.parse(body) as { data: { statement: { text: string } } }).data.statement;
    expect(sql.startsWith(text)).toBe(true);
    expect(text.length).toBeGreaterThan(10);
  });

  test('has the impact; of a large one what matters, under 20 KB, and that there is more', async () => {
    start();
    await stage.hold('DELETE FROM orders', { impact: [impact()] });
    await delivered(1);
    const whole = JSON.parse(receiver.got[0]?.body ?? '') as { data: { impact: unknown } };
    expect(whole.data).toMatchObject({ impact: [impact()], impact_truncated: false });

    const { locks } = impact();
    const wide = impact({
      locks: Array.from({ length: 20 }, () => locks).flat(),
      dependents: Array.from({ length: 50 }, (_, i) => `view ${'v'.repeat(200)}${i}`),
    });
    await stage.hold('DELETE FROM events', { impact: [wide, wide, wide] });
    await delivered(2);
    const body = receiver.got[1]?.body ?? '';
    expect(Buffer.byteLength(body)).toBeLessThan(20_000);
    expect(JSON.parse(body)).toMatchObject({
      data: {
        statement: { text: 'DELETE FROM events', truncated: false },
        impact: [{ rows: impact().rows }, {}, {}],
        impact_truncated: true,
      },
    });
  });
});

describe('when the receiver fails', () => {
  test.each([
    { name: '500', reply: { status: 500 } },
    { name: '404', reply: { status: 404 } },
    { name: 'a redirect', reply: { status: 307, headers: { location: '/elsewhere' } } },
    { name: 'a redirect said to be permanent', reply: { status: 301, headers: { location: '/elsewhere' } } },
  ])('$name: tried again under the same id, and no redirect followed', async ({ reply }) => {
    start();
    receiver.replies.push(reply, reply);
    await stage.hold();
    await delivered(1);
    expect(receiver.got).toHaveLength(3);
    expect(new Set(receiver.got.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect(new Set(receiver.got.map(({ path }) => path))).toEqual(new Set(['/hook?key=sesame']));
    expect(logged).toHaveLength(2);
    expect(logged.join()).not.toContain('sesame');
  });

  test('no answer in time is a failure', async () => {
    start({ timeoutMs: 50 });
    receiver.replies.push('hang');
    await stage.hold();
    await delivered(1);
    expect(receiver.got).toHaveLength(2);
    expect(logged.join()).toContain('no answer in time');
  });

  test('Retry-After puts the next attempt off', async () => {
    start();
    receiver.replies.push({ status: 503, headers: { 'retry-after': '3600' } });
    const slow = await stage.hold('DROP TABLE a');
    await until(() => logged.length === 1, 'the failure');
    await stage.hold('DROP TABLE b');
    await delivered(1);
    expect(receiver.got).toHaveLength(2);
    expect(webhook.status().waiting).toBe(1);
    // The end of the hold is not put off: it is another message.
    await vote(slow, 'deny');
    await delivered(2);
    expect(receiver.story()).toEqual([
      'hold.requested pending',
      'hold.requested pending',
      'hold.closed denied',
    ]);
    expect(webhook.status()).toMatchObject({ dead: 1, waiting: 0 });
  });

  test('in order: what closes a hold waits for the attempt that is under way', async () => {
    start({ timeoutMs: 200 });
    receiver.replies.push('hang');
    const hold = await stage.hold();
    await until(() => receiver.got.length === 1, 'the first attempt');
    await vote(hold, 'deny');
    await delivered(1);
    expect(receiver.story()).toEqual(['hold.requested pending', 'hold.closed denied']);
    expect(webhook.status()).toMatchObject({ delivered: 1, dead: 1, waiting: 0 });
  });

  test('a message that closes is given up after so many attempts', async () => {
    start();
    const hold = await stage.hold();
    await delivered(1);
    receiver.replies.push(...Array.from({ length: 9 }, () => ({ status: 500 })));
    await vote(hold, 'deny');
    await settled();
    expect(receiver.got).toHaveLength(4);
    expect(webhook.status()).toMatchObject({ delivered: 1, dead: 1 });
  });

  test('410: nothing is sent any more', async () => {
    start();
    receiver.replies.push({ status: 410 });
    const hold = await stage.hold();
    await until(() => webhook.status().disabled, '410');
    await vote(hold, 'deny');
    await stage.hold('DROP TABLE b');
    await webhook.close();
    expect(receiver.got).toHaveLength(1);
  });

  test('nobody there: the hold does not notice, and the webhook says so', async () => {
    await receiver.close();
    start();
    const hold = await stage.hold();
    await until(() => logged.length > 0, 'the failure');
    expect(logged[0]).toContain('ECONNREFUSED');
    await vote(hold, 'approve');
    expect((await stage.store.get(hold.request.id))?.state).toBe('approved');
    await receiver.open();
  });
});

describe('closing', () => {
  test('lets what is under way arrive', async () => {
    start();
    await stage.hold();
    await webhook.close();
    expect(receiver.story()).toEqual(['hold.requested pending']);
    expect(webhook.status()).toMatchObject({ delivered: 1, dead: 0 });
  });

  test('does not wait for a receiver that hangs, nor for a retry', async () => {
    start({ schedule: { delaysMs: [0], everyMs: 3_600_000, closedAttempts: 3 } });
    receiver.replies.push('hang', { status: 500 });
    await stage.hold('DROP TABLE a');
    await until(() => receiver.got.length === 1, 'the first');
    await stage.hold('DROP TABLE b');
    await until(() => logged.length === 1, 'the failure of the second');
    await webhook.close(10);
    expect(webhook.status()).toMatchObject({ delivered: 0, dead: 2, waiting: 0 });
  });
});

describe('bad configuration', () => {
  test.each([
    'secret',
    'whsec_',
    'whsec_c2hvcnQ=',
    `whsec_${'!'.repeat(44)}`,
    `whsec_${Buffer.alloc(65).toString('base64')}`,
  ])('secret %s is refused and not repeated', (secret) => {
    let error: unknown;
    try {
      start({ secret });
    } catch (reason) {
      error = reason;
    }
    expect(error).toMatchObject({ code: 'config' });
    expect(error).toBeInstanceOf(CountersignError);
    if (secret.length > 6) expect(String(error)).not.toContain(secret.slice(6));
  });
});
