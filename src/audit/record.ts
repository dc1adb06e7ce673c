// What the log can say. One type per kind of record; the common fields (v, seq, node, epoch, time, mono) are the log's own.
import type { HoldId, SessionId } from '../base/ids.ts';
import type { Limit } from '../base/limit.ts';
import type { Vote } from '../holds/hold.ts';
import type { Action, Approvals } from '../rules/verdict.ts';
import type { FunctionUse, RelationUse, StatementClass } from '../sql/facts.ts';
import type { Impact } from '../sql/impact.ts';
import type { Intent } from './intent.ts';

/** Who acts, repeated in every record of a session so that each can be read alone. */
export interface Identity {
  readonly agent: string;
  readonly owner: string;
  readonly onBehalfOf: readonly string[];
  readonly authenticatedBy: string;
  readonly clientAddress: string;
  readonly database: string;
  readonly role: string;
}

export interface IntentDraft {
  readonly type: 'statement.intent';
  readonly intent: Intent;
  /** Bound values as in HoldRequest; null when there are none to speak of. Committed like the text. */
  readonly parameters: readonly (string | null)[] | null;
}

/** What an intent says besides its moment and its values: the same for every run of one prepared statement. */
export interface IntentFields {
  readonly session: SessionId;
  readonly who: Identity;
  readonly protocol: 'simple' | 'extended' | 'function call' | 'startup';
  /** Protocol names, '' for the unnamed ones; absent in simple protocol. */
  readonly statementName: string | null;
  readonly portal: string | null;
  /** Kept as a salted commitment in the leaf; the text itself is an opening beside it. */
  readonly sql: string;
  readonly parameterTypes: readonly number[];
  readonly tags: readonly string[];
  readonly classes: readonly StatementClass[];
  readonly relations: readonly RelationUse[];
  readonly functions: readonly FunctionUse[];
  readonly inTransaction: boolean;
  readonly rules: string;
  readonly rule: string;
  readonly verdict: Action;
  readonly wouldHave: { readonly action: Action; readonly rule: string } | null;
  /** `forward`: it goes to the server after this record. `refuse`: it never does. */
  readonly fate: 'forward' | 'refuse';
  readonly hold: HoldId | null;
  /** Hex SHA-256 of what goes to the server, as binding.ts makes it; null when it was not held. Committed like the text. */
  readonly statementSha256: string | null;
  /** Who decided, for a statement that was held; empty otherwise. */
  readonly votes: readonly Vote[];
  /** Why it was refused: denied, expired, withdrawn, unavailable, doomed …; null when forwarded. */
  readonly refusal: string | null;
  /** `digest`: commit, but write no opening. */
  readonly record: 'full' | 'digest';
}

export interface OutcomeDraft {
  readonly type: 'statement.outcome';
  readonly session: SessionId;
  readonly who: Identity;
  /** seq of its intent. */
  readonly intent: number;
  /** `done`: the server completed it; `failed`: its error; `skipped`: an earlier error made the server ignore it; `lost`: no answer came. */
  readonly result: 'done' | 'failed' | 'skipped' | 'suspended' | 'lost';
  readonly tags: readonly string[];
  readonly rows: number;
  readonly bytes: number;
  readonly sqlstate: string | null;
  readonly durationUs: number;
}

/** One transition of a hold. */
export interface HoldDraft {
  readonly type:
    | 'hold.requested'
    | 'hold.voted'
    | 'hold.approved'
    | 'hold.denied'
    | 'hold.expired'
    | 'hold.withdrawn'
    | 'hold.consumed'
    | 'hold.lapsed'
    | 'hold.revoked'
    | 'hold.executed'
    | 'hold.failed'
    | 'hold.unknown';
  readonly session: SessionId;
  readonly who: Identity;
  readonly hold: HoldId;
  readonly version: number;
  readonly rule: string;
  readonly statementSha256: string;
  readonly vote: Vote | null;
  readonly because: string | null;
  /**
   * What people are asked, said once, in `hold.requested`; null in every other. The intent comes when they have answered, so
   * a statement whose proxy dies meanwhile stands here only. Text and parameters are committed as in the intent.
   */
  readonly sql: string | null;
  /** null also where there are none, and where the rule has them redacted. */
  readonly parameters: readonly (string | null)[] | null;
  /** What it takes. */
  readonly approvals: Approvals | null;
  /** What the people who are asked are told that it would do. */
  readonly impact: readonly Impact[] | null;
  /** As in the intent. */
  readonly record: 'full' | 'digest';
}

export type RecordDraft =
  | {
      readonly type: 'session.open';
      readonly session: SessionId;
      readonly who: Identity;
      readonly applicationName: string;
      readonly purpose: string;
      readonly startup: Readonly<Record<string, string>>;
    }
  | {
      readonly type: 'session.close';
      readonly session: SessionId;
      readonly who: Identity;
      readonly because: string;
      readonly statements: number;
      readonly rows: number;
      readonly bytes: number;
    }
  | IntentDraft
  | OutcomeDraft
  | HoldDraft
  | {
      readonly type: 'login.failed';
      readonly clientAddress: string;
      readonly user: string;
      readonly database: string;
      readonly because: string;
    }
  | { readonly type: 'rules.loaded'; readonly rules: string; readonly files: readonly string[] }
  | {
      readonly type: 'limit.hit';
      readonly session: SessionId | null;
      readonly clientAddress: string;
      readonly limit: Limit;
    }
  | { readonly type: 'started'; readonly version: string }
  | { readonly type: 'stopped' }
  | {
      readonly type: 'recovered';
      readonly cutBytes: number;
      readonly cutSha256: string;
      readonly openIntents: readonly number[];
    };
