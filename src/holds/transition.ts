// The one script that writes holds in Redis. The machine has decided what comes next from a state it read; this makes
// that state's version, and the clock that all nodes share, the condition for writing it.

import type { Hold, HoldEvent } from './hold.ts';
import { dueMs, isFinal } from './machine.ts';
import { encodeEvent, encodeProgress, encodeRequest } from './stored.ts';

/*
 * Atomic: Redis runs one script at a time. Idempotent: every call carries an operation id that is stored with the hold;
 * a call whose reply was lost is sent again and told "done" without a second write, event or wake-up.
 *
 * A hash per hold:  request · progress · version · state · due (end of the request or of the grant, '' for none)
 *                   · binding · op:<operation> (the version which that operation made)
 * open: zset id → due, what a sweep has to look at   ·   index: zset id → time of request   ·   events: bounded stream
 *
 * Answers: done, or what stood against it: version (changed or there already), missing, early, late, binding.
 */
export const TRANSITION = `
local hold, open, index, events = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, op, channel = ARGV[1], ARGV[2], ARGV[3]
local from, to, state = ARGV[4], ARGV[5], ARGV[6]
local when, binding = ARGV[7], ARGV[8]
local progress, request, event = ARGV[9], ARGV[10], ARGV[11]
local due, requested_at = ARGV[12], ARGV[13]
local keep_ms, events_kept, index_kept = tonumber(ARGV[14]), ARGV[15], tonumber(ARGV[16])

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local field = 'op:' .. op
if redis.call('HEXISTS', hold, field) == 1 then return 'done' end

local stored = redis.call('HMGET', hold, 'version', 'state', 'due', 'binding')
if from == '0' then
  if stored[1] then return 'version' end
else
  if not stored[1] then return 'missing' end
  if stored[1] ~= from then return 'version' end
  local old_due = tonumber(stored[3])
  if when == 'before due' and (not old_due or now >= old_due) then return 'late' end
  if when == 'after due' and (not old_due or now < old_due) then return 'early' end
  if binding ~= '' and binding ~= stored[4] then return 'binding' end
end

if from == '0' then
  redis.call('HSET', hold, 'request', request, 'binding', binding)
  redis.call('ZADD', index, requested_at, id)
  redis.call('ZREMRANGEBYSCORE', index, '-inf', '(' .. string.format('%.0f', now - keep_ms))
  redis.call('ZREMRANGEBYRANK', index, 0, -1 - index_kept)
end
redis.call('HSET', hold, 'version', to, 'state', state, 'progress', progress, 'due', due, field, to)
local left_ms = 0
if due == '' then
  redis.call('ZREM', open, id)
else
  redis.call('ZADD', open, due, id)
  left_ms = math.max(0, tonumber(due) - now)
end
redis.call('PEXPIRE', hold, string.format('%.0f', keep_ms + left_ms))
redis.call('XADD', events, 'MAXLEN', '~', events_kept, '*', 'id', id, 'progress', progress, 'event', event)
redis.call('PUBLISH', channel, id)
return 'done'
`;

export type TransitionAnswer = 'done' | 'version' | 'missing' | 'early' | 'late' | 'binding';
const ANSWERS: readonly string[] = [
  'done',
  'version',
  'missing',
  'early',
  'late',
  'binding',
] satisfies TransitionAnswer[];

/** Events kept in the stream: enough for a node that was away for minutes, of no use to one that was away for days. */
const EVENTS_KEPT = 10_000;
/** Holds that can be listed, newest first to stay. */
const INDEX_KEPT = 10_000;
/** How long a hold that has ended can be looked up… */
const KEEP_MS = 7 * 24 * 60 * 60 * 1000;
/** …and one whose statement is so long that a few thousand of it would fill the server. */
const KEEP_LARGE_MS = 60 * 60 * 1000;
const LARGE_CHARACTERS = 64 * 1024;

/** How each event depends on the clock. The machine checked it against the time of reading, the script at writing. */
const WHEN = {
  vote: 'before due',
  consume: 'before due',
  expire: 'after due',
  lapse: 'after due',
  withdraw: '',
  revoke: '',
  outcome: '',
} as const satisfies Record<HoldEvent['type'], 'before due' | 'after due' | ''>;

/** The script's ARGV for writing `next` over the version before it. `event` null: `next` is a new hold. */
export function transitionArguments(
  op: string,
  channel: string,
  next: Hold,
  event: HoldEvent | null,
): string[] {
  const { request } = next;
  const encodedRequest = encodeRequest(request);
  const large = encodedRequest.length > LARGE_CHARACTERS && isFinal(next.state);
  return [
    request.id,
    op,
    channel,
    String(next.version - 1),
    String(next.version),
    next.state,
    event === null ? '' : WHEN[event.type],
    event === null ? request.binding : event.type === 'consume' ? event.binding : '',
    encodeProgress(next),
    event === null ? encodedRequest : '',
    encodeEvent(event),
    String(dueMs(next) ?? ''),
    String(request.requestedAtMs),
    String(large ? KEEP_LARGE_MS : KEEP_MS),
    String(EVENTS_KEPT),
    String(INDEX_KEPT),
  ];
}

/** null: not an answer of this script. */
export function parseTransitionAnswer(reply: unknown): TransitionAnswer | null {
  return typeof reply === 'string' && ANSWERS.includes(reply) ? (reply as TransitionAnswer) : null;
}
