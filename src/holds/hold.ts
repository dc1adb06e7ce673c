// A hold: one statement that waits for a person. Values only; `machine.ts` says how it may change, the stores keep it.
import type { HoldId, SessionId } from '../base/ids.ts';
import type { Approvals } from '../rules/verdict.ts';
import type { RelationUse, StatementClass } from '../sql/facts.ts';
import type { Impact } from '../sql/impact.ts';

export const HOLD_STATES = [
  'pending',
  'approved',
  'denied',
  'expired',
  'withdrawn',
  'consumed',
  'lapsed',
  'revoked',
  'executed',
  'failed',
  'unknown',
] as const;
export type HoldState = (typeof HOLD_STATES)[number];

/** What an approver is shown and what an approval covers. JSON-safe: it goes through Redis, HTTP and the log. */
export interface HoldRequest {
  readonly id: HoldId;
  /** The proxy node that holds the client's connection. */
  readonly node: string;
  readonly session: SessionId;
  readonly agent: string;
  readonly owner: string;
  readonly onBehalfOf: readonly string[];
  /** Everyone who may not decide this: subject, every actor in the chain, the agent, its owner. */
  readonly requesters: readonly string[];
  readonly authenticatedBy: string;
  readonly clientAddress: string;
  readonly claimed: { readonly applicationName: string; readonly purpose: string };
  readonly database: string;
  readonly role: string;
  readonly inTransaction: boolean;
  readonly statement: {
    /** The whole frame's SQL, every statement in it. */
    readonly text: string;
    /** Hex SHA-256 of the SQL bytes and the parameters: what a vote must name. See binding.ts. */
    readonly sha256: string;
    readonly tags: readonly string[];
    readonly classes: readonly StatementClass[];
    readonly relations: readonly RelationUse[];
    readonly reasons: readonly string[];
    /** Bound values in order: text, `\x…` for binary, null for NULL; absent where the rule redacts them. */
    readonly parameters: readonly (string | null)[] | null;
  };
  /** Of each statement, as it was when this was asked; no part of what an approval covers. */
  readonly impact: readonly Impact[];
  readonly rule: {
    readonly name: string;
    readonly message: string | null;
    readonly contact: string | null;
    readonly hash: string;
  };
  readonly approvals: Approvals;
  /** Hex HMAC over identity, database, role, search_path, rules, SQL and parameters; see binding.ts. */
  readonly binding: string;
  readonly requestedAtMs: number;
  /** When a pending hold expires. */
  readonly deadlineMs: number;
  /** How long an approval may wait to be consumed, from the approval, milliseconds. */
  readonly grantMs: number;
}

export interface Vote {
  /** The approver's own name, as configured or as proved by the issuer. */
  readonly voter: string;
  readonly groups: readonly string[];
  readonly decision: 'approve' | 'deny';
  readonly reason: string | null;
  readonly atMs: number;
  /** How the vote came in: api, cli, console, slack. */
  readonly channel: string;
}

export interface Hold {
  readonly version: number;
  readonly state: HoldState;
  readonly request: HoldRequest;
  readonly votes: readonly Vote[];
  /** When the approval lapses; null before it is approved. */
  readonly grantUntilMs: number | null;
  /** When and why it ended, for states that end it. */
  readonly closedAtMs: number | null;
  readonly closedBecause: string | null;
}

export type HoldEvent =
  | { readonly type: 'vote'; readonly vote: Vote; readonly statementSha256: string; readonly version: number }
  | {
      readonly type: 'withdraw';
      readonly because:
        | 'client cancelled'
        | 'client disconnected'
        | 'upstream lost'
        | 'requester'
        | 'shutdown';
    }
  | { readonly type: 'expire' }
  | { readonly type: 'consume'; readonly binding: string }
  | { readonly type: 'lapse' }
  | { readonly type: 'revoke'; readonly by: string; readonly reason: string }
  | { readonly type: 'outcome'; readonly state: 'executed' | 'failed' | 'unknown' };

/** Why an event was refused. Each is a code of base/errors.ts. */
export type Refusal =
  | 'self_approval'
  | 'not_an_approver'
  | 'stale'
  | 'decided'
  | 'bad_request'
  | 'not_found'
  | 'expired';

export type StepResult =
  | { readonly ok: true; readonly hold: Hold; readonly event: HoldEvent }
  | { readonly ok: false; readonly refusal: Refusal; readonly message: string; readonly hold: Hold | null };

/** One change of one hold, as told to listeners. */
export interface HoldChange {
  readonly hold: Hold;
  /** null: it was requested just now. */
  readonly event: HoldEvent | null;
}

/**
 * Where holds live. One contract, two implementations (memory.ts, redis.ts), one conformance suite.
 * Every method rejects with CountersignError `approvals_unavailable` when the store cannot answer in time.
 */
export interface HoldStore {
  create(request: HoldRequest): Promise<Hold>;
  get(id: HoldId): Promise<Hold | null>;
  /** Newest last. `open`: pending and approved only. */
  list(which: 'open' | 'all'): Promise<readonly Hold[]>;
  /** The only way to change a hold. Exactly one of several racing callers gets `ok` for a version. */
  apply(id: HoldId, event: HoldEvent): Promise<StepResult>;
  /**
   * Calls `listener` with the newest state whenever the hold has changed, on whatever node, until the returned
   * function is called. At least once per change that is still newest when looked at; a lost wake-up is made good by
   * polling within 2 s. The hold is looked at once at the start: if it is past version 1 already, that counts as a
   * change. `lost` is called when the store has been out of reach for 5 s, and when the hold is not (or no longer) there.
   */
  watch(id: HoldId, listener: (hold: Hold) => void, lost: (error: Error) => void): () => void;
  /** Every change applied anywhere, once per change on each node while connected. */
  onChange(listener: (change: HoldChange) => void): () => void;
  /** Ends what has passed its deadline. Called every second or so by one timer per process; returns what it ended. */
  sweep(): Promise<readonly HoldChange[]>;
  ready(): boolean;
  close(): Promise<void>;
}
