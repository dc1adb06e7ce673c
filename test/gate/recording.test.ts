// The drafts of a hold and of what came of it: that both speak of the same statement, and what a redacting rule keeps back.
import { describe, expect, it } from 'vitest';
import { bytesOf, holdDraft, intentOf } from '../../src/gate/recording.ts';
import type { Work } from '../../src/gate/work.ts';
import { statementSha256 } from '../../src/holds/binding.ts';
import type { Hold, HoldEvent, HoldRequest } from '../../src/holds/hold.ts';
import type { Verdict } from '../../src/rules/verdict.ts';
import { SESSION, WHO } from '../audit/drafts.ts';
import { request, voteBy } from '../holds/sample.ts';
import { verdictWith, workWith } from './parts.ts';

const WORK: Work = workWith({
  protocol: 'extended',
  sql: 'DROP TABLE x',
  statementName: '',
  parameterTypes: [25],
  formats: [0],
  values: [Buffer.from('17')],
});
const VERDICT: Verdict = verdictWith({
  action: 'hold',
  rule: 'ddl',
  approvals: { count: 2, groups: ['dba'], reasonRequired: true },
});

function held(changes: Partial<HoldRequest['statement']> = {}, state: Hold['state'] = 'pending'): Hold {
  const plain = request({ approvals: VERDICT.approvals });
  return {
    version: 1,
    state,
    request: { ...plain, statement: { ...plain.statement, ...changes } },
    votes: [],
    grantUntilMs: null,
    closedAtMs: null,
    closedBecause: null,
  };
}

describe('the draft of a hold', () => {
  it('says in the request what is asked and what it takes', () => {
    const hold = held();
    expect(holdDraft({ hold, event: null })).toMatchObject({
      type: 'hold.requested',
      sql: hold.request.statement.text,
      parameters: ['1', null, '\\x00ff'],
      statementSha256: hold.request.statement.sha256,
      approvals: { count: 2, groups: ['dba'], reasonRequired: true },
      record: 'full',
    });
    expect(holdDraft({ hold: held({ parameters: [] }), event: null })).toMatchObject({
      parameters: null,
      record: 'full',
    });
  });

  it('says it once', () => {
    const vote: HoldEvent = {
      type: 'vote',
      vote: voteBy('dba@example.com'),
      statementSha256: '',
      version: 1,
    };
    const others: readonly [Hold['state'], HoldEvent, string][] = [
      ['pending', vote, 'hold.voted'],
      ['approved', vote, 'hold.approved'],
      ['expired', { type: 'expire' }, 'hold.expired'],
    ];
    for (const [state, event, type] of others) {
      expect(holdDraft({ hold: held({}, state), event })).toMatchObject({
        type,
        sql: null,
        parameters: null,
        approvals: null,
        record: 'full',
      });
    }
  });

  it('keeps a digest only where the rule redacts, from the first record to the last', () => {
    expect(holdDraft({ hold: held({ parameters: null }), event: null })).toMatchObject({
      type: 'hold.requested',
      parameters: null,
      record: 'digest',
    });
    const expired = holdDraft({ hold: held({ parameters: null }, 'expired'), event: { type: 'expire' } });
    expect(expired).toMatchObject({ type: 'hold.expired', record: 'digest' });
  });
});

describe('the draft of an intent', () => {
  const speaker = { session: SESSION, who: WHO };

  it('has the hash of what goes to the server, not of what was asked about', () => {
    const hold = held({ sha256: statementSha256(bytesOf(WORK)) });
    const draft = (work: Work) => intentOf(speaker, work, VERDICT, false, 'sha256:00', hold, null).fields;
    expect(draft(WORK).statementSha256).toBe(hold.request.statement.sha256);
    for (const change of [
      { sql: 'DROP TABLE y' },
      { values: [Buffer.from('18')] },
      { parameterTypes: [] },
      { formats: [1] },
    ]) {
      expect(draft({ ...WORK, ...change }).statementSha256).not.toBe(hold.request.statement.sha256);
    }
  });

  it('has none for what was not held', () => {
    const draft = intentOf(speaker, WORK, VERDICT, false, 'sha256:00', null, null).fields;
    expect(draft.statementSha256).toBeNull();
  });
});
