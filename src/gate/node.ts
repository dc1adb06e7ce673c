// What every session of a node shares: where it writes, whom it asks, by which rules, within which limits.
import type { AuditLog } from '../audit/log.ts';
import type { Clock } from '../base/clock.ts';
import type { Hold, HoldStore } from '../holds/hold.ts';
import type { RuleSet } from '../rules/verdict.ts';
import type { Impact } from '../sql/impact.ts';
import type { AgentAccounts } from './budget.ts';
import type { ImpactQuestion } from './impact.ts';
import type { LiveCatalog } from './live-catalog.ts';

export interface SessionLimits {
  readonly frameBytes: number;
  /** Bytes that may queue up behind a statement that waits. */
  readonly backlogBytes: number;
  /** Statements in one frame. */
  readonly statements: number;
  /** Prepared statements and portals that a session may have, each. */
  readonly names: number;
  /** Bytes of their texts and values that a session may have kept here. */
  readonly preparedBytes: number;
}

export interface WaitTimes {
  readonly waitMs: number;
  readonly waitInTransactionMs: number;
  readonly noticeMs: number;
  readonly grantMs: number;
}

export interface Node {
  readonly name: string;
  readonly log: AuditLog;
  readonly store: HoldStore;
  readonly clock: Clock;
  readonly limits: SessionLimits;
  readonly times: WaitTimes;
  readonly budgets: AgentAccounts;
  /** Made at start, never leaves this process. */
  readonly bindingKey: Buffer;
  /** By the names that agents connect to. */
  readonly catalogs: ReadonlyMap<string, LiveCatalog>;
  rules(): RuleSet;
  /** Never rejects, and takes no longer than its time limit, or than `giveUp`. `database`: as agents name it. */
  impact(database: string, question: ImpactQuestion, giveUp: Promise<void>): Promise<readonly Impact[]>;
  urlOf(hold: Hold): string;
  /** Work that no session waits for. The node does, before it closes its log. */
  background(work: Promise<void>, what: string): void;
  /** A failure of ours that the operator should see. */
  problem(error: unknown, what: string): void;
}
