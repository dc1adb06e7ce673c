// What the server still owes us, in order: one entry for each forwarded message that has an answer. Pure.
// It says which answer belongs to which frame, what the server skips after an error, and the transaction's true status
// (manual, "Extended Query", "Pipelining", "COPY Operations").
import { CountersignError } from '../base/errors.ts';
import type { HoldId } from '../base/ids.ts';
import type { Verdict } from '../rules/verdict.ts';
import type { TransactionStatus } from '../wire/backend.ts';
import type { Amount } from './budget.ts';
import type { NameChange, Portal } from './names.ts';
import type { Work } from './work.ts';

/** A statement under way: what its outcome record will say. */
export interface Run {
  /** seq of its intent in the log. */
  readonly intent: number;
  readonly startedUs: number;
  readonly work: Work;
  readonly verdict: Verdict;
  /** What it may send unasked; null: all that there is. */
  most: Amount | null;
  /** A person was asked before it ran, or whether it may send more; told how it ended. */
  hold: HoldId | null;
  /** Nothing would have to be undone if it failed: it reads, and nothing ran before it in the same transaction. */
  readonly leavesNothing: boolean;
  /** It may not send more: the error that the client is told in place of how it ends. */
  denial: CountersignError | null;
  /** What each of its statements does to the names, in order; one CommandComplete comes for each. */
  readonly changes: readonly (readonly NameChange[])[];
  rows: number;
  bytes: number;
  tags: string[];
  sqlstate: string | null;
}

export type Expected =
  | { readonly kind: 'parse' | 'bind' | 'close'; readonly change: NameChange }
  | { readonly kind: 'describe' }
  | { readonly kind: 'execute'; readonly portal: Portal; readonly run: Run }
  | { readonly kind: 'query'; readonly run: Run; readonly mayCopyIn: boolean }
  | { readonly kind: 'function call'; readonly run: Run }
  /** In place of a refused Execute, Query or FunctionCall: one that must fail, whose error becomes `error`. */
  | { readonly kind: 'refused execute' | 'refused query'; readonly error: CountersignError }
  /** `doubtful`: sent while a COPY FROM STDIN may be under way, when the server ignores it. */
  | { readonly kind: 'sync'; doubtful: boolean }
  /** CopyDone or CopyFail. It has no answer of its own. */
  | { readonly kind: 'copy end' };

export type Result = 'done' | 'failed' | 'skipped' | 'suspended' | 'lost';

/** Messages whose answer ends with a ReadyForQuery. */
const ENDS_READY: ReadonlySet<Expected['kind']> = new Set([
  'sync',
  'query',
  'function call',
  'refused query',
]);

export class Pipeline {
  /** The transaction's status in the last ReadyForQuery. */
  status: TransactionStatus = 'I';
  /** What is sent next runs in an implicit transaction block: an Execute went before it, and no Sync since. */
  implicitBlock = false;
  readonly #onSettled: (entry: Expected, result: Result) => void;
  /** A Flush went out behind a message of the extended protocol, and no Sync since. */
  #flushed = false;
  /** Query and FunctionCall messages behind such a Flush. */
  readonly #behindFlush = new WeakSet<Expected>();
  #queue: Expected[] = [];
  /** Where the queue begins. Array.shift moves the whole array once it is long, and a client may make it so. */
  #first = 0;
  #skipping = false;
  /** It may skip no more: a Sync that a failed COPY has read, or has not, stands before what comes now. */
  #doubted = false;
  #copyIn = false;
  /** The head is a COPY FROM STDIN that has begun. */
  #copying = false;
  /** The head, a Query or a FunctionCall, has had an answer other than rows. */
  #begun = false;
  /** ReadyForQuery that may still come for a doubtful Sync which was given up. */
  #stray = 0;
  /** What was sent last is of the extended protocol, so an error now would make the server skip to a Sync. */
  #extended = false;

  constructor(onSettled: (entry: Expected, result: Result) => void) {
    this.#onSettled = onSettled;
  }

  /** Everything sent so far has been answered, or will be ignored. */
  get idle(): boolean {
    return this.#head() === undefined;
  }

  /** Everything is answered, or will be by what the client sends: the rest of a COPY. */
  get settled(): boolean {
    return this.idle || this.#copyIn;
  }

  /** Messages that the server has still to answer. */
  get length(): number {
    this.#head(); // a CopyDone has no answer to wait for
    return this.#queue.length - this.#first;
  }

  /** An error has made the server ignore everything up to the next Sync. */
  get skipping(): boolean {
    return this.#skipping;
  }

  /** The server waits for CopyData, and nothing that ends the COPY is on its way. */
  get copyIn(): boolean {
    return this.#copyIn;
  }

  /** `entry`'s message goes to the server now. */
  expect(entry: Expected): void {
    if (this.#skipping) {
      if (entry.kind === 'copy end') return;
      if (entry.kind !== 'sync') {
        if (this.#doubted) throw untold(BEHIND_DOUBTED);
        this.#onSettled(entry, 'skipped');
        return;
      }
      this.#skipping = false;
      this.#doubted = false;
    }
    this.#extended = !ENDS_READY.has(entry.kind);
    if (this.#flushed && !this.#extended) {
      if (entry.kind !== 'sync') this.#behindFlush.add(entry);
      this.#flushed = false;
    }
    // A message that has no place in a COPY ends it, as CopyDone and CopyFail do.
    if (entry.kind === 'sync') entry.doubtful = this.#copyIn;
    else this.#copyIn = false;
    if (entry.kind === 'execute') this.implicitBlock = true;
    else if (ENDS_READY.has(entry.kind) && !('doubtful' in entry && entry.doubtful))
      this.implicitBlock = false;
    this.#queue.push(entry);
  }

  /** A Flush goes to the server now. It has no answer, but a statement time-out may be noticed at it. */
  flushed(): void {
    if (this.#extended) this.#flushed = true;
  }

  /** The run whose rows are arriving. */
  get current(): Run | null {
    const head = this.#head();
    return head !== undefined && 'run' in head ? head.run : null;
  }

  /** The head is an Execute. */
  get executing(): boolean {
    return this.#head()?.kind === 'execute';
  }

  /** The error that must go out instead of the server's, when the next answer is to a frame that was refused, or stopped. */
  get refusal(): CountersignError | null {
    const head = this.#head();
    if (head === undefined) return null;
    return 'error' in head ? head.error : 'run' in head ? head.run.denial : null;
  }

  /** What has been sent behind the head: its next message, and whether there are others. */
  get behind(): { readonly next: Expected['kind'] | null; readonly more: boolean } {
    this.#head();
    const next = this.#queue[this.#first + 1];
    return { next: next?.kind ?? null, more: this.#queue.length > this.#first + 2 };
  }

  onParseComplete(): void {
    this.#take('parse', 'done');
  }

  onBindComplete(): void {
    this.#take('bind', 'done');
  }

  onCloseComplete(): void {
    this.#take('close', 'done');
  }

  /** RowDescription or NoData: the end of a Describe's answer, or a part of a Query's. */
  onDescribed(): void {
    if (this.#answered('describe', 'query').kind === 'describe') this.#settle('done');
  }

  /** CommandComplete or EmptyQueryResponse (`tag` null). */
  onCommandComplete(tag: string | null): void {
    const head = this.#answered('execute', 'query');
    if (!('run' in head)) return;
    if (tag !== null) head.run.tags.push(tag);
    this.#begun = true;
    this.#endCopy('ignored');
    if (head.kind === 'execute') this.#settle('done');
  }

  onFunctionCallResponse(): void {
    this.#answered('function call');
    this.#begun = true;
  }

  onPortalSuspended(): void {
    const head = this.#answered('execute');
    if (head.kind !== 'execute') return;
    head.portal.suspended = true;
    this.#settle('suspended');
  }

  onCopyIn(): void {
    const head = this.#answered('execute', 'query');
    this.#copying = true;
    this.#copyIn = true;
    // What was sent behind the COPY before we knew that it is one: the server ignores Sync until something ends the COPY.
    this.#trim();
    for (const entry of this.#queue.slice(1)) {
      if (entry.kind !== 'sync') {
        this.#copyIn = false;
        break;
      }
      entry.doubtful = true;
    }
    if (this.#copyIn && head.kind === 'execute') this.implicitBlock = true;
  }

  /** An ErrorResponse that does not end the session. */
  onError(sqlstate: string): void {
    this.#copyIn = false;
    const head = this.#head();
    if (head === undefined) {
      // A statement time-out, seen at a Flush. In the extended protocol the server skips from here on too.
      this.#skipping = this.#extended;
      if (!this.#extended) this.#stray++;
      return;
    }
    if (sqlstate === QUERY_CANCELED && !this.#begun && this.#behindFlush.has(head)) {
      // Either the Flush before it failed, and then the server skips this one to a Sync, or it failed itself.
      throw untold('a Query behind a Flush without Sync, when the time of a statement is over');
    }
    switch (head.kind) {
      case 'query':
      case 'function call':
        // Servers from 14 on end the session here; those before have read a message instead of data, and forgotten it.
        if (this.#copying && sqlstate === PROTOCOL_VIOLATION)
          throw untold('a statement during COPY FROM STDIN');
        head.run.sqlstate = sqlstate;
        this.#begun = true;
        this.#endCopy('perhaps ignored');
        return;
      case 'refused query':
        this.#begun = true;
        return;
      case 'sync': // a deferred constraint, found while committing
        return;
      case 'execute':
        head.run.sqlstate = sqlstate;
        break;
    }
    this.#settle('failed');
    this.#skipToSync();
  }

  onReadyForQuery(status: TransactionStatus): void {
    this.status = status;
    const head = this.#head();
    // Only a Sync has no other answer.
    const early = head?.kind !== 'sync' && !this.#begun;
    if (head === undefined || !ENDS_READY.has(head.kind) || early) {
      if (this.#stray === 0) throw new UnexpectedAnswer('ReadyForQuery', head?.kind);
      this.#stray--;
      if (head === undefined) {
        this.#skipping = false;
        this.#doubted = false;
      }
      return;
    }
    this.#settle('run' in head && head.run.sqlstate !== null ? 'failed' : 'done');
  }

  /** The server is gone; nothing more will be answered. */
  lose(): void {
    for (;;) {
      const entry = this.#shift();
      if (entry === undefined) return;
      this.#onSettled(entry, 'lost');
    }
  }

  #take(kind: Expected['kind'], result: Result): void {
    this.#answered(kind);
    this.#settle(result);
  }

  /** The head, which must be of one of these kinds. */
  #answered(kind: Expected['kind'], orKind = kind): Expected {
    const head = this.#head();
    if (head === undefined || (head.kind !== kind && head.kind !== orKind))
      throw new UnexpectedAnswer(kind === orKind ? kind : `${kind} or ${orKind}`, head?.kind);
    // Whatever was to come for an earlier Sync would have come before this.
    this.#stray = 0;
    return head;
  }

  /**
   * The COPY FROM STDIN at the head is over. Each Sync sent within it was ignored when it came to its CopyDone;
   * when it failed, the server may have stopped reading before some of them, and then it answers those.
   */
  #endCopy(syncs: 'ignored' | 'perhaps ignored'): void {
    if (!this.#copying) return;
    this.#copying = false;
    this.#trim();
    const left = this.#queue.filter((entry) => !(entry.kind === 'sync' && entry.doubtful));
    if (syncs === 'perhaps ignored') this.#stray += this.#queue.length - left.length;
    this.#queue = left;
    const end = left.findIndex((entry) => entry.kind === 'copy end');
    if (syncs === 'ignored' && end >= 0) left.splice(end, 1);
  }

  #skipToSync(): void {
    let doubted = false;
    for (;;) {
      const entry = this.#queue[this.#first];
      if (entry === undefined) {
        this.#skipping = true;
        this.#doubted = doubted;
        return;
      }
      if (entry.kind === 'sync') {
        if (!entry.doubtful) return;
        doubted = true;
        this.#stray++;
        this.#shift();
      } else {
        // Skipped if the COPY has read the Sync before it, run if it failed too early for that.
        if (doubted && entry.kind !== 'copy end') throw untold(BEHIND_DOUBTED);
        this.#shift();
        if (entry.kind !== 'copy end') this.#onSettled(entry, 'skipped');
      }
    }
  }

  #shift(): Expected | undefined {
    const entry = this.#queue[this.#first];
    if (entry === undefined) return undefined;
    this.#first++;
    if (this.#first > 1000 && this.#first * 2 > this.#queue.length) this.#trim();
    return entry;
  }

  #trim(): void {
    this.#queue.splice(0, this.#first);
    this.#first = 0;
  }

  #head(): Expected | undefined {
    while (this.#queue[this.#first]?.kind === 'copy end') this.#shift();
    return this.#queue[this.#first];
  }

  #settle(result: Result): void {
    this.#begun = false;
    this.#copying = false;
    const entry = this.#shift();
    if (entry !== undefined) this.#onSettled(entry, result);
  }
}

/** Of a statement time-out, among others. */
const QUERY_CANCELED = '57014';
const PROTOCOL_VIOLATION = '08P01';
const BEHIND_DOUBTED = 'messages behind a Sync within a failed COPY';

/** Nobody but the server knows which message an error is for, so what stands under which name is not known any more. */
const untold = (what: string): CountersignError =>
  new CountersignError('protocol_violation', `the answers cannot be told apart any more: ${what}`, {
    hint: 'Send a Sync, and wait for its answer, before going on with something else.',
  });

/** The server answered something that was not asked. The session cannot be followed any more, so it must end. */
export class UnexpectedAnswer extends Error {
  constructor(answer: string, expected: string | undefined) {
    super(`unexpected answer: ${answer} while waiting for ${expected ?? 'nothing'}`);
  }
}
