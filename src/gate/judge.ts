// The strictest verdict on everything that a piece of work would run.
import type { RuleSet, SessionVariables, Verdict } from '../rules/verdict.ts';
import type { Unknown } from '../sql/facts.ts';
import type { Work } from './work.ts';

const STRICTNESS = { allow: 0, hold: 1, deny: 2 } as const;

const NOTHING_ASKED = {
  action: 'allow',
  message: null,
  contact: null,
  approvals: { count: 1, groups: [], reasonRequired: false },
  record: 'full',
  wouldHave: null,
} as const;

/** An empty query runs nothing. */
const EMPTY: Verdict = { ...NOTHING_ASKED, rule: 'empty query' };
/** A portal that the server suspended was judged when it started; these are the rest of its rows. */
const RESUMED: Verdict = { ...NOTHING_ASKED, rule: 'resumed portal' };

/** What the parser assumes of the server. A text that the two read differently is not understood. */
const ASSUMED: ReadonlyMap<string, string> = new Map([
  ['client_encoding', 'UTF8'],
  ['standard_conforming_strings', 'on'],
]);

export function judge(
  work: Work,
  rules: RuleSet,
  session: SessionVariables,
  reported: ReadonlyMap<string, string>,
): Verdict {
  if (work.portal?.suspended === true) return RESUMED;
  const misread = misreading(work, reported);
  let strictest: Verdict | null = misread === null ? null : rules.judge(misread, session);
  for (const statement of work.statements) {
    const verdict = rules.judge(statement, session);
    strictest = strictest === null ? verdict : stricter(strictest, verdict);
  }
  return strictest ?? EMPTY;
}

function stricter(one: Verdict, other: Verdict): Verdict {
  const difference =
    STRICTNESS[other.action] - STRICTNESS[one.action] || other.approvals.count - one.approvals.count;
  const chosen = difference > 0 ? other : one;
  const record = one.record === 'digest' || other.record === 'digest' ? 'digest' : 'full';
  return { ...chosen, record, wouldHave: chosen.wouldHave ?? one.wouldHave ?? other.wouldHave };
}

function misreading(work: Work, reported: ReadonlyMap<string, string>): Unknown | null {
  for (const [name, value] of ASSUMED) {
    const now = reported.get(name);
    if (now === value) continue;
    return {
      known: false,
      text: work.sql,
      reason: 'encoding',
      detail: `the server reports ${name} = "${now ?? ''}", under which it may read this text differently`,
    };
  }
  return null;
}
