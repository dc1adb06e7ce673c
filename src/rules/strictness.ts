// Which of several answers is the strictest: the one place that says so, for rules of a pack, packs of a set and
// statements of a frame alike.
import type { Action, RuleBudgets, Verdict } from './verdict.ts';

const RANK: Readonly<Record<Action, number>> = { allow: 0, hold: 1, deny: 2 };

export function isStricterAction(a: Action, b: Action): boolean {
  return RANK[a] > RANK[b];
}

type Answer = Pick<Verdict, 'action' | 'rule' | 'approvals' | 'message'>;

/**
 * Positive when `a` is stricter than `b`. Between holds: more people, then a reason asked for, then a limit to groups,
 * so that no rule can make another one's hold easier to pass. What is still equal goes by name.
 */
export function compareStrictness(a: Answer, b: Answer): number {
  const byAction = RANK[a.action] - RANK[b.action];
  if (byAction !== 0) return byAction;
  if (a.action === 'hold') {
    const byApprovals =
      a.approvals.count - b.approvals.count ||
      Number(a.approvals.reasonRequired) - Number(b.approvals.reasonRequired) ||
      Math.sign(a.approvals.groups.length) - Math.sign(b.approvals.groups.length);
    if (byApprovals !== 0) return byApprovals;
  }
  // Of a rule and a default that are equally strict, the rule has more to say.
  const byDefault = Number(b.rule === 'default') - Number(a.rule === 'default');
  if (byDefault !== 0) return byDefault;
  return a.rule < b.rule ? 1 : a.rule > b.rule ? -1 : 0;
}

type WouldHave = Verdict['wouldHave'];

function stricterOf(a: WouldHave, b: WouldHave): WouldHave {
  if (a === null || b === null) return a ?? b;
  return isStricterAction(b.action, a.action) ? b : a;
}

/** The least of what both leave free; what enforces nothing has no say. */
export function tighterOf(a: RuleBudgets | null, b: RuleBudgets | null): RuleBudgets | null {
  if (a === null || b === null || a === b) return a ?? b;
  return {
    statementRows: leastOf(a.statementRows, b.statementRows),
    statementBytes: leastOf(a.statementBytes, b.statementBytes),
  };
}

const leastOf = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? (a ?? b) : Math.min(a, b);

/** One verdict for all statements of a frame: the strictest, with everything redacted that any of them redacts. */
export function strictestOf(verdicts: readonly [Verdict, ...Verdict[]]): Verdict {
  const [first, ...others] = verdicts;
  if (others.length === 0) return first;
  const strictest = others.reduce((best, next) => (compareStrictness(next, best) > 0 ? next : best), first);
  const record = verdicts.some((verdict) => verdict.record === 'digest') ? 'digest' : 'full';
  const budgets = verdicts.reduce<RuleBudgets | null>((least, next) => tighterOf(least, next.budgets), null);
  const observed = verdicts.reduce<WouldHave>((best, next) => stricterOf(best, next.wouldHave), null);
  const wouldHave =
    observed !== null && isStricterAction(observed.action, strictest.action) ? observed : null;
  return { ...strictest, budgets, record, wouldHave };
}
