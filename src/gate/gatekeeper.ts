// What a session does with a client's frame: forward it, have it admitted, or refuse it. Knows what the server has been
// sent and what it has answered; knows nothing of sockets. admit.ts decides, this file carries out.
import { serialize } from 'pg-protocol';
import { CountersignError } from '../base/errors.ts';
import type { Hold } from '../holds/hold.ts';
import type { Verdict } from '../rules/verdict.ts';
import type { Facts, StatementClass, Unknown } from '../sql/facts.ts';
import { Frame } from '../wire/frames.ts';
import { FRONTEND, parseEmpty, parseTarget } from '../wire/frontend.ts';
import { admit, type Gate } from './admit.ts';
import type { Asking } from './asking.ts';
import type { Amount } from './budget.ts';
import type { Following } from './following.ts';
import { judge } from './judge.ts';
import { mayHideASetting } from './lexing.ts';
import { recordLimit } from './limit-record.ts';
import { LookingUp } from './looking-up.ts';
import { Naming } from './naming.ts';
import type { Node } from './node.ts';
import type { Outbox } from './outbox.ts';
import type { Expected, Run } from './pipeline.ts';
import { barrierFor, intentDraft, intentOf, intentToForward, type Speaker } from './recording.ts';
import { mustFail, type Refusal } from './refusal.ts';
import type { Decision } from './waiting.ts';
import { type Work, workOfExecute, workOfFunctionCall, workOfQuery } from './work.ts';

export interface GatekeeperOptions {
  readonly node: Node;
  readonly speaker: Speaker;
  readonly following: Following;
  readonly asking: Asking;
  readonly outbox: Outbox;
  /** A statement waits: no further frame may be handed in until `onResume`. */
  readonly onPause: () => void;
  readonly onResume: () => void;
  /** The client has said Terminate. */
  readonly onTerminate: () => void;
  readonly onFailure: (error: unknown) => void;
}

export class Gatekeeper implements Gate {
  /** A statement waits, for its answer or for a person. */
  paused = false;
  /** Paused for the answers to what was sent before, and for nobody's decision. */
  awaitsAnswers = false;
  readonly #options: GatekeeperOptions;
  readonly #following: Following;
  readonly #outbox: Outbox;
  readonly #lookingUp: LookingUp;
  readonly #naming: Naming;
  #closed = false;
  /** Nothing but reads has been sent in the implicit transaction block that is under way. */
  #onlyRead = true;
  #onSettled: ((alive: boolean) => void) | null = null;

  constructor(options: GatekeeperOptions) {
    this.#options = options;
    this.#following = options.following;
    this.#outbox = options.outbox;
    const { database, role } = options.following.variables;
    this.#lookingUp = new LookingUp(options.node.catalogs.get(database) ?? null, options.following, role);
    this.#naming = new Naming({
      ...options,
      lookingUp: this.#lookingUp,
      judge: (work) => this.judge(work),
      refuse: (work, verdict, refusal) => this.refuse(work, verdict, refusal, null),
      send: (frame, expected) => this.#send(frame, expected),
      later: (statements, work) =>
        statements.length === 0 ? this.#afterAnswers(work) : this.#afterLookingUp(statements, work),
    });
  }

  get backlogBytes(): number {
    return this.#options.node.limits.backlogBytes;
  }

  /** Throws CountersignError for a frame that no client may send here, or when the log has failed. */
  take(frame: Frame): void {
    const { tag, chunk, start, end } = frame;
    switch (tag) {
      case FRONTEND.Query:
        return this.#admit(workOfQuery(frame, this.#following.names, this.#naming.read));
      case FRONTEND.Execute:
        return this.#admit(workOfExecute(frame, this.#following.names));
      case FRONTEND.FunctionCall:
        return admit(workOfFunctionCall(frame), this);
      case FRONTEND.Parse:
        return this.#naming.parse(frame);
      case FRONTEND.Bind:
        return this.#naming.bind(frame);
      case FRONTEND.Close:
        return this.#naming.close(frame);
      case FRONTEND.Describe:
        parseTarget(chunk, start, end);
        return this.#send(frame, { kind: 'describe' });
      case FRONTEND.Sync:
        parseEmpty(chunk, start, end);
        this.#following.names.synced();
        return this.#send(frame, { kind: 'sync', doubtful: false });
      case FRONTEND.Flush:
        parseEmpty(chunk, start, end);
        return this.#flush(frame);
      case FRONTEND.CopyData:
        return this.#duringCopy(() => this.#outbox.push(frame, 'none'));
      case FRONTEND.CopyDone:
        parseEmpty(chunk, start, end);
        return this.#duringCopy(() => this.#send(frame, { kind: 'copy end' }));
      case FRONTEND.CopyFail:
        return this.#duringCopy(() => this.#send(frame, { kind: 'copy end' }));
      case FRONTEND.Terminate:
        parseEmpty(chunk, start, end);
        return this.#options.onTerminate();
      default:
        throw new CountersignError('protocol_violation', `invalid frontend message type ${tag}`);
    }
  }

  /** To be called whenever the server has said something. */
  answered(): void {
    this.#lookingUp.answered();
    if (this.#onSettled === null || !this.#knowing) return;
    const resolve = this.#onSettled;
    this.#onSettled = null;
    resolve(true);
  }

  /** The session has ended: nothing goes to the server any more. */
  close(): void {
    this.#closed = true;
    this.#lookingUp.ended();
    this.#onSettled?.(false);
    this.#outbox.close();
  }

  #flush(frame: Frame): void {
    this.#following.pipeline.flushed();
    this.#outbox.push(frame, 'none');
  }

  /**
   * Passes only while a COPY FROM STDIN is under way. Elsewhere the server ignores it, and yet may notice at it that the
   * time of a statement is over: an error that is for none of the messages that have answers.
   */
  #duringCopy(pass: () => void): void {
    const { pipeline } = this.#following;
    if (pipeline.copyIn) return pass();
    if (pipeline.idle) return;
    // Perhaps the data of a COPY whose CopyInResponse is still to come.
    this.#afterAnswers(() => {
      if (pipeline.copyIn) pass();
    });
  }

  /** As below, with the catalog read as far as these statements need it. */
  #afterLookingUp(statements: Work['statements'], work: () => void): void {
    this.#afterAnswers(work, () => this.#lookingUp.refresh(statements));
  }

  /** Takes no further frame before the server has answered what it was sent, and `more`, then does this. */
  #afterAnswers(work: () => void, more: () => Promise<void> = async () => {}): void {
    const wait = async (): Promise<void> => {
      this.pause();
      this.awaitsAnswers = true;
      const settled = await this.settled();
      if (settled) await more();
      const alive = settled && !this.#closed;
      this.awaitsAnswers = false;
      this.paused = false;
      if (alive) work();
      // It may be one that now waits for a person, and resumes by itself.
      if (!this.paused) this.#options.onResume();
    };
    wait().catch((error: unknown) => this.fail(error));
  }

  /** What its statements would make under a name must find room first: the server would make it. */
  #admit(work: Work): void {
    const full = this.#naming.noRoomFor(work.changes);
    if (full !== null) {
      if (!this.#knowing) return this.#afterAnswers(() => this.take(work.frame));
      return this.refuse(work, this.judge(work), full, null);
    }
    const resolved = this.#lookingUp.resolved(work);
    if (resolved !== null) admit(resolved, this);
    else this.#afterLookingUp(work.statements, () => this.take(work.frame));
  }

  #recordLimit({ error }: Refusal): void {
    const { node, speaker } = this.#options;
    if (error.limit !== undefined) recordLimit(node, speaker, error.limit);
  }

  #send(frame: Frame, expected: Expected): void {
    this.#following.expect(expected);
    this.#outbox.push(frame, 'none');
  }

  // — What admit.ts asks for ———————————————————————————————————————————————————————————————————————————

  judge(work: Work): Verdict {
    return judge(work, this.#options.node.rules(), this.#following.variables, this.#following.misreading);
  }

  forward(work: Work, verdict: Verdict, hold: Hold | null): void {
    if (this.#closed) {
      if (hold !== null) this.#options.asking.report(hold.request.id, 'failed');
      return;
    }
    const run: Run = {
      intent: this.#recordIntent(work, verdict, hold, null),
      startedUs: this.#options.node.clock.monoUs(),
      work,
      verdict,
      most: this.#mostOf(work, verdict, hold),
      hold: hold?.request.id ?? null,
      leavesNothing: this.#leavesNothing(work),
      denial: null,
      changes: work.changes,
      rows: 0,
      bytes: 0,
      tags: [],
      sqlstate: null,
    };
    this.#lookingUp.sent(work);
    this.#following.expect(expectedFor(work, run));
    if (hold !== null && mayHideASetting(work)) this.#following.settingsDoubtful = true;
    this.#outbox.push(work.frame, hold === null ? barrierFor(work) : 'durable');
  }

  /** What it may send unasked; null: all that there is. */
  #mostOf({ portal }: Work, verdict: Verdict, hold: Hold | null): Amount | null {
    // The rest of what was judged when it began.
    if (portal?.suspended === true) return portal.spent.most;
    // Whoever was asked has said yes to all of it.
    const most = hold === null ? this.#following.budget.of(verdict.budgets) : null;
    if (portal !== null) portal.spent.most = most;
    return most;
  }

  #leavesNothing({ statements }: Work): boolean {
    const { status, implicitBlock } = this.#following.pipeline;
    if (!implicitBlock) this.#onlyRead = true;
    this.#onlyRead &&= statements.every(onlyReads);
    return status === 'I' && this.#onlyRead;
  }

  /** What has completed on the server is to fail all the same: something goes there that does, and with it the transaction. */
  failLate(protocol: 'simple' | 'extended', error: CountersignError): void {
    const kind = protocol === 'extended' ? 'refused execute' : 'refused query';
    this.#following.expect({ kind, error });
    this.#outbox.push(mustFail(protocol), 'none');
    this.#outbox.release();
  }

  refuse(work: Work, verdict: Verdict, refusal: Refusal, hold: Hold | null): void {
    const { because, error } = refusal;
    // Recorded also when the client is gone: the log has every statement that was asked for.
    this.#recordIntent(work, verdict, hold, because);
    this.#recordLimit(refusal);
    if (this.#closed) return;
    const kind = work.protocol === 'extended' ? 'refused execute' : 'refused query';
    this.#following.expect({ kind, error });
    this.#outbox.push(mustFail(work.protocol), 'durable');
  }

  pause(): void {
    this.paused = true;
    this.#options.asking.begin();
    this.#options.onPause();
  }

  resume(): void {
    this.paused = false;
    this.#options.onResume();
  }

  /** Takes no further frame before what is returned has been called; null if it takes none already, and sees to that. */
  holdBack(): (() => void) | null {
    if (this.paused) return null;
    this.paused = true;
    this.#options.onPause();
    return () => {
      this.paused = false;
      this.#options.onResume();
    };
  }

  settled(): Promise<boolean> {
    // In a pipeline the server keeps its answers back until Sync or Flush.
    if (!this.#knowing) this.#flush(new Frame(serialize.flush()));
    this.#outbox.release();
    return this.answeredAll();
  }

  /** As `settled`, with nothing sent. */
  answeredAll(): Promise<boolean> {
    if (this.#knowing || this.#closed) return Promise.resolve(!this.#closed);
    return new Promise((resolve) => {
      this.#onSettled = resolve;
    });
  }

  /** Everything is answered, or will be by what the client sends: the rest of a COPY. */
  get #knowing(): boolean {
    return this.#following.pipeline.settled;
  }

  doomed(work: Work): boolean {
    const { pipeline } = this.#following;
    if (pipeline.skipping) return true;
    return pipeline.status === 'E' && !startsByLeavingTransaction(work);
  }

  copying(): boolean {
    return this.#following.pipeline.copyIn;
  }

  async again(asSent: Work): Promise<Work | null> {
    const work = await this.#lookingUp.resolvedAnew(this.#reread(asSent));
    return this.#closed ? null : work;
  }

  #reread(work: Work): Work {
    const { names } = this.#following;
    if (work.protocol === 'simple') return workOfQuery(work.frame, names, this.#naming.read);
    return work.protocol === 'extended' ? workOfExecute(work.frame, names) : work;
  }

  ask(work: Work, verdict: Verdict): Promise<Decision> {
    const { variables, searchPath } = this.#following;
    return this.#options.asking.ask(work, verdict, variables, searchPath);
  }

  urlOf(hold: Hold): string {
    return this.#options.node.urlOf(hold);
  }

  fail(error: unknown): void {
    this.#options.onFailure(error);
  }

  #recordIntent(work: Work, verdict: Verdict, hold: Hold | null, refusal: string | null): number {
    const { node, speaker } = this.#options;
    const { inTransaction } = this.#following.variables;
    const { hash } = node.rules();
    const intent =
      hold === null && refusal === null
        ? intentToForward(speaker, work, verdict, inTransaction, hash)
        : intentOf(speaker, work, verdict, inTransaction, hash, hold, refusal);
    return node.log.append(intentDraft(intent, work));
  }
}

const READS: ReadonlySet<StatementClass> = new Set(['read', 'session', 'transaction']);

function onlyReads(statement: Facts | Unknown): boolean {
  return statement.known && statement.classes.every((found) => READS.has(found));
}

function expectedFor(work: Work, run: Run): Expected {
  if (work.protocol === 'extended' && work.portal !== null)
    return { kind: 'execute', portal: work.portal, run };
  if (work.protocol === 'function call') return { kind: 'function call', run };
  return {
    kind: 'query',
    run,
    mayCopyIn: work.statements.some((one) => !one.known || one.classes.includes('import')),
  };
}

const LEAVES_TRANSACTION: ReadonlySet<string> = new Set(['COMMIT', 'ROLLBACK', 'PREPARE TRANSACTION']);

/** Only these run in a failed transaction block. What is not understood may be one of them; a FunctionCall is none. */
function startsByLeavingTransaction(work: Work): boolean {
  if (work.protocol === 'function call') return false;
  const first = work.statements[0];
  return first === undefined || !first.known || first.tags.some((tag) => LEAVES_TRANSACTION.has(tag));
}
