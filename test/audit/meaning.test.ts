import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/audit/canonical.ts';
import { Meaning } from '../../src/audit/meaning.ts';
import type { IntentFields, RecordDraft } from '../../src/audit/record.ts';
import type { HoldId, SessionId } from '../../src/base/ids.ts';
import { close, encoded, HOLD, hold, intent, open, outcome, VOTE, WHO } from './drafts.ts';

const STARTED: RecordDraft = { type: 'started', version: '0.1.0' };

function takeInto(meaning: Meaning, draft: RecordDraft, seq: number): readonly string[] {
  const { leaf, opening } = encoded(draft, { seq, node: 'n', epoch: 1, timeMs: 0, monoUs: 0 });
  return meaning.take(JSON.parse(leaf) as JsonObject, JSON.parse(opening ?? 'null') as JsonObject | null);
}

/** Every complaint about these records, which are numbered from 0, as `seq: what`. */
function complaints(...drafts: readonly RecordDraft[]): string[] {
  const meaning = new Meaning();
  return drafts.flatMap((draft, seq) => {
    return takeInto(meaning, draft, seq).map((what) => `${seq}: ${what}`);
  });
}

const two = { count: 2, groups: [], reasonRequired: false };
const heldIntent = (votes = [VOTE], id: HoldId = HOLD, others: Partial<IntentFields> = {}) =>
  intent({ verdict: 'hold', hold: id, votes, ...others });
const refusal = { verdict: 'hold', hold: HOLD, fate: 'refuse', refusal: 'withdrawn' } as const;
const heldRefusal = intent(refusal);
const consumed = hold('hold.consumed', 4);
const OTHER = 'ef'.repeat(32);
const other = { ...VOTE, voter: 'dora@example.com' };

describe('what records mean together', () => {
  const cases: readonly [string, readonly RecordDraft[], readonly string[]][] = [
    ['a session with a read', [STARTED, open, intent(), outcome(2), close, { type: 'stopped' }], []],
    ['nothing before `started`', [open], ['0: it is not preceded by `started`']],
    ['nothing after `stopped`', [STARTED, { type: 'stopped' }, open], ['2: it is not preceded by `started`']],
    ['a statement in no session', [STARTED, intent()], [`1: session ${open.session} is not open`]],
    [
      'a statement after its session was closed',
      [STARTED, open, close, intent()],
      [`3: session ${open.session} is not open`],
    ],
    [
      'a statement of a session from before the restart',
      [STARTED, open, STARTED, intent()],
      [`3: session ${open.session} is not open`],
    ],
    ['a session opened twice', [STARTED, open, open], [`2: session ${open.session} was open already`]],
    [
      'a statement under another name than its session',
      [STARTED, open, intent({ who: { ...WHO, owner: 'mallory@example.com' } })],
      [`2: session ${open.session} was opened under another identity`],
    ],
    ['a role that changes on the way', [STARTED, open, intent({ who: { ...WHO, role: 'other' } })], []],
    [
      'two outcomes of one statement',
      [STARTED, open, intent(), outcome(2), outcome(2)],
      ['4: record 2 is no statement of its session that waits for an outcome'],
    ],
    [
      'a suspended portal that goes on',
      [STARTED, open, intent(), outcome(2, { result: 'suspended' }), outcome(2)],
      [],
    ],
    [
      'an outcome of another session',
      [
        STARTED,
        open,
        { ...open, session: 's_2' as SessionId },
        intent(),
        outcome(3, { session: 's_2' as SessionId }),
      ],
      ['4: record 3 is no statement of its session that waits for an outcome'],
    ],
    [
      'a refused statement that was done',
      [STARTED, open, intent({ fate: 'refuse', refusal: 'denied', verdict: 'deny' }), outcome(2)],
      ['3: record 2 was refused, and has the outcome done'],
    ],
    [
      'a refused statement with its error',
      [
        STARTED,
        open,
        intent({ fate: 'refuse', refusal: 'denied', verdict: 'deny' }),
        outcome(2, { result: 'failed', sqlstate: '42501' }),
      ],
      [],
    ],
    [
      'a denied statement that ran',
      [STARTED, open, intent({ verdict: 'deny' })],
      ['2: it was denied, and was forwarded'],
    ],
    [
      'a forwarded statement with a refusal',
      [STARTED, open, intent({ refusal: 'denied' })],
      ['2: it was forwarded, and carries the reason of a refusal'],
    ],
    [
      'a statement that should have been held',
      [STARTED, open, intent({ verdict: 'hold' })],
      ['2: it was to be held, and was forwarded without a hold'],
    ],
    ['a held statement that ran as it should', [STARTED, open, hold('hold.consumed', 4), heldIntent()], []],
    [
      'a held statement that ran without its hold being consumed',
      [STARTED, open, heldIntent()],
      [`2: it ran on hold ${HOLD}, which was not consumed before`],
    ],
    [
      'two statements on one hold',
      [STARTED, open, hold('hold.consumed', 4), heldIntent(), heldIntent()],
      [`4: hold ${HOLD} was used already, by record 3`],
    ],
    [
      'a hold consumed twice',
      [STARTED, hold('hold.consumed', 4), hold('hold.consumed', 5)],
      [`2: hold ${HOLD} was consumed already`],
    ],
    [
      'a transition recorded twice',
      [STARTED, hold('hold.approved', 4), hold('hold.approved', 4)],
      [`2: version 4 of hold ${HOLD} was recorded already`],
    ],
    [
      'too few approvals',
      [STARTED, open, hold('hold.requested', 1, { approvals: two }), hold('hold.consumed', 4), heldIntent()],
      [`4: it ran with 1 of 2 approvals that hold ${HOLD} needs`],
    ],
    [
      'one person who approves twice',
      [
        STARTED,
        open,
        hold('hold.requested', 1, { approvals: two }),
        hold('hold.consumed', 4),
        heldIntent([VOTE, { ...VOTE, channel: 'slack' }]),
      ],
      [`4: it ran with 1 of 2 approvals that hold ${HOLD} needs`],
    ],
    [
      'two people who approve',
      [
        STARTED,
        open,
        hold('hold.requested', 1, { approvals: two }),
        hold('hold.consumed', 4),
        heldIntent([VOTE, other]),
      ],
      [],
    ],
    [
      'no votes at all',
      [STARTED, open, hold('hold.consumed', 4), heldIntent([])],
      [`3: it ran with 0 of 1 approvals that hold ${HOLD} needs`],
    ],
    [
      'another statement than was asked about',
      [
        STARTED,
        open,
        hold('hold.requested', 1),
        consumed,
        heldIntent([VOTE], HOLD, { statementSha256: OTHER }),
      ],
      [`4: its statement is not that of hold ${HOLD}`],
    ],
    [
      'another statement than was asked about, of which only the digest is kept',
      [
        STARTED,
        open,
        hold('hold.requested', 1, { record: 'digest' }),
        { ...consumed, record: 'digest' },
        heldIntent([VOTE], HOLD, { statementSha256: OTHER, record: 'digest' }),
      ],
      [],
    ],
    [
      'no statement where one was asked about',
      [STARTED, open, consumed, heldIntent([VOTE], HOLD, { statementSha256: null })],
      [`3: it names hold ${HOLD}, and not the statement that was asked about`],
    ],
    [
      'a decision on another statement',
      [STARTED, open, hold('hold.requested', 1), hold('hold.approved', 2, { statementSha256: OTHER })],
      [`3: its statement is not that of hold ${HOLD}`],
    ],
    [
      'the hold of another session',
      [STARTED, open, hold('hold.requested', 1, { session: 's_2' as SessionId }), heldRefusal],
      [`3: its session is not that of hold ${HOLD}`],
    ],
    [
      'the hold of another agent',
      [STARTED, open, hold('hold.requested', 1, { who: { ...WHO, agent: 'other-bot' } }), heldRefusal],
      [`3: its identity is not that of hold ${HOLD}`],
    ],
    [
      'a hold under another rule',
      [STARTED, open, hold('hold.requested', 1), intent({ ...refusal, rule: 'default' })],
      [`3: its rule is not that of hold ${HOLD}`],
    ],
    [
      'one who denied',
      [STARTED, open, hold('hold.consumed', 4), heldIntent([VOTE, { ...other, decision: 'deny' }])],
      [`3: dora@example.com denied hold ${HOLD}, and it ran`],
    ],
    ...[WHO.agent, WHO.owner, 'carol@example.com'].flatMap(
      (voter): [string, readonly RecordDraft[], readonly string[]][] => [
        [
          `an approval by ${voter} of their own`,
          [STARTED, open, hold('hold.consumed', 4), heldIntent([{ ...VOTE, voter }])],
          [
            `3: ${voter} voted on a statement of their own`,
            `3: it ran with 0 of 1 approvals that hold ${HOLD} needs`,
          ],
        ],
        [
          `a vote by ${voter} of their own`,
          [STARTED, hold('hold.voted', 2, { vote: { ...VOTE, voter } })],
          [`1: ${voter} voted on a statement of their own`],
        ],
      ],
    ),
  ];

  it.each(cases)('%s', (_name, drafts, expected) => {
    expect(complaints(...drafts)).toEqual(expected);
  });

  it('counts what is left without an outcome', () => {
    const meaning = new Meaning();
    const drafts = [
      STARTED,
      open,
      intent(),
      intent(),
      outcome(3),
      intent({ fate: 'refuse' }),
      STARTED,
      open,
      intent(),
      close,
      open,
      intent(),
    ];
    for (const [seq, draft] of drafts.entries()) takeInto(meaning, draft, seq);
    expect(meaning.end()).toMatchObject({
      records: 12,
      sessions: 3,
      statements: 5,
      refused: 1,
      indeterminate: 3,
    });
  });
});
