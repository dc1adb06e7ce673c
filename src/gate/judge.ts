// The strictest verdict on everything that a piece of work would run.
import { strictestOf } from '../rules/strictness.ts';
import type { RuleSet, SessionVariables, Verdict } from '../rules/verdict.ts';
import type { Unknown } from '../sql/facts.ts';
import type { Work } from './work.ts';

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
  // Elsewhere names fold and are cut differently: two that are one to us may be two to the server.
  ['server_encoding', 'UTF8'],
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
  const judged = misread === null ? work.statements : [misread, ...work.statements];
  const [first, ...others] = judged.map((statement) => rules.judge(statement, session));
  return first === undefined ? EMPTY : strictestOf([first, ...others]);
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
