// One attempt to deliver one message: what went out, and what the receiver made of it. Never throws.
import { request } from 'undici';
import type { Destination } from './destination.ts';
import type { WebhookMessage } from './message.ts';
import { signatureHeaders } from './signature.ts';

export type Attempt =
  | { readonly result: 'delivered' }
  /** 410: the receiver wants no more, ever. */
  | { readonly result: 'gone' }
  /** `retryAfterMs`: what the receiver asked for, 0 when it did not. */
  | { readonly result: 'failed'; readonly because: string; readonly retryAfterMs: number };

/** A receiver may ask us to wait, but not to forget. */
const MAX_RETRY_AFTER_MS = 3_600_000;

export async function deliver(
  destination: Destination,
  key: Buffer,
  message: WebhookMessage,
  attempt: { readonly nowMs: number; readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<Attempt> {
  try {
    const response = await request(destination.url, {
      method: 'POST',
      dispatcher: destination.agent,
      headers: {
        'content-type': 'application/json',
        'user-agent': 'countersign-webhook/1',
        ...signatureHeaders(key, message.id, attempt.nowMs, message.body),
      },
      body: message.body,
      signal: AbortSignal.any([attempt.signal, AbortSignal.timeout(attempt.timeoutMs)]),
    });
    // Read so that the connection can be used again; what it says is of no interest.
    await response.body.dump({ limit: 65_536 }).catch(() => {});
    const { statusCode } = response;
    if (statusCode >= 200 && statusCode < 300) return { result: 'delivered' };
    if (statusCode === 410) return { result: 'gone' };
    // undici's request() follows no redirect: a 3xx ends here, as a failure like any other.
    const retryAfterMs = retryAfter(response.headers['retry-after'], attempt.nowMs);
    return { result: 'failed', because: `status ${statusCode}`, retryAfterMs };
  } catch (error) {
    return { result: 'failed', because: reasonOf(error), retryAfterMs: 0 };
  }
}

/** RFC 9110 section 10.2.3: seconds, or a date. */
function retryAfter(header: string | string[] | undefined, nowMs: number): number {
  if (typeof header !== 'string') return 0;
  const askedMs = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - nowMs;
  return Number.isFinite(askedMs) ? Math.min(Math.max(0, askedMs), MAX_RETRY_AFTER_MS) : 0;
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  if (error.name === 'TimeoutError') return 'no answer in time';
  // Several addresses were tried: the first failure stands for all.
  const first = error instanceof AggregateError ? error.errors[0] : error;
  const { code, message } =
    first instanceof Error ? (first as NodeJS.ErrnoException) : (error as NodeJS.ErrnoException);
  return code ?? message;
}
