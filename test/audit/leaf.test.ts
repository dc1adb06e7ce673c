import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson, type JsonObject } from '../../src/audit/canonical.ts';
import { openingProblems } from '../../src/audit/commitment.ts';
import { LEAF_MAX_BYTES } from '../../src/audit/fields.ts';
import type { RecordDraft } from '../../src/audit/record.ts';
import { shapeProblem } from '../../src/audit/shape.ts';
import { EACH_TYPE, encoded, HOLD, hold, intent, open, outcome } from './drafts.ts';

const COMMON = { seq: 7, node: 'node1', epoch: 1, timeMs: Date.UTC(2026, 10, 22, 9, 30), monoUs: 123 };

interface Opening {
  readonly [name: string]: { readonly salt: string; readonly value: unknown };
}

function leafOf(draft: RecordDraft): JsonObject {
  return JSON.parse(encoded(draft, COMMON).leaf) as JsonObject;
}

function openingOf(draft: RecordDraft): Opening {
  return JSON.parse(encoded(draft, COMMON).opening ?? 'null') as Opening;
}

describe('a leaf', () => {
  it.each(EACH_TYPE.map((draft, i) => [draft.type, i, draft] as const))(
    'of %s is canonical and has its shape (%i)',
    (type, _i, draft) => {
      const { leaf } = encoded(draft, COMMON);
      const value = JSON.parse(leaf) as JsonObject;
      expect(leaf).toBe(canonicalJson(value));
      expect(shapeProblem(value)).toBeNull();
      expect(value).toMatchObject({
        type,
        seq: 7,
        node: 'node1',
        epoch: 1,
        mono: 123,
        v: 1,
        time: '2026-11-22T09:30:00.000Z',
      });
    },
  );

  it('says everything of a statement and of who asks', () => {
    expect(leafOf(intent())).toMatchObject({
      who: {
        agent: 'reporting-bot',
        owner: 'alice@example.com',
        on_behalf_of: ['carol@example.com'],
        authenticated_by: 'scram-sha-256',
        client_address: '127.0.0.1:50000',
        database: 'shop',
        role: 'app',
      },
      classes: ['read'],
      tags: ['SELECT'],
      rule: 'default',
      verdict: 'allow',
      fate: 'forward',
      relations: [{ schema: null, name: 'customer', use: 'read' }],
    });
  });

  it('is canonical whatever the client called itself', () => {
    const text = fc.string({ unit: 'binary', maxLength: 40 });
    fc.assert(
      fc.property(text, fc.dictionary(text, text), (name, startup) => {
        const draft: RecordDraft = { ...open, applicationName: name, startup };
        const { leaf } = encoded(draft, COMMON);
        expect(leaf).toBe(canonicalJson(JSON.parse(leaf) as JsonObject));
      }),
    );
  });

  it('has a commitment where SQL and parameters would be', () => {
    const draft = intent({ sql: 'SELECT secret_é', parameters: ['s3cret', null] });
    const { leaf } = encoded(draft, COMMON);
    expect(leaf).not.toContain('secret');
    expect(leaf).not.toContain('s3cret');
    const opening = openingOf(draft);
    expect(opening).toMatchObject({
      sql: { value: draft.intent.fields.sql },
      parameters: { value: draft.parameters },
    });
  });

  it('commits by SHA-256(0x02 ‖ salt ‖ bytes), with a new salt for each value, and for each text of an intent', () => {
    const draft = intent({ sql: 'SELECT é', parameters: ['1', null] });
    const { leaf, opening } = encoded(draft, COMMON);
    const { sql, parameters } = JSON.parse(opening ?? '') as Opening;
    const commit = (salt: string | undefined, bytes: string) =>
      createHash('sha256')
        .update('\u0002')
        .update(Buffer.from(salt ?? '', 'base64'))
        .update(bytes)
        .digest('base64');
    expect(JSON.parse(leaf)).toMatchObject({
      sql_commitment: commit(sql?.salt, 'SELECT é'),
      parameters_commitment: commit(parameters?.salt, '["1",null]'),
    });
    expect(Buffer.from(sql?.salt ?? '', 'base64')).toHaveLength(16);
    const runs = Array.from({ length: 600 }, () => openingOf(draft));
    expect(new Set(runs.map((run) => run['parameters']?.salt)).size).toBe(600);
    // The text is that of the one intent, however often it is recorded; another intent's has another salt.
    expect(new Set(runs.map((run) => run['sql']?.salt)).size).toBe(1);
    const texts = Array.from({ length: 600 }, () => openingOf(intent({ sql: 'SELECT é' }))['sql']?.salt);
    expect(new Set(texts).size).toBe(600);
  });

  it('of a `digest` record comes without what opens it', () => {
    const { leaf, opening } = encoded(intent({ record: 'digest' }), COMMON);
    expect(opening).toBeNull();
    expect(leaf).toContain('"sql_commitment":"');
  });

  it('of a request for a hold has the statement and what it takes; of its other changes has neither', () => {
    const approvals = { count: 2, groups: ['dba'], reasonRequired: true };
    const draft = hold('hold.requested', 1, { sql: 'DROP TABLE secret', parameters: ['s3cret'], approvals });
    const { leaf } = encoded(draft, COMMON);
    expect(leaf).not.toContain('secret');
    expect(leaf).not.toContain('s3cret');
    expect(leaf).not.toContain(draft.statementSha256);
    expect(JSON.parse(leaf)).toMatchObject({
      approvals: { count: 2, groups: ['dba'], reason_required: true },
      record: 'full',
    });
    const opening = openingOf(draft);
    expect(opening).toMatchObject({
      parameters: { value: ['s3cret'] },
      sql: { value: 'DROP TABLE secret' },
      statement_sha256: { value: draft.statementSha256 },
    });
    expect(new Set(Object.values(opening).map(({ salt }) => salt)).size).toBe(3);
    expect(openingProblems(leafOf(hold('hold.voted', 2)), null)).toEqual(['its statement_sha256 is missing']);
    const vote = leafOf(hold('hold.voted', 2));
    const asked = { approvals: {}, sql_commitment: '', parameters_commitment: '' };
    for (const [key, value] of Object.entries(asked)) {
      expect(vote[key]).toBeNull();
      expect(shapeProblem({ ...vote, [key]: value }), key).toContain(key);
    }
    for (const key of ['approvals', 'sql_commitment']) {
      expect(shapeProblem({ ...leafOf(draft), [key]: null }), key).toContain(key);
    }
  });

  it('of a hold whose rule redacts has commitments only, also to the hash, which could be guessed from', () => {
    for (const type of ['hold.requested', 'hold.voted'] as const) {
      const { leaf, opening } = encoded(hold(type, 1, { record: 'digest' }), COMMON);
      expect(opening).toBeNull();
      expect(leaf).toMatch(/"statement_sha256_commitment":"/);
      expect(openingProblems(JSON.parse(leaf) as JsonObject, null)).toEqual([]);
    }
  });

  it('of a statement that was held commits to its hash, with a salt of its own', () => {
    const draft = intent({ hold: HOLD, verdict: 'hold' });
    expect(leafOf(intent())['statement_sha256_commitment']).toBeNull();
    expect(leafOf(draft)['statement_sha256_commitment']).toMatch(/^.{43}=$/);
    const { sql, parameters, statement_sha256: sha256 } = openingOf(draft);
    expect(sha256?.value).toBe(draft.intent.fields.statementSha256);
    expect(new Set([sql?.salt, parameters?.salt, sha256?.salt]).size).toBe(3);
  });

  it('keeps a statement of megabytes whole, beside a small leaf', () => {
    const sql = `SELECT '${'é'.repeat(3_000_000)}'`;
    const { leaf } = encoded(intent({ sql }), COMMON);
    expect(Buffer.byteLength(leaf)).toBeLessThan(2_000);
    expect(openingOf(intent({ sql }))['sql']?.value).toBe(sql);
  });

  it('that would be too long has its lists and texts cut, and says so, always in the same way', () => {
    const relations = Array.from({ length: 30_000 }, (_, i) => ({
      schema: 'public',
      name: `table_${i}`,
      use: 'read' as const,
    }));
    const draft = intent({ relations, portal: '\u{1F600}'.repeat(40_000), record: 'digest' });
    const { leaf } = encoded(draft, COMMON);
    const value = JSON.parse(leaf) as JsonObject;
    expect(Buffer.byteLength(leaf)).toBeLessThanOrEqual(LEAF_MAX_BYTES);
    expect(leaf).toBe(canonicalJson(value));
    expect(shapeProblem(value)).toBeNull();
    expect(value['cut']).toBe(true);
    const kept = value['relations'] as readonly unknown[];
    expect(kept[0]).toEqual({ schema: 'public', name: 'table_0', use: 'read' });
    expect(kept.at(-1)).toBe('… [30000 in all]');
    expect(value['portal']).toContain('[80000 characters in all]');
    expect({ ...leafOf(draft), sql_commitment: null, parameters_commitment: null }).toEqual({
      ...value,
      sql_commitment: null,
      parameters_commitment: null,
    });
  });

  it('can be as long as an entry may be, uncut', () => {
    const draft = (length: number) => outcome(1, { tags: ['x'.repeat(length)] });
    const rest = Buffer.byteLength(encoded(draft(0), COMMON).leaf);
    const room = LEAF_MAX_BYTES - rest;
    expect(leafOf(draft(room))['cut']).toBeUndefined();
    expect(leafOf(draft(room + 1))['cut']).toBe(true);
  });

  it('is not made from numbers that are no counts', () => {
    for (const bad of [Number.NaN, -1, 0.5, 2 ** 53]) {
      for (const draft of [
        outcome(bad),
        outcome(1, { rows: bad }),
        outcome(1, { durationUs: bad }),
        intent({ parameterTypes: [bad] }),
      ]) {
        expect(() => encoded(draft, COMMON)).toThrow(expect.objectContaining({ code: 'internal' }));
      }
    }
  });

  it('is of one shape: nothing missing, nothing more, nothing of another kind', () => {
    for (const draft of EACH_TYPE) {
      const leaf = leafOf(draft);
      expect(shapeProblem({ ...leaf, surprise: 1 })).not.toBeNull();
      for (const key of Object.keys(leaf)) {
        const { [key]: _, ...less } = leaf;
        expect(shapeProblem(less), `${draft.type} without ${key}`).not.toBeNull();
        expect(shapeProblem({ ...leaf, [key]: -1 }), `${draft.type} with a wrong ${key}`).not.toBeNull();
      }
    }
  });
});
