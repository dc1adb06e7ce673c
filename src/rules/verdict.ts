// What the rules say of one statement in one session, and what they look at besides its facts.
import type { Facts, Unknown } from '../sql/facts.ts';

/** Proven things about a session; CEL variable `session`. */
export interface SessionVariables {
  readonly agent: string;
  readonly owner: string;
  /** Delegation chain, outermost person first; empty when the agent acts for itself. */
  readonly onBehalfOf: readonly string[];
  readonly groups: readonly string[];
  readonly claims: Readonly<Record<string, unknown>>;
  readonly database: string;
  /** The role used upstream. */
  readonly role: string;
  readonly clientAddress: string;
  readonly tls: boolean;
  readonly inTransaction: boolean;
  /** What the client says of itself and nobody has proved; CEL variable `claimed`. */
  readonly claimed: { readonly applicationName: string; readonly purpose: string };
}

export type Action = 'allow' | 'hold' | 'deny';

export interface Approvals {
  /** How many distinct people must say yes. */
  readonly count: number;
  /** Any of these groups may vote; empty: any approver. */
  readonly groups: readonly string[];
  readonly reasonRequired: boolean;
}

/** How much of a statement's answer goes out before a person is asked; null: as much as the configuration says. */
export interface RuleBudgets {
  readonly statementRows: number | null;
  readonly statementBytes: number | null;
}

export interface Verdict {
  readonly action: Action;
  /** The rule that decided; `default` when none matched. */
  readonly rule: string;
  /** Shown to the agent and the approver; null when the rule has none. */
  readonly message: string | null;
  readonly contact: string | null;
  readonly approvals: Approvals;
  /** Of what it lets through; null where nothing is enforced, and so nothing is stopped. */
  readonly budgets: RuleBudgets | null;
  /** `digest`: parameter values and text are committed to in the log but not written. */
  readonly record: 'full' | 'digest';
  /** Set when a rule that is not enforced would have been stricter: recorded as "would have held". */
  readonly wouldHave: { readonly action: Action; readonly rule: string } | null;
}

export interface RuleSet {
  /** `sha256:` and hex over the canonical content of all packs; stands in every record. */
  readonly hash: string;
  /** Never throws: a condition that fails to evaluate counts as matched (fail closed). */
  judge(statement: Facts | Unknown, session: SessionVariables): Verdict;
}
