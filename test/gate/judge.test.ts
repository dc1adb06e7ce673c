// The strictest of everything that would run, and what the server may read otherwise than the parser did.
import { describe, expect, it } from 'vitest';
import { judge } from '../../src/gate/judge.ts';
import { misreadingOf } from '../../src/gate/lexing.ts';
import type { Portal } from '../../src/gate/names.ts';
import type { Work } from '../../src/gate/work.ts';
import type { RuleSet, Verdict } from '../../src/rules/verdict.ts';
import type { Facts, Unknown } from '../../src/sql/facts.ts';
import { facts, session, unknown } from '../rules/facts.ts';
import { portalWith, verdictWith, workWith } from './parts.ts';

const verdict = (rule: string, changes: Partial<Verdict> = {}): Verdict => verdictWith({ rule, ...changes });

const VERDICTS: Readonly<Record<string, Verdict>> = {
  allow: verdict('a'),
  digest: verdict('d', { record: 'digest' }),
  hold: verdict('h', { action: 'hold' }),
  two: verdict('t', { action: 'hold', approvals: { count: 2, groups: [], reasonRequired: false } }),
  reason: verdict('r', { action: 'hold', approvals: { count: 1, groups: [], reasonRequired: true } }),
  dba: verdict('g', { action: 'hold', approvals: { count: 1, groups: ['dba'], reasonRequired: false } }),
  deny: verdict('n', { action: 'deny' }),
};

/** Judges a statement by its own text. */
function rules() {
  const seen: (Facts | Unknown)[] = [];
  const set: RuleSet = {
    hash: 'sha256:0',
    judge: (statement) => {
      seen.push(statement);
      if (!statement.known) return verdict(`unknown ${statement.reason}`, { action: 'hold' });
      return VERDICTS[statement.text] as Verdict;
    },
  };
  return { seen, set };
}

function work(statements: readonly (Facts | Unknown)[], portal: Portal | null = null): Work {
  return workWith({ protocol: portal === null ? 'simple' : 'extended', statements, portal });
}

const portal = (suspended: boolean): Portal => portalWith({ name: 'p', suspended });

const reported = new Map([
  ['client_encoding', 'UTF8'],
  ['server_encoding', 'UTF8'],
  ['standard_conforming_strings', 'on'],
]);

const judged = (texts: readonly string[]): Verdict =>
  judge(work(texts.map((text) => facts({ text }))), rules().set, session(), null);

describe('judge', () => {
  it.each<[string[], string]>([
    [['allow'], 'a'],
    [['allow', 'hold'], 'h'],
    [['hold', 'allow'], 'h'],
    [['hold', 'deny', 'allow'], 'n'],
    [['deny', 'two'], 'n'],
    [['hold', 'two'], 't'],
    [['two', 'hold'], 't'],
    [['hold', 'reason'], 'r'],
    [['hold', 'dba'], 'g'],
    [['dba', 'hold'], 'g'],
  ])('%j is judged by rule %s', (texts, rule) => {
    expect(judged(texts).rule).toBe(rule);
  });

  it('keeps out of the log what any of the statements keeps out', () => {
    expect(judged(['digest', 'deny'])).toMatchObject({ rule: 'n', record: 'digest' });
    expect(judged(['deny', 'digest'])).toMatchObject({ rule: 'n', record: 'digest' });
    expect(judged(['deny', 'allow']).record).toBe('full');
  });

  it('asks the rules about every statement, as the session stands', () => {
    const { seen, set } = rules();
    const asked: unknown[] = [];
    const now = session({ inTransaction: true });
    const watched: RuleSet = {
      hash: '',
      judge: (statement, who) => {
        asked.push(who);
        return set.judge(statement, who);
      },
    };
    const statements = [facts({ text: 'deny' }), facts({ text: 'allow' }), unknown];
    judge(work(statements), watched, now, null);
    expect(seen).toEqual(statements);
    expect(asked).toEqual([now, now, now]);
  });

  it('lets an empty query through', () => {
    expect(judge(work([]), rules().set, session(), null).action).toBe('allow');
  });

  it('lets a suspended portal go on without asking again, and no other', () => {
    const { seen, set } = rules();
    const statements = [facts({ text: 'deny' })];
    expect(judge(work(statements, portal(true)), set, session(), null).action).toBe('allow');
    expect(seen).toEqual([]);
    expect(judge(work(statements, portal(false)), set, session(), null).action).toBe('deny');
  });

  it.each<[string, string, string | undefined]>([
    ['client_encoding', 'another', 'LATIN1'],
    ['client_encoding', 'no', undefined],
    ['server_encoding', 'another', 'LATIN1'],
    ['server_encoding', 'no', undefined],
    ['standard_conforming_strings', 'another', 'off'],
    ['standard_conforming_strings', 'no', undefined],
  ])('gives the rules an Unknown when the server reports %s to be of %s value', (name, _, value) => {
    const { seen, set } = rules();
    const now = new Map(reported);
    if (value === undefined) now.delete(name);
    else now.set(name, value);
    for (const statements of [[facts({ text: 'allow' })], []]) {
      const found = judge(work(statements), set, session(), misreadingOf(now));
      expect(found).toMatchObject({ action: 'hold', rule: 'unknown encoding' });
    }
    expect(seen[0]).toMatchObject({ known: false, text: 'the text', reason: 'encoding' });
    expect(seen[0]).toHaveProperty('detail', expect.stringContaining(name));
    expect(judge(work([facts({ text: 'deny' })]), set, session(), misreadingOf(now)).action).toBe('deny');
  });
});
