// How a hold may change: one pure function and the table of legal moves. No I/O, no clock: the stores hand in the time
// and write what comes out. Whatever is not in MOVES does not compile.
import { timingSafeEqual } from 'node:crypto';
import type { Hold, HoldEvent, HoldRequest, HoldState, Refusal, StepResult, Vote } from './hold.ts';

/*
                 ┌─ one deny ───────────────► DENIED
 (new) ► PENDING ┼─ deadline ───────────────► EXPIRED
            │    └─ cancel / client gone ───► WITHDRAWN
            └─ quorum of distinct people ► APPROVED ┬─ consume ───► CONSUMED ► EXECUTED | FAILED | UNKNOWN
                                                    ├─ grant over ► LAPSED
                                                    ├─ withdraw ──► WITHDRAWN
                                                    └─ revoke ────► REVOKED
*/
const MOVES = {
  // To itself: a yes that is not yet enough. It raises the version, so the next voter must have seen it.
  pending: ['pending', 'approved', 'denied', 'expired', 'withdrawn'],
  approved: ['consumed', 'lapsed', 'withdrawn', 'revoked'],
  consumed: ['executed', 'failed', 'unknown'],
  denied: [],
  expired: [],
  withdrawn: [],
  lapsed: [],
  revoked: [],
  executed: [],
  failed: [],
  unknown: [],
} as const satisfies Record<HoldState, readonly HoldState[]>;

type InState<S extends HoldState> = Hold & { readonly state: S };
type MoveFrom<S extends HoldState> = (typeof MOVES)[S][number];

/** May still be decided or used. */
export const isOpen = (state: HoldState): boolean => state === 'pending' || state === 'approved';

/** Nothing can change it any more. CONSUMED is neither open nor final: its outcome is still to come. */
export const isFinal = (state: HoldState): boolean => MOVES[state].length === 0;

/** When the clock alone ends an open hold; null when it does not. */
export function dueMs(hold: Hold): number | null {
  if (hold.state === 'pending') return hold.request.deadlineMs;
  return hold.state === 'approved' ? hold.grantUntilMs : null;
}

/** The only way a hold comes to be: pending, at version 1. */
export function newHold(request: HoldRequest): Hold {
  return {
    version: 1,
    state: 'pending',
    request,
    votes: [],
    grantUntilMs: null,
    closedAtMs: null,
    closedBecause: null,
  };
}

/** What `event` makes of `hold` at `nowMs`: the next hold, its version one higher, or why not. Changes nothing. */
export function step(hold: Hold, event: HoldEvent, nowMs: number): StepResult {
  switch (event.type) {
    case 'vote':
      return inState(hold, 'pending') ? vote(hold, event, nowMs) : wrongState(hold);

    case 'withdraw': {
      const changes = closed(nowMs, event.because);
      if (inState(hold, 'pending')) return moved(hold, 'withdrawn', changes, event);
      return inState(hold, 'approved') ? moved(hold, 'withdrawn', changes, event) : wrongState(hold);
    }

    case 'expire':
      if (!inState(hold, 'pending')) return wrongState(hold);
      if (nowMs < hold.request.deadlineMs)
        return refused(hold, 'bad_request', 'its deadline has not passed yet');
      return moved(hold, 'expired', closed(nowMs, 'nobody decided in time'), event);

    case 'consume':
      if (!inState(hold, 'approved')) return wrongState(hold);
      if (grantIsOver(hold, nowMs)) return refused(hold, 'expired', 'the approval was not used in time');
      if (!sameBytes(event.binding, hold.request.binding)) {
        return refused(hold, 'stale', 'the approval is for another statement or another session');
      }
      return moved(hold, 'consumed', {}, event);

    case 'lapse':
      if (!inState(hold, 'approved')) return wrongState(hold);
      if (!grantIsOver(hold, nowMs)) return refused(hold, 'bad_request', 'the approval may still be used');
      return moved(hold, 'lapsed', closed(nowMs, 'the approval was not used in time'), event);

    case 'revoke':
      if (!inState(hold, 'approved')) return wrongState(hold);
      if (!saysSomething(event.by)) return refused(hold, 'bad_request', 'who revokes must be named');
      if (!saysSomething(event.reason))
        return refused(hold, 'bad_request', 'a revocation needs a reason in words');
      return moved(hold, 'revoked', closed(nowMs, `revoked by ${event.by}: ${event.reason.trim()}`), event);

    case 'outcome':
      if (!inState(hold, 'consumed')) return wrongState(hold);
      return moved(hold, event.state, closed(nowMs, OUTCOMES[event.state]), event);

    default:
      event satisfies never;
      return refused(hold, 'bad_request', 'no such event');
  }
}

const OUTCOMES = {
  executed: 'the server completed it',
  failed: 'the server reported an error',
  unknown: 'no outcome is known',
} as const;

/** What a vote does to a pending hold. Who may vote comes first, then what was seen, then what is said. */
function vote(hold: InState<'pending'>, event: HoldEvent & { type: 'vote' }, nowMs: number): StepResult {
  const { request } = hold;
  const cast = event.vote;
  if (nowMs >= request.deadlineMs) return refused(hold, 'expired', 'its deadline has passed');

  const name = personName(cast.voter);
  if (name === '') return refused(hold, 'bad_request', 'the voter must be named');
  if (isRequester(request, name)) return refused(hold, 'self_approval', 'nobody decides their own request');
  if (!mayVote(request, cast.groups)) {
    return refused(hold, 'not_an_approver', `only ${request.approvals.groups.join(' or ')} may decide this`);
  }
  // A person who said yes may still say no: the safe way stays open. A second yes never counts.
  if (cast.decision === 'approve' && hold.votes.some((earlier) => personName(earlier.voter) === name)) {
    return refused(hold, 'decided', `${cast.voter} has approved this already`);
  }

  if (event.statementSha256 !== request.statement.sha256) {
    return refused(hold, 'stale', 'the vote is for another statement');
  }
  if (event.version !== hold.version) {
    return refused(hold, 'stale', `the hold has changed since it was shown: version ${hold.version}`);
  }

  const needsReason = cast.decision === 'deny' || request.approvals.reasonRequired;
  if (needsReason && !saysSomething(cast.reason)) {
    return refused(hold, 'bad_request', `to ${cast.decision} this, give a reason in words`);
  }

  const votes = [...hold.votes, cast];
  if (cast.decision === 'deny') {
    return moved(
      hold,
      'denied',
      { votes, ...closed(nowMs, `denied by ${cast.voter}: ${(cast.reason ?? '').trim()}`) },
      event,
    );
  }
  if (!hasQuorum(request, votes)) return moved(hold, 'pending', { votes }, event);
  return moved(hold, 'approved', { votes, grantUntilMs: nowMs + request.grantMs }, event);
}

/** Enough distinct people, none of them a requester, said yes and nobody said no. */
export function hasQuorum(request: HoldRequest, votes: readonly Vote[]): boolean {
  const people = new Set<string>();
  for (const cast of votes) {
    if (cast.decision === 'deny') return false;
    const name = personName(cast.voter);
    if (name !== '' && !isRequester(request, name) && mayVote(request, cast.groups)) people.add(name);
  }
  // A rule that asks for no approver at all must not approve by itself.
  return people.size >= Math.max(1, request.approvals.count);
}

function mayVote(request: HoldRequest, groups: readonly string[]): boolean {
  const asked = request.approvals.groups;
  return asked.length === 0 || groups.some((group) => asked.includes(group));
}

function isRequester(request: HoldRequest, name: string): boolean {
  return request.requesters.some((requester) => personName(requester) === name);
}

/** One person under every spelling that an identity provider or a person at a keyboard may give. */
function personName(name: string): string {
  return name.normalize('NFKC').trim().toLowerCase();
}

/** A letter or a digit of any script: `-` and `…` are no reason. */
function saysSomething(text: string | null): boolean {
  return text !== null && /[\p{L}\p{N}]/u.test(text);
}

function grantIsOver(hold: InState<'approved'>, nowMs: number): boolean {
  // An approval without an end can only be damage: treat it as over.
  return hold.grantUntilMs === null || nowMs >= hold.grantUntilMs;
}

/** Equal, in a time that depends on the lengths only: the binding is a MAC. */
function sameBytes(offered: string, expected: string): boolean {
  const [left, right] = [Buffer.from(offered), Buffer.from(expected)];
  return right.length > 0 && left.length === right.length && timingSafeEqual(left, right);
}

function inState<S extends HoldState>(hold: Hold, state: S): hold is InState<S> {
  return hold.state === state;
}

type Changes = Partial<Pick<Hold, 'votes' | 'grantUntilMs' | 'closedAtMs' | 'closedBecause'>>;

function closed(nowMs: number, because: string): Changes {
  return { closedAtMs: nowMs, closedBecause: because };
}

function moved<S extends HoldState>(
  hold: InState<S>,
  to: MoveFrom<S>,
  changes: Changes,
  event: HoldEvent,
): StepResult {
  return { ok: true, hold: { ...hold, ...changes, state: to, version: hold.version + 1 }, event };
}

function wrongState(hold: Hold): StepResult {
  return refused(hold, 'decided', `the hold is ${hold.state}`);
}

function refused(hold: Hold, refusal: Refusal, message: string): StepResult {
  return { ok: false, refusal, message, hold };
}
