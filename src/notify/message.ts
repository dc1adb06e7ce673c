// What a webhook says of a hold: `{ type, timestamp, data }` as Standard Webhooks has it, always under 20 KB.
import { formatTime } from '../base/clock.ts';
import { holdDocument } from '../holds/document.ts';
import type { Hold } from '../holds/hold.ts';

export type WebhookEvent = 'hold.requested' | 'hold.closed';

export interface WebhookMessage {
  /** The same for the same event of the same hold, whoever sends it and how often: receivers drop doubles by it. */
  readonly id: string;
  readonly type: WebhookEvent;
  readonly body: string;
}

/** Standard Webhooks advises receivers to accept 20 KB; many accept no more. */
const MAX_BODY_BYTES = 20_000;

export function webhookMessage(type: WebhookEvent, hold: Hold, publicUrl: string): WebhookMessage {
  const { request } = hold;
  const atMs = type === 'hold.closed' ? (hold.closedAtMs ?? request.requestedAtMs) : request.requestedAtMs;
  const url = `${publicUrl}/v1/holds/${request.id}`;
  const encode = (document: object): string =>
    JSON.stringify({ type, timestamp: formatTime(atMs), data: { ...document, url } });
  // The specification joins id, time and body with full stops, so the id has none.
  return { id: `msg_${request.id}_${type.slice('hold.'.length)}`, type, body: shortEnough(hold, encode) };
}

function shortEnough(hold: Hold, encode: (document: object) => string): string {
  const fits = (body: string): boolean => Buffer.byteLength(body) < MAX_BODY_BYTES;
  let body = encode(holdDocument(hold));
  // JSON escapes may make six bytes of one, so the room for the statement is found by trying.
  for (let room = MAX_BODY_BYTES; !fits(body) && room >= 1000; room *= 0.7) {
    body = encode(holdDocument(hold, { statementBytes: Math.floor(room) }));
  }
  // Then something else is huge: names, a purpose, reasons. An agent must not silence its own alarm by that.
  for (let room = 300; !fits(body); room /= 2) {
    const shortened = clamp(holdDocument(hold, { statementBytes: room * 10 }), Math.ceil(room));
    body = encode({ ...shortened, statement: { ...shortened.statement, truncated: true } });
  }
  return body;
}

/** Cuts every long text and list. Hashes, ids and times are shorter than any room asked for until little is left. */
function clamp<T>(value: T, room: number): T;
function clamp(value: unknown, room: number): unknown {
  if (typeof value === 'string')
    return value.length <= room ? value : value.slice(0, room).replace(/[\ud800-\udbff]$/, '');
  if (Array.isArray(value)) return value.slice(0, Math.ceil(room / 15)).map((item) => clamp(item, room));
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, clamp(member, room)]));
  }
  return value;
}
