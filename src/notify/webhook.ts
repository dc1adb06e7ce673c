// The generic webhook: tells one receiver of every hold of this node that was requested, and how it ended.
// At least once while the process lives, in order per hold, and never in the way: no hold waits for a webhook.
import type { Clock } from '../base/clock.ts';
import type { Hold, HoldEvent, HoldStore } from '../holds/hold.ts';
import { isFinal } from '../holds/machine.ts';
import { deliver } from './delivery.ts';
import { openDestination, type Resolve } from './destination.ts';
import { type WebhookEvent, webhookMessage } from './message.ts';
import { type NotifyLogger, Outbox, type OutboxStatus, type RetrySchedule } from './outbox.ts';
import { parseSecret } from './signature.ts';

export interface WebhookOptions {
  readonly url: string;
  /** `whsec_<base64>` */
  readonly secret: string;
  readonly store: HoldStore;
  /** Every node sees every change; each speaks for the holds of its own sessions. */
  readonly node: string;
  readonly publicUrl: string;
  readonly clock: Clock;
  /** Allows http and addresses that are not public: for a receiver on the operator's own network. */
  readonly allowPrivate?: boolean;
  readonly logger?: NotifyLogger;
  readonly schedule?: RetrySchedule;
  readonly timeoutMs?: number;
  readonly resolve?: Resolve;
}

export interface Webhook {
  status(): OutboxStatus;
  /** Takes no more, gives what can go out now `graceMs` to do so, then stops. */
  close(graceMs?: number): Promise<void>;
}

const SCHEDULE: RetrySchedule = {
  delaysMs: [0, 2_000, 5_000, 15_000, 60_000],
  everyMs: 300_000,
  closedAttempts: 12, // About 35 minutes.
};
const TIMEOUT_MS = 15_000;
const GRACE_MS = 2_000;

/** Throws CountersignError `config` for a URL or secret that cannot be right. After that nothing here throws. */
export function startWebhook(options: WebhookOptions): Webhook {
  const { clock, node, store } = options;
  const key = parseSecret(options.secret);
  const destination = openDestination({ ...options, allowPrivate: options.allowPrivate ?? false });
  const publicUrl = options.publicUrl.replace(/\/+$/, '');
  const logger = options.logger ?? { warn: () => {}, error: () => {} };
  const stopping = new AbortController();

  const outbox = new Outbox(
    (message) =>
      deliver(destination, key, message, {
        nowMs: clock.nowMs(),
        timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
        signal: stopping.signal,
      }),
    options.schedule ?? SCHEDULE,
    // Which receiver it is, without the path, which often carries a secret.
    {
      warn: (particulars, text) => logger.warn({ webhook: destination.name, ...particulars }, text),
      error: (particulars, text) => logger.error({ webhook: destination.name, ...particulars }, text),
    },
  );

  const unsubscribe = store.onChange(({ hold, event }) => {
    if (hold.request.node !== node) return;
    const type = eventType(hold, event);
    if (type === null) return;
    try {
      outbox.add(hold.request.id, webhookMessage(type, hold, publicUrl));
    } catch (err) {
      logger.error({ err, hold: hold.request.id }, 'webhook: could not write the message');
    }
  });

  return {
    status: () => outbox.status(),
    async close(graceMs = GRACE_MS) {
      unsubscribe();
      await outbox.close(graceMs);
      stopping.abort();
      await destination.agent.destroy();
    },
  };
}

function eventType(hold: Hold, event: HoldEvent | null): WebhookEvent | null {
  if (event === null) return 'hold.requested';
  return isFinal(hold.state) ? 'hold.closed' : null;
}
