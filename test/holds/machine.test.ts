import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  HOLD_STATES,
  type Hold,
  type HoldEvent,
  type HoldState,
  type Refusal,
} from '../../src/holds/hold.ts';
import { dueMs, hasQuorum, isFinal, isOpen, newHold, step } from '../../src/holds/machine.ts';
import { approval, BINDING, consumption, denial, must, request, voteBy } from './sample.ts';

const NOW = 1_000_000;
const DEADLINE = NOW + 60_000;

const pending = newHold(request());
const granted = must(step(pending, approval(pending), NOW));
const consumed = must(step(granted, consumption, NOW));

const withdrawal: HoldEvent = { type: 'withdraw', because: 'client disconnected' };
const revocation: HoldEvent = { type: 'revoke', by: 'dba@example.com', reason: 'wrong table' };
const outcome = (state: 'executed' | 'failed' | 'unknown'): HoldEvent => ({ type: 'outcome', state });

/** One hold in every state, reached by the machine itself. */
const inState: Record<HoldState, Hold> = {
  pending,
  approved: granted,
  consumed,
  denied: must(step(pending, denial(pending), NOW)),
  expired: must(step(pending, { type: 'expire' }, DEADLINE)),
  withdrawn: must(step(pending, withdrawal, NOW)),
  lapsed: must(step(granted, { type: 'lapse' }, NOW + 60_000)),
  revoked: must(step(granted, revocation, NOW)),
  executed: must(step(consumed, outcome('executed'), NOW)),
  failed: must(step(consumed, outcome('failed'), NOW)),
  unknown: must(step(consumed, outcome('unknown'), NOW)),
};

function refusal(hold: Hold, event: HoldEvent, nowMs = NOW): Refusal | null {
  const result = step(hold, event, nowMs);
  if (!result.ok) expect(result.hold).toBe(hold);
  return result.ok ? null : result.refusal;
}

describe('moves', () => {
  const legal: Partial<Record<HoldState, Record<string, HoldState>>> = {
    pending: { approve: 'approved', deny: 'denied', withdraw: 'withdrawn', expire: 'expired' },
    approved: { withdraw: 'withdrawn', consume: 'consumed', lapse: 'lapsed', revoke: 'revoked' },
    consumed: { executed: 'executed', failed: 'failed', unknown: 'unknown' },
  };
  const events: Record<string, (hold: Hold) => [HoldEvent, number]> = {
    approve: (hold) => [approval(hold, 'second@example.com'), NOW],
    deny: (hold) => [denial(hold), NOW],
    withdraw: () => [withdrawal, NOW],
    expire: () => [{ type: 'expire' }, DEADLINE],
    consume: () => [consumption, NOW],
    lapse: () => [{ type: 'lapse' }, NOW + 60_000],
    revoke: () => [revocation, NOW],
    executed: () => [outcome('executed'), NOW],
    failed: () => [outcome('failed'), NOW],
    unknown: () => [outcome('unknown'), NOW],
  };

  it.each(HOLD_STATES)('from %s', (state) => {
    const hold = inState[state];
    expect(hold.state).toBe(state);
    for (const [name, make] of Object.entries(events)) {
      const result = step(hold, ...make(hold));
      const expected = legal[state]?.[name];
      if (expected === undefined) {
        expect(result, `${state} + ${name}`).toMatchObject({ ok: false, refusal: 'decided', hold });
      } else {
        expect(result, `${state} + ${name}`).toMatchObject({
          ok: true,
          hold: { state: expected, version: hold.version + 1 },
        });
      }
    }
  });

  it('knows what is open, what is final, and what the clock ends', () => {
    expect(HOLD_STATES.filter(isOpen)).toEqual(['pending', 'approved']);
    expect(HOLD_STATES.filter((state) => !isFinal(state))).toEqual(['pending', 'approved', 'consumed']);
    expect(dueMs(pending)).toBe(DEADLINE);
    expect(dueMs(granted)).toBe(NOW + 60_000);
    expect(dueMs(consumed)).toBeNull();
  });

  it('says when and why a hold ended', () => {
    expect(inState.denied).toMatchObject({
      closedAtMs: NOW,
      closedBecause: 'denied by dba@example.com: not today',
    });
    expect(inState.withdrawn).toMatchObject({ closedAtMs: NOW, closedBecause: 'client disconnected' });
    expect(inState.revoked.closedBecause).toBe('revoked by dba@example.com: wrong table');
    for (const state of HOLD_STATES) {
      const { closedAtMs, closedBecause } = inState[state];
      expect([closedAtMs !== null, closedBecause !== null]).toEqual([isFinal(state), isFinal(state)]);
    }
  });
});

describe('time', () => {
  it('lets nobody vote from the deadline on, nor expire before it', () => {
    expect(refusal(pending, approval(pending), DEADLINE - 1)).toBeNull();
    expect(refusal(pending, approval(pending), DEADLINE)).toBe('expired');
    expect(refusal(pending, { type: 'expire' }, DEADLINE - 1)).toBe('bad_request');
    expect(refusal(pending, { type: 'expire' }, DEADLINE)).toBeNull();
  });

  it('counts the grant from the approval', () => {
    const late = must(step(pending, approval(pending), DEADLINE - 1));
    expect(late.grantUntilMs).toBe(DEADLINE - 1 + 60_000);
    expect(refusal(late, consumption, DEADLINE + 59_998)).toBeNull();
    expect(refusal(late, consumption, DEADLINE + 59_999)).toBe('expired');
    expect(refusal(late, { type: 'lapse' }, DEADLINE + 59_998)).toBe('bad_request');
    expect(refusal(late, { type: 'lapse' }, DEADLINE + 59_999)).toBeNull();
  });
});

describe('who may vote', () => {
  it.each([
    'alice@example.com',
    ' ALICE@example.com ',
    'Reporting-Bot',
    'owner@example.com\t',
    // Full-width letters, which look alike and are folded alike by some identity providers.
    'ａlice@example.com',
  ])('nobody decides their own: %j', (voter) => {
    expect(refusal(pending, approval(pending, voter))).toBe('self_approval');
    expect(refusal(pending, denial(pending, voter))).toBe('self_approval');
  });

  it('only the groups that the rule names', () => {
    const hold = newHold(request({ approvals: { groups: ['dba', 'security'] } }));
    expect(refusal(hold, approval(hold, 'a@example.com', { groups: ['dev'] }))).toBe('not_an_approver');
    expect(refusal(hold, approval(hold, 'a@example.com', { groups: [] }))).toBe('not_an_approver');
    expect(refusal(hold, approval(hold, 'a@example.com', { groups: ['dev', 'security'] }))).toBeNull();
    const open = newHold(request());
    expect(refusal(open, approval(open, 'a@example.com', { groups: [] }))).toBeNull();
  });

  it('nobody without a name', () => {
    expect(refusal(pending, approval(pending, ' \t'))).toBe('bad_request');
  });

  it('a person once, whatever the spelling', () => {
    const hold = newHold(request({ approvals: { count: 2 } }));
    const once = must(step(hold, approval(hold, 'bob@example.com'), NOW));
    expect(once.state).toBe('pending');
    expect(refusal(once, approval(once, 'Bob@Example.com '))).toBe('decided');
    const twice = must(step(once, approval(once, 'carol@example.com'), NOW));
    expect(twice.state).toBe('approved');
  });

  it('a person who said yes can still say no', () => {
    const hold = newHold(request({ approvals: { count: 2 } }));
    const once = must(step(hold, approval(hold, 'bob@example.com'), NOW));
    const no = must(step(once, denial(once, 'bob@example.com'), NOW));
    expect(no.state).toBe('denied');
    expect(no.votes.map((vote) => vote.decision)).toEqual(['approve', 'deny']);
  });
});

describe('what a vote must say', () => {
  it('the statement and the version that were shown', () => {
    const vote = approval(pending) as HoldEvent & { type: 'vote' };
    expect(refusal(pending, { ...vote, statementSha256: 'c'.repeat(64) })).toBe('stale');
    expect(refusal(pending, { ...vote, version: 0 })).toBe('stale');
    expect(refusal(pending, { ...vote, version: 2 })).toBe('stale');
  });

  it.each([null, '', '  ', '-', '…', '!?', '\u200b'])(
    'a denial needs a reason in words: not %j',
    (reason) => {
      expect(refusal(pending, denial(pending, 'bob@example.com', reason))).toBe('bad_request');
      const strict = newHold(request({ approvals: { reasonRequired: true } }));
      expect(refusal(strict, approval(strict, 'bob@example.com', { reason }))).toBe('bad_request');
      expect(refusal(pending, approval(pending, 'bob@example.com', { reason }))).toBeNull();
    },
  );

  it.each(['no', 'нет', '不可', '2'])('a reason is a reason in any script: %s', (reason) => {
    expect(refusal(pending, denial(pending, 'bob@example.com', reason))).toBeNull();
  });

  it('a revocation says who and why', () => {
    expect(refusal(granted, { type: 'revoke', by: ' ', reason: 'wrong' })).toBe('bad_request');
    expect(refusal(granted, { type: 'revoke', by: 'bob', reason: '--' })).toBe('bad_request');
  });
});

describe('consuming', () => {
  it.each(['b'.repeat(63), `${'b'.repeat(63)}c`, `${BINDING}b`, '', 'ß'.repeat(64)])(
    'needs the very binding: not %j',
    (binding) => {
      expect(refusal(granted, { type: 'consume', binding })).toBe('stale');
    },
  );

  it('never by an empty binding', () => {
    const hold = newHold(request({ binding: '' }));
    const yes = must(step(hold, approval(hold), NOW));
    expect(refusal(yes, { type: 'consume', binding: '' })).toBe('stale');
  });
});

it('asks for one approver even where the rule asks for none', () => {
  expect(hasQuorum(request({ approvals: { count: 0 } }), [])).toBe(false);
});

it('does not count requesters, strangers to the group, or anything after a no', () => {
  const asked = request({ approvals: { count: 1, groups: ['dba'] } });
  expect(hasQuorum(asked, [voteBy('bob@example.com')])).toBe(true);
  expect(hasQuorum(asked, [voteBy('alice@example.com')])).toBe(false);
  expect(hasQuorum(asked, [voteBy('bob@example.com', { groups: ['dev'] })])).toBe(false);
  expect(
    hasQuorum(asked, [voteBy('bob@example.com'), voteBy('carol@example.com', { decision: 'deny' })]),
  ).toBe(false);
});

describe('any sequence of events', () => {
  const people = [
    'alice@example.com',
    'bob@example.com',
    ' BOB@example.com',
    'carol@example.com',
    'dave@example.com',
  ];
  type Move = { readonly event: (hold: Hold) => HoldEvent; readonly waitMs: number };
  const plain = fc.constantFrom<HoldEvent>(
    { type: 'expire' },
    { type: 'lapse' },
    withdrawal,
    revocation,
    consumption,
    { type: 'consume', binding: 'x' },
    outcome('executed'),
    outcome('failed'),
    outcome('unknown'),
  );
  // Mostly votes, and mostly sound ones: else hardly any sequence gets past the first state.
  const voting = fc
    .record({
      voter: fc.constantFrom(...people),
      groups: fc.constantFrom(['dba'], ['dba'], ['dev']),
      decision: fc.constantFrom('approve' as const, 'approve' as const, 'approve' as const, 'deny' as const),
      reason: fc.constantFrom('because', 'because', null),
      behind: fc.constantFrom(0, 0, 0, 1),
    })
    .map(({ voter, behind, ...changes }) => (hold: Hold): HoldEvent => {
      const event = approval(hold, voter, changes) as HoldEvent & { type: 'vote' };
      return { ...event, version: hold.version - behind };
    });
  const moves: fc.Arbitrary<Move[]> = fc.array(
    fc.record({
      event: fc.oneof(
        { weight: 1, arbitrary: voting },
        { weight: 1, arbitrary: plain.map((event) => () => event) },
      ),
      waitMs: fc.constantFrom(0, 0, 0, 1_000, 30_000, 61_000),
    }),
    { maxLength: 30 },
  );

  // The first seed is one whose sequences are known to go everywhere, else they might prove nothing.
  it.each([
    { seed: 1, everywhere: true },
    { seed: undefined, everywhere: false },
  ])('is legal, counts up, consumes once, and stays ended (seed $seed)', ({ seed, everywhere }) => {
    const reached = new Set<HoldState>();
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3 }), moves, (count, sequence) => {
        let hold = newHold(request({ approvals: { count, groups: ['dba'] } }));
        let nowMs = NOW;
        let consumptions = 0;
        for (const { event: make, waitMs } of sequence) {
          nowMs += waitMs;
          const before = structuredClone(hold);
          const event = make(hold);
          const result = step(hold, event, nowMs);
          // Pure: whatever comes out, what went in is as it was.
          expect(hold).toEqual(before);
          if (!result.ok) {
            expect(result.hold).toBe(hold);
            continue;
          }
          const next = result.hold;
          expect(isFinal(hold.state)).toBe(false);
          expect(next.version).toBe(hold.version + 1);
          expect(next.request).toBe(hold.request);
          expect(next.votes.slice(0, hold.votes.length)).toEqual(hold.votes);
          if (event.type === 'vote') expect(nowMs).toBeLessThan(DEADLINE);
          if (next.state === 'approved') {
            const yes = new Set(next.votes.map((vote) => vote.voter.trim().toLowerCase()));
            expect(yes.size).toBeGreaterThanOrEqual(Math.max(1, count));
            expect(yes).not.toContain('alice@example.com');
            expect(
              next.votes.every((vote) => vote.decision === 'approve' && vote.groups.includes('dba')),
            ).toBe(true);
          }
          if (next.state === 'consumed') {
            consumptions++;
            expect(hold.state).toBe('approved');
            expect(nowMs).toBeLessThan(hold.grantUntilMs ?? 0);
          }
          if (['executed', 'failed', 'unknown'].includes(next.state)) expect(consumptions).toBe(1);
          hold = next;
          reached.add(hold.state);
        }
        expect(consumptions).toBeLessThanOrEqual(1);
      }),
      { numRuns: 3_000, ...(seed === undefined ? {} : { seed }) },
    );
    if (everywhere) expect([...reached].sort()).toEqual([...HOLD_STATES].sort());
  });
});
