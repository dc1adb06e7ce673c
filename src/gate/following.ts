// Follows the server by what it answers: which frame each answer belongs to, what stands under which name, the settings
// that matter to us, how each statement ended. Told of messages by the scanner; replaces the one error of a refused frame.
import type { HoldId } from '../base/ids.ts';
import type { SessionVariables } from '../rules/verdict.ts';
import type { Unknown } from '../sql/facts.ts';
import {
  BACKEND,
  type ErrorFields,
  encodeError,
  parseCommandTag,
  parseErrorFields,
  parseParameterStatus,
  parseReadyForQuery,
} from '../wire/backend.ts';
import type { ScannerOwner } from '../wire/scanner.ts';
import { type ClaimChange, type Claims, changedClaims } from './claims.ts';
import { misreadingOf, UNREPORTED, unread } from './lexing.ts';
import { Names } from './names.ts';
import type { Node } from './node.ts';
import { type Expected, Pipeline, type Result, type Run } from './pipeline.ts';
import { outcomeDraft, type Speaker } from './recording.ts';

/** What the rules see of a session, and what the client wants of the gate. */
export type StatedVariables = SessionVariables & Pick<Claims, 'maxWaitMs'>;
export type UnchangingVariables = Omit<StatedVariables, 'inTransaction'>;

export interface FollowingOptions {
  readonly node: Node;
  readonly speaker: Speaker;
  readonly variables: UnchangingVariables;
  /** ParameterStatus values since the login; kept up to date here. */
  readonly parameters: Map<string, string>;
  /** The server reads texts otherwise from now on. */
  readonly onReadOtherwise: () => void;
  /** A statement that a person approved has ended. */
  readonly onHeldEnded: (id: HoldId, state: 'executed' | 'failed' | 'unknown') => void;
}

export class Following implements ScannerOwner {
  readonly names = new Names();
  readonly pipeline: Pipeline;
  readonly totals = { statements: 0, rows: 0, bytes: 0 };
  /** Why the server may read a text otherwise than we do, by the settings that it last reported; null: it does not. */
  misreading: string | null;
  /** A statement under way may have changed a setting; what the server reports counts again from ReadyForQuery on. */
  settingsDoubtful = false;
  /** The server has said why it closes the connection. */
  saidGoodbye = false;
  readonly #options: FollowingOptions;
  /** Query messages that may be a COPY FROM STDIN and that the server has not finished. */
  #copies = 0;
  #variables: { readonly idle: StatedVariables; readonly busy: StatedVariables };

  constructor(options: FollowingOptions) {
    const { variables, parameters } = options;
    this.#options = options;
    this.pipeline = new Pipeline((entry, result) => this.#settle(entry, result));
    this.#variables = stated(variables);
    this.misreading = misreadingOf(parameters);
  }

  /** As the rules see the session now. */
  get variables(): StatedVariables {
    const { status, implicitBlock } = this.pipeline;
    return status !== 'I' || implicitBlock ? this.#variables.busy : this.#variables.idle;
  }

  get searchPath(): string | null {
    return this.#options.parameters.get('search_path') ?? null;
  }

  /** Why a text that is sent now would not be understood, whatever it says; null where the server reads it as we do. */
  unread(sql: Buffer): Unknown | null {
    const why = this.settingsDoubtful ? UNREPORTED : this.misreading;
    return why === null ? null : unread(sql, why);
  }

  /** A Query is under way that may be a COPY FROM STDIN, and take what follows for its data. */
  get mayCopyIn(): boolean {
    return this.#copies > 0;
  }

  /** A message that will be answered goes to the server now. */
  expect(entry: Expected): void {
    if (mayCopyIn(entry)) this.#copies++;
    if ('run' in entry) {
      this.totals.statements++;
      for (const changes of entry.run.changes) for (const change of changes) this.names.expect(change, 'SQL');
    }
    this.pipeline.expect(entry);
  }

  onHeader(tag: number, frameLength: number, bytes: Buffer, at: number): void {
    switch (tag) {
      case BACKEND.DataRow:
      case BACKEND.CopyData: {
        const run = this.pipeline.current;
        if (run !== null) {
          run.rows++;
          run.bytes += frameLength;
        }
        return;
      }
      case BACKEND.ParseComplete:
        return this.pipeline.onParseComplete();
      case BACKEND.BindComplete:
        return this.pipeline.onBindComplete();
      case BACKEND.CloseComplete:
        return this.pipeline.onCloseComplete();
      case BACKEND.RowDescription:
      case BACKEND.NoData:
        return this.pipeline.onDescribed();
      case BACKEND.EmptyQueryResponse:
        return this.pipeline.onCommandComplete(null);
      case BACKEND.FunctionCallResponse:
        return this.pipeline.onFunctionCallResponse();
      case BACKEND.PortalSuspended:
        return this.pipeline.onPortalSuspended();
      case BACKEND.CopyInResponse:
        return this.pipeline.onCopyIn();
      case BACKEND.ErrorResponse:
        // Longer than what is read whole: it repeats a value of the client's. SQLSTATE is among its first fields.
        return this.pipeline.onError(
          /\0C([0-9A-Z]{5})\0/.exec(bytes.toString('latin1', at, at + 200))?.[1] ?? 'XX000',
        );
    }
  }

  onWhole(tag: number, frame: Buffer): Buffer {
    switch (tag) {
      case BACKEND.CommandComplete:
        this.#onCommandComplete(frame);
        return frame;
      case BACKEND.ReadyForQuery:
        this.pipeline.onReadyForQuery(parseReadyForQuery(frame));
        if (this.pipeline.status === 'I') this.names.transactionEnded();
        if (this.pipeline.idle) this.settingsDoubtful = false;
        return frame;
      case BACKEND.ParameterStatus:
        this.#onParameterStatus(frame);
        return frame;
      default:
        return this.#onErrorResponse(frame, parseErrorFields(frame));
    }
  }

  #onCommandComplete(frame: Buffer): void {
    const { tag, rows } = parseCommandTag(frame);
    const run = this.pipeline.current;
    for (const change of run?.changes[run.tags.length] ?? []) {
      if (change.kind === 'claim') this.#claim(change);
      this.names.confirm(change);
    }
    this.pipeline.onCommandComplete(rows === null ? tag : `${tag} ${rows}`);
  }

  #onParameterStatus(frame: Buffer): void {
    const { parameters } = this.#options;
    const { name, value } = parseParameterStatus(frame);
    parameters.set(name, value);
    if (name === 'application_name') {
      const { idle } = this.#variables;
      this.#variables = stated({ ...idle, claimed: { ...idle.claimed, applicationName: value } });
    }
    const before = this.misreading;
    this.misreading = misreadingOf(parameters);
    if (this.misreading !== before) this.#options.onReadOtherwise();
  }

  #claim(change: ClaimChange): void {
    const { variables } = this.#options;
    const { idle } = this.#variables;
    const atStart = { purpose: variables.claimed.purpose, maxWaitMs: variables.maxWaitMs };
    const now = { purpose: idle.claimed.purpose, maxWaitMs: idle.maxWaitMs };
    const { purpose, maxWaitMs } = changedClaims(now, change, atStart);
    this.#variables = stated({ ...idle, claimed: { ...idle.claimed, purpose }, maxWaitMs });
  }

  #onErrorResponse(frame: Buffer, fields: ErrorFields): Buffer {
    const severity = fields['V'] ?? fields['S'];
    if (severity === 'FATAL' || severity === 'PANIC') {
      this.saidGoodbye = true;
      return frame;
    }
    const refusal = this.pipeline.refusal;
    this.pipeline.onError(fields['C'] ?? 'XX000');
    return refusal === null ? frame : encodeError(refusal, 'ERROR');
  }

  #settle(entry: Expected, result: Result): void {
    if ('change' in entry) {
      if (result === 'done') this.names.confirm(entry.change);
      else this.names.reject(entry.change);
    }
    if (mayCopyIn(entry)) this.#copies--;
    if ('run' in entry) this.#settleRun(entry.run, result);
  }

  #settleRun(run: Run, result: Result): void {
    const { node, speaker, onHeldEnded } = this.#options;
    for (let i = run.tags.length; i < run.changes.length; i++) {
      for (const change of run.changes[i] ?? []) this.names.reject(change);
    }
    this.totals.rows += run.rows;
    this.totals.bytes += run.bytes;
    node.log.append(outcomeDraft(speaker, run, result, node.clock.monoUs()));
    if (run.hold !== null) onHeldEnded(run.hold, HELD_ENDED[result]);
  }
}

const HELD_ENDED = {
  done: 'executed',
  suspended: 'executed',
  failed: 'failed',
  skipped: 'failed',
  lost: 'unknown',
} as const satisfies Record<Result, string>;

function mayCopyIn(entry: Expected): boolean {
  return entry.kind === 'query' && entry.mayCopyIn;
}

function stated(variables: UnchangingVariables): { idle: StatedVariables; busy: StatedVariables } {
  return { idle: { ...variables, inTransaction: false }, busy: { ...variables, inTransaction: true } };
}
