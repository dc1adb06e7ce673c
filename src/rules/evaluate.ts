// Judges a statement in a session by a set of packs. Synchronous, never throws, and where nothing but the statement is
// looked at, once per statement text. The strictest answer of all packs counts; within a pack the strictest rule that
// matches, or the pack's default when none does. What is not enforced decides nothing and is only remembered.
import type { Facts, Unknown } from '../sql/facts.ts';
import type { Condition } from './condition.ts';
import { compareStrictness, isStricterAction, tighterOf } from './strictness.ts';
import { Variables } from './variables.ts';
import type { RuleBudgets, SessionVariables, Verdict } from './verdict.ts';

export interface CompiledRule {
  readonly file: string;
  readonly description: string | null;
  readonly enforce: boolean;
  readonly condition: Condition;
  /** What it says when it matches. */
  readonly verdict: Verdict;
}

export interface CompiledPack {
  readonly file: string;
  readonly enforce: boolean;
  readonly rules: readonly CompiledRule[];
  /** What it says when no rule matches. */
  readonly otherwise: Verdict;
}

/** One rule's answer, for `rules explain`. */
export interface Answer {
  readonly rule: CompiledRule;
  readonly enforced: boolean;
  readonly matched: boolean;
  /** Why the condition could not be evaluated; it then counts as matched unless the rule allows. */
  readonly failure: string | null;
}

/** As the configuration says. */
const CONFIGURED: RuleBudgets = Object.freeze({ statementRows: null, statementBytes: null });
const ANYONE = { count: 1, groups: [], reasonRequired: false } as const;

export function verdictOf(rule: Pick<Verdict, 'action' | 'rule'> & Partial<Verdict>): Verdict {
  return Object.freeze({
    message: null,
    contact: null,
    approvals: ANYONE,
    budgets: CONFIGURED,
    record: 'full',
    wouldHave: null,
    ...rule,
  } satisfies Verdict);
}

/** When no pack is enforced. */
const OBSERVED = verdictOf({ action: 'allow', rule: 'default', budgets: null });

function answerOf(rule: CompiledRule, enforced: boolean, variables: Variables): Answer {
  const said = rule.condition.matches(variables);
  if (typeof said === 'boolean') return { rule, enforced, matched: said, failure: null };
  // Fail closed: whatever stops a statement applies, whatever lets it through does not.
  return { rule, enforced, matched: rule.verdict.action !== 'allow', failure: said };
}

function said(answer: Answer): Verdict {
  const { verdict } = answer.rule;
  if (answer.failure === null) return verdict;
  const note = `The condition of this rule could not be evaluated (${answer.failure}), so it applies.`;
  return { ...verdict, message: verdict.message === null ? note : `${verdict.message} ${note}` };
}

function stricter(a: Verdict | null, b: Verdict): Verdict {
  return a === null || compareStrictness(b, a) > 0 ? b : a;
}

export class Judge {
  readonly #packs: readonly CompiledPack[];
  readonly #nowMs: () => number;
  /** Facts never change, so what depends on them alone never does. Null when a condition looks at anything else. */
  readonly #known: WeakMap<Facts | Unknown, Verdict> | null;

  constructor(packs: readonly CompiledPack[], nowMs: () => number) {
    this.#packs = packs;
    this.#nowMs = nowMs;
    const looksElsewhere = packs.some((pack) =>
      pack.rules.some(({ condition }) =>
        [...condition.looksAt].some((path) => path.split('.', 1)[0] !== 'statement'),
      ),
    );
    this.#known = looksElsewhere ? null : new WeakMap();
  }

  judge(statement: Facts | Unknown, session: SessionVariables): Verdict {
    const known = this.#known?.get(statement);
    if (known !== undefined) return known;
    const variables = new Variables(statement, session, this.#nowMs);
    const verdict = this.#decide((pack) =>
      pack.rules.map((rule) => answerOf(rule, pack.enforce && rule.enforce, variables)),
    );
    this.#known?.set(statement, verdict);
    return verdict;
  }

  /** As `judge`, with every rule's answer. */
  explain(
    statement: Facts | Unknown,
    session: SessionVariables,
  ): { verdict: Verdict; answers: readonly Answer[] } {
    const variables = new Variables(statement, session, this.#nowMs);
    const answers: Answer[] = [];
    const verdict = this.#decide((pack) => {
      const ofPack = pack.rules.map((rule) => answerOf(rule, pack.enforce && rule.enforce, variables));
      answers.push(...ofPack);
      return ofPack;
    });
    return { verdict, answers };
  }

  #decide(answersOf: (pack: CompiledPack) => readonly Answer[]): Verdict {
    let decided: Verdict | null = null;
    let observed: Verdict | null = null;
    let redact = false;
    let budgets: RuleBudgets = CONFIGURED;
    for (const pack of this.#packs) {
      let enforced: Verdict | null = null;
      let any: Verdict | null = null;
      for (const answer of answersOf(pack)) {
        if (!answer.matched) continue;
        const verdict = said(answer);
        any = stricter(any, verdict);
        if (!answer.enforced) continue;
        enforced = stricter(enforced, verdict);
        redact ||= verdict.record === 'digest';
        budgets = tighterOf(budgets, verdict.budgets) ?? CONFIGURED;
      }
      if (pack.enforce) decided = stricter(decided, enforced ?? pack.otherwise);
      observed = stricter(observed, any ?? pack.otherwise);
    }
    return this.#verdict(decided, observed, redact, budgets);
  }

  #verdict(
    enforced: Verdict | null,
    observed: Verdict | null,
    redact: boolean,
    budgets: RuleBudgets,
  ): Verdict {
    const decided = enforced ?? OBSERVED;
    const would = observed !== null && isStricterAction(observed.action, decided.action) ? observed : null;
    if (would === null && (decided.record === 'digest') === redact && budgets === CONFIGURED) return decided;
    return Object.freeze({
      ...decided,
      budgets: enforced === null ? null : budgets,
      record: redact ? 'digest' : 'full',
      wouldHave: would === null ? null : { action: would.action, rule: would.rule },
    } satisfies Verdict);
  }
}
