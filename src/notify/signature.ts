// Standard Webhooks 1.0: the secret's form and the signature over `id.timestamp.body`.
import { createHmac } from 'node:crypto';
import { CountersignError } from '../base/errors.ts';

const PREFIX = 'whsec_';
/** The specification asks for 24 to 64 bytes. */
const MIN_BYTES = 24;
const MAX_BYTES = 64;

/** The key behind `whsec_<base64>`. The error never repeats the secret. */
export function parseSecret(secret: string): Buffer {
  const encoded = secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : '';
  const key = Buffer.from(encoded, 'base64');
  const canonical = key.toString('base64').replace(/=+$/, '') === encoded.replace(/=+$/, '');
  if (!canonical || key.length < MIN_BYTES || key.length > MAX_BYTES) {
    throw new CountersignError(
      'config',
      `a webhook secret is ${PREFIX} and the base64 of ${MIN_BYTES} to ${MAX_BYTES} random bytes`,
      { hint: `make one with: echo "${PREFIX}$(openssl rand -base64 32)"` },
    );
  }
  return key;
}

/** The headers that prove `body` to a receiver. `id` stays the same over retries, the time is the attempt's own. */
export function signatureHeaders(
  key: Buffer,
  id: string,
  nowMs: number,
  body: string,
): Readonly<Record<string, string>> {
  const timestamp = String(Math.floor(nowMs / 1000));
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` };
}
