import { describe, expect, it } from 'vitest';
import { holdDocument } from '../../src/holds/document.ts';
import { newHold, step } from '../../src/holds/machine.ts';
import { approval, denial, HASH, impact, must, request } from './sample.ts';

const hold = newHold(request({ approvals: { count: 2, groups: ['dba'] } }));

describe('a hold as the outside sees it', () => {
  it('has every name, also for what is not known yet', () => {
    expect(holdDocument(hold)).toEqual({
      id: hold.request.id,
      version: 1,
      state: 'pending',
      agent: 'reporting-bot',
      owner: 'owner@example.com',
      on_behalf_of: ['alice@example.com'],
      authenticated_by: 'scram-sha-256',
      client_address: '192.0.2.7',
      claimed: { application_name: 'psql', purpose: 'clean up' },
      database: 'shop',
      role: 'app',
      in_transaction: false,
      statement: {
        text: 'DROP TABLE "käse\u202e"; -- 🧀',
        sha256: HASH,
        tags: ['DROP TABLE'],
        classes: ['ddl'],
        relations: [{ schema: null, name: 'käse\u202e', use: 'define' }],
        reasons: [],
        parameters: ['1', null, '\\x00ff'],
        truncated: false,
      },
      impact: [impact()],
      impact_truncated: false,
      rule: { name: 'ddl', message: 'schema changes need a DBA', contact: null },
      approvals: { count: 2, groups: ['dba'], reason_required: false },
      votes: [],
      requested_at: '1970-01-01T00:16:40.000Z',
      deadline: '1970-01-01T00:17:40.000Z',
      grant_until: null,
      closed_at: null,
      closed_because: null,
    });
  });

  it('tells votes, grant and end', () => {
    const once = must(step(hold, approval(hold, 'bob@example.com', { channel: 'cli' }), 1_000_500));
    const granted = must(step(once, approval(once, 'carol@example.com'), 1_001_000));
    expect(holdDocument(granted)).toMatchObject({
      version: 3,
      state: 'approved',
      grant_until: '1970-01-01T00:17:41.000Z',
      votes: [
        {
          voter: 'bob@example.com',
          decision: 'approve',
          reason: null,
          at: '1970-01-01T00:16:40.001Z',
          channel: 'cli',
        },
        { voter: 'carol@example.com', channel: 'api' },
      ],
    });
    expect(holdDocument(must(step(once, denial(once), 1_002_000)))).toMatchObject({
      state: 'denied',
      closed_at: '1970-01-01T00:16:42.000Z',
      closed_because: 'denied by dba@example.com: not today',
    });
  });

  it('keeps what would help a forger to itself', () => {
    const text = JSON.stringify(holdDocument(hold));
    for (const secret of [hold.request.binding, hold.request.session, hold.request.node]) {
      expect(text).not.toContain(secret);
    }
  });
});

describe('a document with little room', () => {
  const whole = holdDocument(hold).statement;

  it('is whole where it fits', () => {
    expect(holdDocument(hold, { statementBytes: 1_000 }).statement).toEqual(whole);
  });

  it('cuts no character in two, and says that it cut', () => {
    const bytes = Buffer.byteLength(whole.text);
    for (let room = 0; room < bytes; room++) {
      const { text, truncated, parameters, sha256 } = holdDocument(hold, { statementBytes: room }).statement;
      expect(whole.text.startsWith(text)).toBe(true);
      expect(Buffer.from(text).toString()).toBe(text);
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(room);
      expect(Buffer.byteLength(text)).toBeGreaterThan(room - 4);
      expect([truncated, parameters, sha256]).toEqual([true, null, HASH]);
    }
  });

  it('leaves out parameters before it lies about them', () => {
    const room = Buffer.byteLength(whole.text) + 5;
    expect(holdDocument(hold, { statementBytes: room }).statement).toEqual({
      ...whole,
      parameters: null,
      truncated: true,
    });
  });

  it('shortens long lists', () => {
    const asked = request();
    const relation = asked.statement.relations[0]!;
    for (const change of [
      { relations: Array.from({ length: 21 }, () => relation) },
      { reasons: Array.from({ length: 21 }, () => 'x') },
      { tags: Array.from({ length: 21 }, () => 'SELECT') },
    ]) {
      const long = newHold({ ...asked, statement: { ...asked.statement, ...change } });
      const { relations, reasons, tags, truncated } = holdDocument(long, { statementBytes: 1_000 }).statement;
      expect(Math.max(relations.length, reasons.length, tags.length)).toBe(20);
      expect(truncated).toBe(true);
      expect(holdDocument(long).statement.truncated).toBe(false);
    }
  });

  it('is short about its impact where the document must be', () => {
    const lock = impact().locks[0]!;
    const many = Array.from({ length: 9 }, () =>
      impact({ locks: Array.from({ length: 9 }, () => lock), dependents: Array.from({ length: 9 }, String) }),
    );
    const wide = newHold(request({ impact: many }));
    expect(holdDocument(wide).impact).toEqual(many);
    const short = holdDocument(wide, { statementBytes: 1000 });
    expect(short.impact_truncated).toBe(true);
    expect(short.impact).toHaveLength(3);
    expect(short.impact[0]?.locks).toHaveLength(5);
    expect(short.impact[0]?.rows).toEqual(impact().rows);
    expect(holdDocument(hold, { statementBytes: 1000 })).toMatchObject({
      impact: [impact()],
      impact_truncated: false,
    });
  });
});
