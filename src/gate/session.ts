// One client and its server connection, from ReadyForQuery to the end. Client frames come in whole and are admitted one
// by one; server bytes go out as they came. What belongs to what is kept by `Pipeline`, what stands for what by `Names`.
import type { Socket } from 'node:net';
import { serialize } from 'pg-protocol';
import type { AuditLog } from '../audit/log.ts';
import type { Identity } from '../audit/record.ts';
import type { Clock } from '../base/clock.ts';
import { CountersignError } from '../base/errors.ts';
import { randomSecret, type SessionId } from '../base/ids.ts';
import type { Hold, HoldStore } from '../holds/hold.ts';
import type { RuleSet, SessionVariables, Verdict } from '../rules/verdict.ts';
import { understand } from '../sql/understand.ts';
import {
  BACKEND,
  type ErrorFields,
  encodeError,
  encodeNotice,
  parseCommandTag,
  parseErrorFields,
  parseParameterStatus,
  parseReadyForQuery,
} from '../wire/backend.ts';
import { type Frame, FrameReader } from '../wire/frames.ts';
import { FRONTEND, parseBind, parseEmpty, parseParse, parseTarget } from '../wire/frontend.ts';
import { type ScannerOwner, ServerScanner } from '../wire/scanner.ts';
import { admit, type Gate } from './admit.ts';
import { judge } from './judge.ts';
import { type NameChange, Names } from './names.ts';
import { Outbox } from './outbox.ts';
import { type Expected, Pipeline, type Result, type Run, UnexpectedAnswer } from './pipeline.ts';
import { barrierFor, intentDraft, outcomeDraft, type Speaker } from './recording.ts';
import { mustFail, type Refusal } from './refusal.ts';
import { holdRequest } from './request.ts';
import type { Upstream } from './upstream.ts';
import { type Decision, type Interruption, reportOutcome, waitForDecision } from './waiting.ts';
import { sqlText, statementsOf, type Work, workOfExecute, workOfFunctionCall, workOfQuery } from './work.ts';

export interface SessionLimits {
  readonly frameBytes: number;
  /** Bytes that may queue up behind a statement that waits. */
  readonly backlogBytes: number;
  /** Statements in one frame. */
  readonly statements: number;
  /** Prepared statements and portals that a session may have, each. */
  readonly names: number;
}

export interface WaitTimes {
  readonly waitMs: number;
  readonly waitInTransactionMs: number;
  readonly noticeMs: number;
  readonly grantMs: number;
}

/** How much of what the server sends for a client that has gone is read, to learn how its statements end. */
const UNDELIVERED_MAX = 1024 * 1024;

/** What every session of a node shares. */
export interface Node {
  readonly name: string;
  readonly log: AuditLog;
  readonly store: HoldStore;
  readonly clock: Clock;
  readonly limits: SessionLimits;
  readonly times: WaitTimes;
  readonly bindingKey: Buffer;
  rules(): RuleSet;
  urlOf(hold: Hold): string;
  /** A failure of ours that the operator should see. */
  problem(error: unknown, what: string): void;
}

export interface SessionOptions {
  readonly id: SessionId;
  readonly node: Node;
  readonly client: Socket;
  readonly upstream: Upstream;
  readonly who: Identity;
  readonly requesters: readonly string[];
  /** All but what changes during a session. */
  readonly variables: Omit<SessionVariables, 'inTransaction'>;
  readonly onEnd: () => void;
}

export class Session implements Gate, ScannerOwner {
  readonly #node: Node;
  readonly #client: Socket;
  readonly #upstream: Upstream;
  readonly #options: SessionOptions;
  readonly #speaker: Speaker;
  readonly #reader: FrameReader;
  readonly #scanner = new ServerScanner(this);
  readonly #names = new Names();
  readonly #pipeline: Pipeline;
  readonly #outbox: Outbox;
  readonly #nonce = randomSecret(32);
  readonly #totals = { statements: 0, rows: 0, bytes: 0 };
  #variables: { idle: SessionVariables; busy: SessionVariables };
  #searchPath: string | null;
  /** Settings on which the parser's reading of a text depends, as the server last reported them. */
  #lexing: ReadonlyMap<string, string>;
  #paused = false;
  #ended = false;
  #endedBecause = '';
  #onSettled: ((alive: boolean) => void) | null = null;
  #interrupt: ((why: Interruption) => void) | null = null;
  #interrupted: Interruption | null = null;
  /** Why the client is gone, from when it is until the server has finished what was sent before. */
  #leaving: string | null = null;
  #undelivered = 0;
  #serverSaidGoodbye = false;

  constructor(options: SessionOptions) {
    const { node, client, upstream } = options;
    this.#node = node;
    this.#client = client;
    this.#upstream = upstream;
    this.#options = options;
    this.#speaker = { session: options.id, who: options.who };
    this.#reader = new FrameReader(node.limits.frameBytes);
    this.#pipeline = new Pipeline((entry, result) => this.#settle(entry, result));
    this.#outbox = new Outbox(
      node.log,
      (frames) => this.#toServer(frames),
      (error) => this.#logFailed(error),
    );
    this.#variables = variablesOf(options.variables, options.variables.claimed.applicationName);
    this.#searchPath = upstream.parameters.get('search_path') ?? null;
    this.#lexing = lexingOf(upstream.parameters);
    this.#listen();
  }

  get backlogBytes(): number {
    return this.#node.limits.backlogBytes;
  }

  /** A CancelRequest with this session's key. */
  cancel(): void {
    if (this.#paused && this.#pipeline.idle) this.#interruptWith('client cancelled');
    else this.#upstream.cancel((error) => this.#node.problem(error, 'cancel request'));
  }

  /** The proxy ends: `error` says why, to the client. */
  shutDown(error: CountersignError): void {
    this.#fatal(error, 'shutdown');
  }

  // — The client's side ————————————————————————————————————————————————————————————————————————————————

  #listen(): void {
    const client = this.#client;
    const server = this.#upstream.socket;
    client.on('data', (chunk: Buffer) => this.#fromClient(chunk));
    client.on('end', () => this.#leave('client disconnected'));
    client.on('error', () => this.#leave('client disconnected'));
    client.on('close', () => {
      this.#leave('client disconnected');
      server.resume(); // nobody is left whom it could outrun
    });
    client.on('drain', () => server.resume());
    server.on('data', (chunk: Buffer) => this.#fromServer(chunk));
    server.on('end', () => this.#serverGone());
    server.on('close', () => this.#serverGone());
    server.on('error', () => this.#serverGone());
    server.on('drain', () => client.resume());
    client.resume();
    server.resume();
  }

  #fromClient(chunk: Buffer): void {
    if (this.#ended || this.#leaving !== null) return;
    this.#reader.push(chunk);
    if (!this.#paused) this.#admitFrames();
    else if (this.#reader.buffered > this.backlogBytes) this.#interruptWith('backlog');
  }

  #admitFrames(): void {
    this.#guard(() => {
      while (!this.#paused && !this.#ended && this.#leaving === null) {
        const frame = this.#reader.next();
        if (frame === null) break;
        this.#onFrame(frame);
      }
      this.#outbox.release();
    });
  }

  #onFrame(frame: Frame): void {
    const { bytes } = frame;
    switch (frame.tag) {
      case FRONTEND.Query:
        return admit(workOfQuery(bytes, this.#names, this.#node.limits.statements), this);
      case FRONTEND.Execute:
        return admit(workOfExecute(bytes, this.#names), this);
      case FRONTEND.FunctionCall:
        return admit(workOfFunctionCall(bytes), this);
      case FRONTEND.Parse: {
        const { name, sql, parameterTypes } = parseParse(bytes);
        const understanding = understand(sql, { statementsMax: this.#node.limits.statements });
        const prepared = { sql: sqlText(sql), statements: statementsOf(understanding), parameterTypes };
        return this.#forwardNaming(bytes, 'parse', { kind: 'statement', name, prepared });
      }
      case FRONTEND.Bind: {
        const { portal: name, statement, formats, values } = parseBind(bytes);
        const prepared = this.#names.statements.get(statement);
        // Copied: views would keep the client's whole chunk alive for as long as the portal lives.
        const kept = values.map((value) => (value === null ? null : Buffer.from(value)));
        const portal = {
          name,
          statementName: statement,
          prepared,
          formats,
          values: kept,
          hold: false,
          suspended: false,
        };
        return this.#forwardNaming(bytes, 'bind', { kind: 'portal', name, portal });
      }
      case FRONTEND.Close: {
        const { kind, name } = parseTarget(bytes);
        return this.#forwardNaming(bytes, 'close', {
          kind: kind === 'statement' ? 'drop statement' : 'drop portal',
          name,
        });
      }
      case FRONTEND.Describe:
        parseTarget(bytes);
        return this.#send(bytes, { kind: 'describe' });
      case FRONTEND.Sync:
        parseEmpty(bytes);
        this.#names.synced();
        return this.#send(bytes, { kind: 'sync', doubtful: false });
      case FRONTEND.Flush:
        parseEmpty(bytes);
        return this.#outbox.push(bytes, 'none');
      case FRONTEND.CopyData:
        return this.#outbox.push(bytes, 'none');
      case FRONTEND.CopyDone:
        parseEmpty(bytes);
        return this.#send(bytes, { kind: 'copy end' });
      case FRONTEND.CopyFail:
        return this.#send(bytes, { kind: 'copy end' });
      case FRONTEND.Terminate:
        parseEmpty(bytes);
        return this.#leave('client terminated');
      default:
        throw new CountersignError('protocol_violation', `invalid frontend message type ${frame.tag}`);
    }
  }

  #forwardNaming(bytes: Buffer, kind: 'parse' | 'bind' | 'close', change: NameChange): void {
    const { statements, portals } = this.#names;
    if (kind !== 'close' && Math.max(statements.size, portals.size) >= this.#node.limits.names) {
      throw new CountersignError(
        'limit',
        `more than ${this.#node.limits.names} prepared statements or portals in one session`,
        {
          hint: 'Close those that are no longer needed, or raise limits.preparedStatements.',
        },
      );
    }
    this.#names.expect(change, 'message');
    this.#send(bytes, { kind, change });
  }

  #send(bytes: Buffer, expected: Expected): void {
    this.#pipeline.expect(expected);
    this.#outbox.push(bytes, 'none');
  }

  // — The gate: what admit.ts asks of a session ————————————————————————————————————————————————————————

  judge(work: Work): Verdict {
    return judge(work, this.#node.rules(), this.#sessionVariables(), this.#lexing);
  }

  forward(work: Work, verdict: Verdict, hold: Hold | null): void {
    if (this.#ended) return this.#neverRan(hold);
    const intent = this.#recordIntent(work, verdict, hold, null);
    const run: Run = {
      intent,
      startedUs: this.#node.clock.monoUs(),
      hold: hold?.request.id ?? null,
      changes: work.changes,
      rows: 0,
      bytes: 0,
      tags: [],
      sqlstate: null,
    };
    for (const change of work.changes.flat()) this.#names.expect(change, 'SQL');
    this.#totals.statements++;
    this.#pipeline.expect(expectedFor(work, run));
    this.#outbox.push(work.frame, hold === null ? barrierFor(work) : 'durable');
  }

  refuse(work: Work, verdict: Verdict, { because, error }: Refusal, hold: Hold | null): void {
    // Recorded also when the client is gone: the log has every statement that was asked for.
    this.#recordIntent(work, verdict, hold, because);
    if (this.#ended) return;
    this.#pipeline.expect({
      kind: work.protocol === 'extended' ? 'refused execute' : 'refused query',
      error,
    });
    this.#outbox.push(mustFail(work.protocol), 'durable');
  }

  pause(): void {
    this.#paused = true;
    this.#interrupted = null;
    // A paused socket sees no end of the stream: the client must be heard while it waits.
    this.#client.resume();
  }

  resume(): void {
    this.#paused = false;
    this.#interrupt = null;
    if (this.#ended) this.#recordClose();
    else this.#admitFrames();
  }

  settled(): Promise<boolean> {
    if (!this.#pipeline.idle) this.#outbox.push(serialize.flush(), 'none');
    this.#outbox.release();
    if (this.#pipeline.idle || this.#ended) return Promise.resolve(!this.#ended);
    return new Promise((resolve) => {
      this.#onSettled = resolve;
    });
  }

  doomed(work: Work): boolean {
    if (this.#pipeline.skipping) return true;
    return this.#pipeline.status === 'E' && !startsByLeavingTransaction(work);
  }

  copying(): boolean {
    return this.#pipeline.copyIn;
  }

  again(work: Work): Work {
    if (work.protocol === 'simple') return workOfQuery(work.frame, this.#names, this.#node.limits.statements);
    return work.protocol === 'extended' ? workOfExecute(work.frame, this.#names) : work;
  }

  async ask(work: Work, verdict: Verdict): Promise<Decision> {
    const { node, store, log, clock, times } = { node: this.#node, ...this.#node };
    const variables = this.#sessionVariables();
    const request = holdRequest(work, verdict, {
      node: node.name,
      session: this.#options.id,
      who: this.#options.who,
      requesters: this.#options.requesters,
      variables,
      searchPath: this.#searchPath,
      rulesHash: node.rules().hash,
      bindingKey: node.bindingKey,
      nonce: this.#nonce,
      nowMs: clock.nowMs(),
      waitMs: variables.inTransaction ? times.waitInTransactionMs : times.waitMs,
      grantMs: times.grantMs,
    });
    const decision = await waitForDecision(request, {
      store,
      log,
      noticeMs: times.noticeMs,
      notice: (hold, remainingMs) => this.#notice(hold, remainingMs),
      interruptible: (interrupt) => {
        this.#interrupt = interrupt;
        if (this.#interrupted !== null) interrupt(this.#interrupted);
      },
      waitMs: request.deadlineMs - request.requestedAtMs,
    });
    if (decision.kind === 'unavailable') node.problem(decision.error, 'approval');
    // Whoever cancelled between the approval and this line must not find that it ran after all.
    if (decision.kind === 'approved' && this.#interrupted !== null) {
      this.#neverRan(decision.hold);
      return { kind: 'interrupted', hold: decision.hold, why: this.#interrupted };
    }
    return decision;
  }

  urlOf(hold: Hold): string {
    return this.#node.urlOf(hold);
  }

  #recordIntent(work: Work, verdict: Verdict, hold: Hold | null, refusal: string | null): number {
    const { log, rules } = this.#node;
    const { inTransaction } = this.#sessionVariables();
    return log.append(intentDraft(this.#speaker, work, verdict, inTransaction, rules().hash, hold, refusal));
  }

  #neverRan(hold: Hold | null): void {
    if (hold !== null) this.#reportOutcome(hold.request.id, 'failed');
  }

  #reportOutcome(id: Hold['request']['id'], state: 'executed' | 'failed' | 'unknown'): void {
    reportOutcome(id, state, this.#node).catch((error: unknown) => this.#node.problem(error, 'hold outcome'));
  }

  #notice(hold: Hold, remainingMs: number): void {
    const { rule, id, statement } = hold.request;
    const seconds = Math.max(0, Math.round(remainingMs / 1000));
    const what = statement.tags.length > 0 ? statement.tags.join(', ') : 'statement';
    const url = this.urlOf(hold);
    this.#client.write(
      encodeNotice(
        `held for approval (${id}): ${what}, by rule "${rule.name}"`,
        JSON.stringify({ hold: id, status: hold.state, rule: rule.name, url, seconds }),
        `Waiting up to ${seconds} s more for a person: countersign approve ${id}`,
      ),
    );
  }

  #interruptWith(why: Interruption): void {
    this.#interrupted ??= why;
    this.#interrupt?.(why);
  }

  #sessionVariables(): SessionVariables {
    const open = this.#pipeline.status !== 'I' || this.#pipeline.implicitBlock;
    return open ? this.#variables.busy : this.#variables.idle;
  }

  // — The server's side ————————————————————————————————————————————————————————————————————————————————

  #fromServer(chunk: Buffer): void {
    if (this.#ended) return;
    this.#guard(() => {
      const out = this.#scanner.scan(chunk);
      if (this.#leaving !== null && !this.#client.writable) return this.#discard(chunk.length);
      let flowing = true;
      if (out.length > 1) this.#client.cork();
      for (const bytes of out) flowing = this.#client.write(bytes);
      if (out.length > 1) this.#client.uncork();
      if (!flowing) this.#upstream.socket.pause();
      if (this.#onSettled !== null && this.#pipeline.idle) {
        const resolve = this.#onSettled;
        this.#onSettled = null;
        resolve(true);
      }
    });
  }

  onHeader(tag: number, frameLength: number): void {
    switch (tag) {
      case BACKEND.DataRow:
      case BACKEND.CopyData: {
        const run = this.#pipeline.current;
        if (run !== null) {
          run.rows++;
          run.bytes += frameLength;
        }
        return;
      }
      case BACKEND.ParseComplete:
        return this.#pipeline.onParseComplete();
      case BACKEND.BindComplete:
        return this.#pipeline.onBindComplete();
      case BACKEND.CloseComplete:
        return this.#pipeline.onCloseComplete();
      case BACKEND.RowDescription:
      case BACKEND.NoData:
        return this.#pipeline.onDescribed();
      case BACKEND.EmptyQueryResponse:
        return this.#pipeline.onCommandComplete(null);
      case BACKEND.PortalSuspended:
        return this.#pipeline.onPortalSuspended();
      case BACKEND.CopyInResponse:
        return this.#pipeline.onCopyIn();
    }
  }

  onWhole(tag: number, frame: Buffer): Buffer {
    switch (tag) {
      case BACKEND.CommandComplete:
        this.#onCommandComplete(frame);
        return frame;
      case BACKEND.ReadyForQuery:
        this.#pipeline.onReadyForQuery(parseReadyForQuery(frame));
        if (this.#pipeline.status === 'I') this.#names.transactionEnded();
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
    const run = this.#pipeline.current;
    for (const change of run?.changes[run.tags.length] ?? []) this.#names.confirm(change);
    this.#pipeline.onCommandComplete(rows === null ? tag : `${tag} ${rows}`);
  }

  #onParameterStatus(frame: Buffer): void {
    const { name, value } = parseParameterStatus(frame);
    this.#upstream.parameters.set(name, value);
    if (name === 'application_name') this.#variables = variablesOf(this.#options.variables, value);
    if (name === 'search_path') this.#searchPath = value;
    this.#lexing = lexingOf(this.#upstream.parameters);
  }

  #onErrorResponse(frame: Buffer, fields: ErrorFields): Buffer {
    const severity = fields['V'] ?? fields['S'];
    if (severity === 'FATAL' || severity === 'PANIC') {
      this.#serverSaidGoodbye = true;
      return frame;
    }
    const refusal = this.#pipeline.refusal;
    this.#pipeline.onError(fields['C'] ?? 'XX000');
    return refusal === null ? frame : encodeError(refusal, 'ERROR');
  }

  #settle(entry: Expected, result: Result): void {
    if ('change' in entry) {
      if (result === 'done') this.#names.confirm(entry.change);
      else this.#names.reject(entry.change);
    }
    if ('run' in entry) this.#settleRun(entry.run, result);
  }

  #settleRun(run: Run, result: Result): void {
    const { clock, log } = this.#node;
    for (const change of run.changes.slice(run.tags.length).flat()) this.#names.reject(change);
    this.#totals.rows += run.rows;
    this.#totals.bytes += run.bytes;
    log.append(outcomeDraft(this.#speaker, run, result, clock.monoUs()));
    if (run.hold === null) return;
    const state =
      result === 'lost' ? 'unknown' : result === 'done' || result === 'suspended' ? 'executed' : 'failed';
    this.#reportOutcome(run.hold, state);
  }

  #toServer(frames: readonly Buffer[]): void {
    const { socket } = this.#upstream;
    let flowing = true;
    if (frames.length > 1) socket.cork();
    for (const frame of frames) flowing = socket.write(frame);
    if (frames.length > 1) socket.uncork();
    if (!flowing && !this.#paused) this.#client.pause();
    if (this.#leaving !== null && this.#outbox.empty) socket.end();
  }

  /**
   * The client has gone, or said goodbye. What it sent before runs to its end, as it would without us, so that the log
   * has its outcome; then the server closes. A statement that waits is withdrawn.
   */
  #leave(because: string): void {
    if (this.#ended || this.#leaving !== null) return;
    if (this.#paused) return this.#end(because);
    this.#leaving = because;
    this.#outbox.push(serialize.end(), 'none');
    this.#outbox.release();
  }

  /** Whoever is gone does not make the server send a whole table to nobody. */
  #discard(length: number): void {
    this.#undelivered += length;
    if (this.#undelivered > UNDELIVERED_MAX) this.#end(this.#leaving ?? 'client disconnected');
  }

  // — The end ——————————————————————————————————————————————————————————————————————————————————————————

  /** Runs `work`; an error that it throws ends the session, and only this session. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (error instanceof CountersignError) return this.#fatal(error, 'protocol error');
      this.#node.problem(error, error instanceof UnexpectedAnswer ? 'upstream' : 'session');
      this.#fatal(
        new CountersignError('internal', 'internal error in the proxy; the connection is closed'),
        'internal error',
      );
    }
  }

  fail(error: unknown): void {
    this.#guard(() => {
      throw error;
    });
  }

  #logFailed(error: Error): void {
    this.#node.problem(error, 'audit log');
    this.#fatal(
      new CountersignError('log_unwritable', 'the audit log cannot be written, so nothing is forwarded', {
        hint: 'The operator must free space or repair the log’s disk and restart the proxy.',
      }),
      'log unwritable',
    );
  }

  #serverGone(): void {
    if (this.#ended) return;
    if (this.#leaving !== null) return this.#end(this.#leaving);
    const because = this.#paused ? 'upstream lost' : 'upstream closed the connection';
    // What the server said before it closed is what the client should read last.
    if (this.#serverSaidGoodbye) return this.#end(because);
    this.#fatal(
      new CountersignError('upstream_unavailable', 'the connection to the database was lost'),
      because,
    );
  }

  #fatal(error: CountersignError, because: string): void {
    if (this.#ended) return;
    // Within a row that has not come whole it would be read as a part of the row.
    if (this.#scanner.betweenMessages) this.#client.write(encodeError(error, 'FATAL'));
    this.#end(because);
  }

  #end(because: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#interruptWith(
      because === 'upstream lost'
        ? 'upstream lost'
        : because === 'shutdown'
          ? 'shutdown'
          : 'client disconnected',
    );
    this.#onSettled?.(false);
    this.#outbox.close();
    this.#endedBecause = because;
    this.#guardLog(() => this.#pipeline.lose());
    // A statement that waits has its last record still to come.
    if (!this.#paused) this.#recordClose();
    this.#upstream.end();
    this.#client.end();
    // Whoever does not read what we last said does not keep us.
    this.#client.setTimeout(5_000, () => this.#client.destroy());
    this.#options.onEnd();
  }

  #recordClose(): void {
    this.#guardLog(() => {
      const { log } = this.#node;
      log.append({ type: 'session.close', ...this.#speaker, because: this.#endedBecause, ...this.#totals });
    });
  }

  /** At the end of a session there is nobody left to tell but the operator. */
  #guardLog(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#node.problem(error, 'audit log');
    }
  }
}

function expectedFor(work: Work, run: Run): Expected {
  if (work.protocol === 'extended' && work.portal !== null)
    return { kind: 'execute', portal: work.portal, run };
  return { kind: work.protocol === 'function call' ? 'function call' : 'query', run };
}

const LEAVES_TRANSACTION: ReadonlySet<string> = new Set(['COMMIT', 'ROLLBACK', 'PREPARE TRANSACTION']);

/** Only these run in a failed transaction block. What is not understood may be one of them. */
function startsByLeavingTransaction(work: Work): boolean {
  const first = work.statements[0];
  return first === undefined || !first.known || first.tags.some((tag) => LEAVES_TRANSACTION.has(tag));
}

function variablesOf(
  base: Omit<SessionVariables, 'inTransaction'>,
  applicationName: string,
): { idle: SessionVariables; busy: SessionVariables } {
  const variables = { ...base, claimed: { ...base.claimed, applicationName } };
  return { idle: { ...variables, inTransaction: false }, busy: { ...variables, inTransaction: true } };
}

const LEXING_SETTINGS = ['client_encoding', 'standard_conforming_strings'] as const;

function lexingOf(parameters: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return new Map(LEXING_SETTINGS.map((name) => [name, parameters.get(name) ?? '']));
}
