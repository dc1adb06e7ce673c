// The strictest verdict on everything that a piece of work would run.
import { strictestOf } from '../rules/strictness.ts';
import type { RuleSet, SessionVariables, Verdict } from '../rules/verdict.ts';
import { unread } from './lexing.ts';
import type { Work } from './work.ts';

const NOTHING_ASKED = {
  action: 'allow',
  message: null,
  contact: null,
  approvals: { count: 1, groups: [], reasonRequired: false },
  budgets: { statementRows: null, statementBytes: null },
  record: 'full',
  wouldHave: null,
} as const;

/** An empty query runs nothing. */
const EMPTY: Verdict = { ...NOTHING_ASKED, rule: 'empty query' };
/** A portal that the server suspended was judged when it started; these are the rest of its rows. */
const RESUMED: Verdict = { ...NOTHING_ASKED, rule: 'resumed portal' };

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
  const judged = misreading === null ? statements : [unread(work.sql, misreading), ...statements];
  const [first, ...others] = judged.map((statement) => rules.judge(statement, session));
  return first === undefined ? EMPTY : strictestOf([first, ...others]);
}
