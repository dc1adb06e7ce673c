// Follows the server by what it answers: which frame each answer belongs to, what stands under which name, the settings
// that matter to us, how each statement ended. Told of messages by the scanner; replaces the one error of a refused frame.
import { CountersignError } from '../base/errors.ts';
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
import type { Fate, ScannerOwner } from '../wire/scanner.ts';
import type { Budget, Exceeded } from './budget.ts';
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
  readonly budget: Budget;
  /** The next row of this would pass a budget; it has not gone out. */
  readonly onExceeded: (run: Run, exceeded: Exceeded) => void;
  /** A statement that may not send more has sent all, and must fail all the same: by a message of this protocol. */
  readonly onTooLate: (protocol: 'simple' | 'extended', error: CountersignError) => void;
  /** A statement that a person approved has ended. */
  readonly onHeldEnded: (id: HoldId, state: 'executed' | 'failed' | 'unknown') => void;
}

export class Following implements ScannerOwner {
  readonly names = new Names();
  readonly pipeline: Pipeline;
  readonly budget: Budget;
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
  /** Of a statement that was stopped and had completed: told at its ReadyForQuery. */
  #overdue: Overdue | null = null;
  #variables: { readonly idle: StatedVariables; readonly busy: StatedVariables };

  constructor(options: FollowingOptions) {
    const { variables, parameters } = options;
    this.#options = options;
    this.budget = options.budget;
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

  onHeader(tag: number, frameLength: number, bytes: Buffer, at: number): Fate {
    if (tag === BACKEND.DataRow || tag === BACKEND.CopyData) return this.#onRow(frameLength);
    // What a statement says behind the row at which it was stopped is not for the client.
    const stopped = this.pipeline.current?.denial != null && OF_A_STATEMENT.has(tag);
    this.#onOther(tag, bytes, at);
    return stopped ? 'drop' : 'pass';
  }

  #onRow(bytes: number): Fate {
    const run = this.pipeline.current;
    if (run === null) return 'pass';
    if (run.denial !== null) return 'drop';
    const exceeded = run.most === null ? null : this.budget.spend(run.work.spends, run.most, bytes);
    if (exceeded !== null) {
      this.#options.onExceeded(run, exceeded);
      return 'stop';
    }
    run.rows++;
    run.bytes += bytes;
    return 'pass';
  }

  #onOther(tag: number, bytes: Buffer, at: number): void {
    switch (tag) {
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
        return this.#completed(() => this.pipeline.onCommandComplete(null));
      case BACKEND.FunctionCallResponse:
        return this.pipeline.onFunctionCallResponse();
      case BACKEND.PortalSuspended:
        return this.#completed(() => this.pipeline.onPortalSuspended());
      case BACKEND.CopyInResponse: {
        // The client is not told, so it would not send what the server now waits for.
        const denial = this.pipeline.current?.denial;
        if (denial != null) throw tooLate(denial);
        return this.pipeline.onCopyIn();
      }
      case BACKEND.ErrorResponse:
        // Longer than what is read whole: it repeats a value of the client's. SQLSTATE is among its first fields.
        return this.pipeline.onError(
          /\0C([0-9A-Z]{5})\0/.exec(bytes.toString('latin1', at, at + 200))?.[1] ?? 'XX000',
        );
    }
  }

  onWhole(tag: number, frame: Buffer): Buffer {
    switch (tag) {
      case BACKEND.CommandComplete: {
        const stopped = this.pipeline.current?.denial != null;
        this.#completed(() => this.#onCommandComplete(frame));
        return stopped ? NOTHING : frame;
      }
      case BACKEND.ReadyForQuery:
        return this.#onReadyForQuery(frame);
      case BACKEND.ParameterStatus:
        this.#onParameterStatus(frame);
        return frame;
      default:
        return this.#onErrorResponse(frame, parseErrorFields(frame));
    }
  }

  /** `complete`: what an answer that ends a statement means, if it is none that was stopped. */
  #completed(complete: () => void): void {
    const run = this.pipeline.current;
    const { behind } = this.pipeline;
    const isExecute = this.pipeline.executing;
    complete();
    if (run === null || run.denial === null || !isExecute) return; // of a Query, ReadyForQuery is the end
    if (behind.next === null) this.#options.onTooLate('extended', run.denial);
    else if (behind.next === 'sync') this.#overdue = { error: run.denial, undone: run.leavesNothing };
    else throw tooLate(run.denial);
  }

  #onReadyForQuery(frame: Buffer): Buffer {
    const run = this.pipeline.current;
    if (run !== null && run.denial !== null && run.sqlstate === null) {
      this.#overdue = { error: run.denial, undone: run.leavesNothing };
    }
    this.pipeline.onReadyForQuery(parseReadyForQuery(frame));
    const { status, idle } = this.pipeline;
    if (status === 'I') this.names.transactionEnded();
    if (idle) this.settingsDoubtful = false;
    if (this.#overdue === null) return frame;
    const { error, undone } = this.#overdue;
    this.#overdue = null;
    // Its transaction must fail with it, which only the server can bring about, and in its turn.
    if (status === 'T' && idle) {
      this.#options.onTooLate('simple', error);
      return NOTHING;
    }
    // What has been committed must not pass for undone.
    if (status === 'T' || (status === 'I' && !undone)) throw tooLate(error);
    return Buffer.concat([encodeError(error, 'ERROR'), frame]);
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

interface Overdue {
  readonly error: CountersignError;
  /** It has left nothing behind that an error would have undone. */
  readonly undone: boolean;
}

const NOTHING = Buffer.alloc(0);

/** Messages of which the client hears nothing when they are of a statement that was stopped. */
const OF_A_STATEMENT: ReadonlySet<number> = new Set([
  BACKEND.CopyDone,
  BACKEND.CopyOutResponse,
  BACKEND.EmptyQueryResponse,
  BACKEND.PortalSuspended,
  BACKEND.RowDescription,
]);

/** The server could not be stopped in time, and what it has done cannot be told apart from what the client would think. */
const tooLate = (denial: CountersignError): CountersignError =>
  new CountersignError(
    denial.code,
    `${denial.message}; the server had completed it, and perhaps what was sent behind it, so the connection is closed`,
    {
      ...(denial.detail !== undefined && { detail: denial.detail }),
      hint: 'What ran on this connection may have been committed: look before you repeat it.',
    },
  );

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
