// The retry schedule and the limit on what is kept, with time in the test's own hands.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { newHoldId } from '../../src/base/ids.ts';
import type { Attempt } from '../../src/notify/delivery.ts';
import type { WebhookMessage } from '../../src/notify/message.ts';
import { Outbox } from '../../src/notify/outbox.ts';

const FAILED: Attempt = { result: 'failed', because: 'status 500', retryAfterMs: 0 };
const SCHEDULE = { delaysMs: [0, 2_000, 5_000, 15_000, 60_000], everyMs: 300_000, closedAttempts: 3 };
const silent = { warn: () => {}, error: () => {} };

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function message(type: WebhookMessage['type'], id = 'msg_1'): WebhookMessage {
  return { id: `${id}_${type}`, type, body: '{}' };
}

test('each attempt comes when the schedule says, then for ever at the last interval', async () => {
  const startMs = Date.now();
  const attemptsMs: number[] = [];
  const outbox = new Outbox(
    async () => {
      attemptsMs.push(Date.now() - startMs);
      return FAILED;
    },
    SCHEDULE,
    silent,
  );
  outbox.add(newHoldId(), message('hold.requested'));
  await vi.advanceTimersByTimeAsync(700_000);
  expect(attemptsMs).toEqual([0, 2_000, 7_000, 22_000, 82_000, 382_000, 682_000]);
  await outbox.close(0);
});

test('Retry-After counts when it is later than the schedule, not when it is sooner', async () => {
  const startMs = Date.now();
  const attemptsMs: number[] = [];
  const asked = [10_000, 1_000];
  const outbox = new Outbox(
    async () => {
      attemptsMs.push(Date.now() - startMs);
      const retryAfterMs = asked.shift();
      return retryAfterMs === undefined ? { result: 'delivered' } : { ...FAILED, retryAfterMs };
    },
    SCHEDULE,
    silent,
  );
  outbox.add(newHoldId(), message('hold.requested'));
  await vi.advanceTimersByTimeAsync(60_000);
  expect(attemptsMs).toEqual([0, 10_000, 15_000]);
});

test('the same message told twice is sent once', async () => {
  let sent = 0;
  const outbox = new Outbox(
    async () => {
      sent++;
      return { result: 'delivered' };
    },
    SCHEDULE,
    silent,
  );
  const id = newHoldId();
  outbox.add(id, message('hold.closed'));
  outbox.add(id, message('hold.closed'));
  await vi.advanceTimersByTimeAsync(1);
  expect(sent).toBe(1);
});

test('a few at a time, and no more kept than there is room for', async () => {
  let sending = 0;
  const answers: (() => void)[] = [];
  const outbox = new Outbox(
    () => {
      sending++;
      return new Promise((resolve) => answers.push(() => resolve({ result: 'delivered' })));
    },
    SCHEDULE,
    silent,
  );
  for (let i = 0; i < 2_005; i++) outbox.add(newHoldId(), message('hold.requested', `msg_${i}`));
  expect(sending).toBe(8);
  expect(outbox.status()).toMatchObject({ waiting: 2_000, dead: 5 });
  while (answers.length > 0) {
    answers.shift()?.();
    await vi.advanceTimersByTimeAsync(0);
  }
  expect(outbox.status()).toMatchObject({ delivered: 2_000, waiting: 0 });
});
