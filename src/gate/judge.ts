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

/** Why a text may be read by the server otherwise than by us, given what it reports of itself; null: it may not. */
export function misreadingOf(reported: ReadonlyMap<string, string>): string | null {
  for (const [name, value] of ASSUMED) {
    const now = reported.get(name);
    if (now === value) continue;
    return `the server reports ${name} = "${now ?? ''}", under which it may read this text differently`;
  }
  return null;
}

/** `misreading`: of the session, as it stands now. */
export function judge(
  work: Work,
  rules: RuleSet,
  session: SessionVariables,
  misreading: string | null,
): Verdict {
  if (work.portal?.suspended === true) return RESUMED;
  const { statements } = work;
  const [one] = statements;
  if (one !== undefined && statements.length === 1 && misreading === null) return rules.judge(one, session);
  const judged = misreading === null ? statements : [misread(work, misreading), ...statements];
  const [first, ...others] = judged.map((statement) => rules.judge(statement, session));
  return first === undefined ? EMPTY : strictestOf([first, ...others]);
}

function misread(work: Work, detail: string): Unknown {
  return { known: false, text: work.sql, reason: 'encoding', detail };
}
