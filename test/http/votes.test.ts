// Deciding over HTTP: who may, on what, once, and never without the log.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Hold } from '../../src/holds/hold.ts';
import { PUBLIC_URL, Stage } from './stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await new Stage().open();
});
afterEach(() => stage.close());

function ballot(hold: Hold, changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    decision: 'approve',
    statement_sha256: hold.request.statement.sha256,
    version: hold.version,
    ...changes,
  };
}

const votesOf = (hold: Hold): string => `/v1/holds/${hold.request.id}/votes`;

async function stateOf(hold: Hold): Promise<string | undefined> {
  return (await stage.store.get(hold.request.id))?.state;
}

describe('a vote', () => {
  test('approves, is recorded before the answer, and is answered with the document', async () => {
    const hold = await stage.hold();
    const answer = await stage.call(votesOf(hold), { body: ballot(hold, { reason: '  as agreed ' }) });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toContain('application/json');
    expect(answer.body).toMatchObject({
      id: hold.request.id,
      state: 'approved',
      version: hold.version + 1,
      url: `${PUBLIC_URL}/v1/holds/${hold.request.id}`,
      votes: [{ voter: 'bob@example.com', decision: 'approve', reason: 'as agreed', channel: 'api' }],
    });
    expect(answer.body).not.toHaveProperty('binding');
    expect(stage.recorded).toHaveLength(1);
    expect(stage.recorded[0]).toMatchObject({
      hold: { state: 'approved' },
      event: { type: 'vote', vote: { voter: 'bob@example.com', groups: ['dba', 'oncall'] } },
    });
  });

  test('denies with a reason', async () => {
    const hold = await stage.hold();
    const answer = await stage.call(votesOf(hold), {
      body: ballot(hold, { decision: 'deny', reason: 'no' }),
    });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ state: 'denied', closed_because: 'denied by bob@example.com: no' });
  });

  test('two people make a quorum of two, one person does not', async () => {
    const hold = await stage.hold('DROP TABLE a', {
      requesters: ['reporting-bot'],
      approvals: { count: 2, groups: ['dba'], reasonRequired: false },
    });
    const first = await stage.call(votesOf(hold), { body: ballot(hold) });
    expect(first.body).toMatchObject({ state: 'pending', version: 2 });
    const again = await stage.call(votesOf(hold), { body: ballot(hold, { version: 2 }) });
    expect([again.status, again.body['code']]).toEqual([409, 'decided']);
    expect(await stateOf(hold)).toBe('pending');
    const second = await stage.call(votesOf(hold), { as: 'alice', body: ballot(hold, { version: 2 }) });
    expect(second.body).toMatchObject({ state: 'approved' });
    expect(stage.recorded.map((change) => change.hold.state)).toEqual(['pending', 'approved']);
  });

  test('says which channel it came by, of those a caller may name', async () => {
    const hold = await stage.hold();
    const headers = { 'x-countersign-channel': 'console' };
    const refused = await stage.call(votesOf(hold), { body: ballot(hold), headers });
    expect([refused.status, refused.body['code']]).toEqual([400, 'bad_request']);
    const answer = await stage.call(votesOf(hold), {
      body: ballot(hold),
      headers: { 'x-countersign-channel': 'cli' },
    });
    expect(answer.body).toMatchObject({ votes: [{ channel: 'cli' }] });
  });
});

describe('a vote is refused and changes nothing', () => {
  const cases: readonly {
    name: string;
    as?: 'alice' | 'bob' | 'carol' | null;
    changes?: Record<string, unknown>;
    status: number;
    code: string;
  }[] = [
    { name: 'without a token', as: null, status: 401, code: 'authentication' },
    { name: 'on one’s own request', as: 'alice', status: 403, code: 'self_approval' },
    { name: 'by someone of no asked group', as: 'carol', status: 403, code: 'not_an_approver' },
    {
      name: 'for another statement',
      changes: { statement_sha256: 'a'.repeat(64) },
      status: 412,
      code: 'stale',
    },
    { name: 'for another version', changes: { version: 7 }, status: 412, code: 'stale' },
    {
      name: 'a denial without a reason',
      changes: { decision: 'deny', reason: ' ' },
      status: 400,
      code: 'bad_request',
    },
    { name: 'an unknown decision', changes: { decision: 'maybe' }, status: 400, code: 'bad_request' },
    { name: 'a version in quotes', changes: { version: '1' }, status: 400, code: 'bad_request' },
    { name: 'no hash', changes: { statement_sha256: undefined }, status: 400, code: 'bad_request' },
    { name: 'an unknown member', changes: { decison: 'deny' }, status: 400, code: 'bad_request' },
    { name: 'a reason without end', changes: { reason: 'x'.repeat(2001) }, status: 400, code: 'bad_request' },
  ];
  test.each(cases)('$name: $status $code', async ({ as = 'bob', changes, status, code }) => {
    const hold = await stage.hold('DROP TABLE a', {
      approvals: { count: 1, groups: ['dba'], reasonRequired: false },
    });
    const answer = await stage.call(votesOf(hold), { as, body: ballot(hold, changes) });
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    expect(answer.body).toMatchObject({
      status,
      code,
      type: `urn:countersign:problem:${code}`,
      title: expect.stringMatching(/./),
      detail: expect.stringMatching(/./),
    });
    expect(await stage.store.get(hold.request.id)).toMatchObject({ state: 'pending', version: 1, votes: [] });
    expect(stage.recorded).toEqual([]);
  });

  test('by an unknown token, and neither the answer nor the log repeats it', async () => {
    const hold = await stage.hold();
    const answer = await stage.call(votesOf(hold), {
      as: null,
      body: ballot(hold),
      headers: { authorization: 'Bearer guessed-token' },
    });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/);
    expect(stage.logged).toHaveLength(1);
    expect(JSON.stringify(answer.body) + stage.logged.join()).not.toContain('guessed-token');
  });

  test('when it is decided already, expired, or not there', async () => {
    const decided = await stage.hold();
    await stage.call(votesOf(decided), { body: ballot(decided, { decision: 'deny', reason: 'no' }) });
    const late = await stage.call(votesOf(decided), { body: ballot(decided, { version: 2 }) });
    expect([late.status, late.body['code']]).toEqual([409, 'decided']);
    expect(late.body['hold']).toEqual({ id: decided.request.id, state: 'denied', version: 2 });

    const overdue = await stage.hold();
    stage.aheadMs = 3_600_000;
    const beforeSweep = await stage.call(votesOf(overdue), { body: ballot(overdue) });
    expect([beforeSweep.status, beforeSweep.body['code']]).toEqual([410, 'expired']);
    await stage.store.sweep();
    const afterSweep = await stage.call(votesOf(overdue), { body: ballot(overdue) });
    expect([afterSweep.status, afterSweep.body['code']]).toEqual([410, 'expired']);

    for (const id of ['h_0000000000000000', 'nonsense', '..%2f..']) {
      const missing = await stage.call(`/v1/holds/${id}/votes`, { body: ballot(decided) });
      expect([missing.status, missing.body['code']]).toEqual([404, 'not_found']);
    }
  });
});

describe('the log', () => {
  test('not writable: nothing is decided', async () => {
    const hold = await stage.hold();
    stage.logReady = false;
    const answer = await stage.call(votesOf(hold), { body: ballot(hold) });
    expect([answer.status, answer.body['code']]).toEqual([503, 'log_unwritable']);
    expect(await stateOf(hold)).toBe('pending');
  });

  test('failing under the vote: the answer says that the vote counted, and keeps the cause to itself', async () => {
    const hold = await stage.hold();
    stage.recordFails = true;
    const answer = await stage.call(votesOf(hold), { body: ballot(hold) });
    expect([answer.status, answer.body['code']]).toEqual([503, 'log_unwritable']);
    expect(answer.body['detail']).toContain('the vote was counted');
    expect(JSON.stringify(answer.body)).not.toContain('secret-place');
    expect(stage.logged).toHaveLength(1);
  });

  test('store gone: 503 approvals_unavailable', async () => {
    const hold = await stage.hold();
    await stage.store.close();
    const answer = await stage.call(votesOf(hold), { body: ballot(hold) });
    expect([answer.status, answer.body['code']]).toEqual([503, 'approvals_unavailable']);
  });
});

describe('Idempotency-Key', () => {
  const headers = { 'idempotency-key': 'k-1' };

  test('the same vote again gets the same answer and is counted once', async () => {
    const hold = await stage.hold();
    const [first, second] = await Promise.all([
      stage.call(votesOf(hold), { body: ballot(hold), headers }),
      stage.call(votesOf(hold), { body: ballot(hold), headers }),
    ]);
    const third = await stage.call(votesOf(hold), { body: ballot(hold), headers });
    expect([first.status, second.status, third.status]).toEqual([200, 200, 200]);
    expect(third.body).toEqual(first.body);
    expect(stage.recorded).toHaveLength(1);
  });

  test('another vote under the same key is refused; another person’s key is another key', async () => {
    const hold = await stage.hold('DROP TABLE a', {
      requesters: [],
      approvals: { count: 3, groups: [], reasonRequired: false },
    });
    await stage.call(votesOf(hold), { body: ballot(hold), headers });
    const other = await stage.call(votesOf(hold), {
      body: ballot(hold, { decision: 'deny', reason: 'no', version: 2 }),
      headers,
    });
    expect([other.status, other.body['code']]).toEqual([422, 'idempotency_key_reused']);
    expect(await stateOf(hold)).toBe('pending');
    const carol = await stage.call(votesOf(hold), {
      as: 'carol',
      body: ballot(hold, { version: 2 }),
      headers,
    });
    expect(carol.status).toBe(200);
  });

  test('a failure on our side is not kept', async () => {
    const hold = await stage.hold();
    stage.logReady = false;
    expect((await stage.call(votesOf(hold), { body: ballot(hold), headers })).status).toBe(503);
    stage.logReady = true;
    expect((await stage.call(votesOf(hold), { body: ballot(hold), headers })).status).toBe(200);
  });

  test('nor is a vote that could not be recorded: trying again tells what became of it', async () => {
    const hold = await stage.hold();
    stage.recordFails = true;
    expect((await stage.call(votesOf(hold), { body: ballot(hold), headers })).status).toBe(503);
    stage.recordFails = false;
    expect((await stage.call(votesOf(hold), { body: ballot(hold), headers })).status).toBe(409);
  });

  test('a key that is no key is refused', async () => {
    const hold = await stage.hold();
    const answer = await stage.call(votesOf(hold), {
      body: ballot(hold),
      headers: { 'idempotency-key': 'x'.repeat(256) },
    });
    expect([answer.status, answer.body['code']]).toEqual([400, 'bad_request']);
  });
});
