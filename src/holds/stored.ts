// A hold as it lies in Redis, and back. Redis is shared and anybody with its password can write there, so what comes
// out is checked like a stranger's input: a hold that could not have come about by the machine is not a hold.
import { z } from 'zod';
import { CountersignError } from '../base/errors.ts';
import { type HoldId, parseHoldId, type SessionId } from '../base/ids.ts';
import { STATEMENT_CLASSES } from '../sql/facts.ts';
import { HOLD_STATES, type Hold, type HoldEvent, type HoldRequest, type Vote } from './hold.ts';
import { hasQuorum, isFinal } from './machine.ts';
import { impactShape } from './stored-impact.ts';

const timeMs = z.int().nonnegative();
const names = z.array(z.string());

const requestShape: z.ZodType<HoldRequest> = z.strictObject({
  id: z.custom<HoldId>((value) => typeof value === 'string' && parseHoldId(value) !== null),
  node: z.string(),
  session: z.custom<SessionId>((value) => typeof value === 'string' && value !== ''),
  agent: z.string(),
  owner: z.string(),
  onBehalfOf: names,
  requesters: names,
  authenticatedBy: z.string(),
  clientAddress: z.string(),
  claimed: z.strictObject({ applicationName: z.string(), purpose: z.string() }),
  database: z.string(),
  role: z.string(),
  inTransaction: z.boolean(),
  statement: z.strictObject({
    text: z.string(),
    sha256: z.string(),
    tags: names,
    classes: z.array(z.enum(STATEMENT_CLASSES)),
    relations: z.array(
      z.strictObject({
        schema: z.string().nullable(),
        name: z.string(),
        use: z.enum(['read', 'insert', 'update', 'delete', 'define', 'lock']),
      }),
    ),
    reasons: names,
    parameters: z.array(z.string().nullable()).nullable(),
  }),
  impact: z.array(impactShape),
  rule: z.strictObject({
    name: z.string(),
    message: z.string().nullable(),
    contact: z.string().nullable(),
    hash: z.string(),
  }),
  approvals: z.strictObject({ count: z.int().nonnegative(), groups: names, reasonRequired: z.boolean() }),
  binding: z.string(),
  requestedAtMs: timeMs,
  deadlineMs: timeMs,
  grantMs: timeMs,
});

const voteShape: z.ZodType<Vote> = z.strictObject({
  voter: z.string(),
  groups: names,
  decision: z.enum(['approve', 'deny']),
  reason: z.string().nullable(),
  atMs: timeMs,
  channel: z.string(),
});

/** Something lies where a hold should, and is none. It cannot be decided, consumed or shown; it can only run out. */
export class DamagedHold extends CountersignError {
  constructor() {
    super(
      'approvals_unavailable',
      'approvals are unavailable: what the hold store keeps there is not a hold',
    );
  }
}

/** The part of a hold that changes; the request never does, and is written once. */
type Progress = Omit<Hold, 'request'>;

const progressShape: z.ZodType<Progress> = z.strictObject({
  version: z.int().positive(),
  state: z.enum(HOLD_STATES),
  votes: z.array(voteShape),
  grantUntilMs: timeMs.nullable(),
  closedAtMs: timeMs.nullable(),
  closedBecause: z.string().nullable(),
});

const eventShape: z.ZodType<HoldEvent> = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('vote'),
    vote: voteShape,
    statementSha256: z.string(),
    version: z.int(),
  }),
  z.strictObject({
    type: z.literal('withdraw'),
    because: z.enum(['client cancelled', 'client disconnected', 'upstream lost', 'requester', 'shutdown']),
  }),
  z.strictObject({ type: z.literal('expire') }),
  z.strictObject({ type: z.literal('consume'), binding: z.string() }),
  z.strictObject({ type: z.literal('lapse') }),
  z.strictObject({ type: z.literal('revoke'), by: z.string(), reason: z.string() }),
  z.strictObject({ type: z.literal('outcome'), state: z.enum(['executed', 'failed', 'unknown']) }),
]);

export const encodeRequest = (request: HoldRequest): string => JSON.stringify(request);
export const encodeEvent = (event: HoldEvent | null): string => JSON.stringify(event);

export function encodeProgress({ request: _, ...progress }: Hold): string {
  return JSON.stringify(progress satisfies Progress);
}

/** The hold `id` from its two texts. Throws DamagedHold when they are none, or do not go together. */
export function parseHold(id: HoldId, request: string, progress: string): Hold {
  const asked = parseJson(requestShape, request);
  const reached = parseJson(progressShape, progress);
  if (asked === null || reached === null || asked.id !== id) throw new DamagedHold();
  const hold: Hold = { ...reached, request: asked };
  if (!isPossible(hold)) throw new DamagedHold();
  return hold;
}

/** An event of the stream; null: the hold was requested. Throws DamagedHold when it is no event. */
export function parseEvent(text: string): HoldEvent | null {
  const parsed = parseJson(z.strictObject({ event: eventShape.nullable() }), `{"event":${text}}`);
  if (parsed === null) throw new DamagedHold();
  return parsed.event;
}

/** No state without what leads to it: above all, nothing is approved without the votes for it. */
function isPossible(hold: Hold): boolean {
  const approved = hold.grantUntilMs !== null;
  if (approved !== hasQuorum(hold.request, hold.votes)) return false;
  if (isFinal(hold.state) !== (hold.closedAtMs !== null)) return false;
  switch (hold.state) {
    case 'approved':
    case 'consumed':
    case 'executed':
    case 'failed':
    case 'unknown':
    case 'lapsed':
    case 'revoked':
      return approved;
    case 'denied':
      return hold.votes.some((vote) => vote.decision === 'deny');
    case 'pending':
    case 'expired':
      return !approved;
    case 'withdrawn':
      return true;
    default:
      hold.state satisfies never;
      return false;
  }
}

function parseJson<T>(shape: z.ZodType<T>, text: string): T | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const result = shape.safeParse(value);
  return result.success ? result.data : null;
}
