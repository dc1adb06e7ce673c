// One client and its server connection, from ReadyForQuery to the end: sockets, backpressure, lifetime. What the client
// sends goes to the Gatekeeper as whole frames; what the server sends goes out as it came, under the eyes of Following.
import type { Socket } from 'node:net';
import { serialize } from 'pg-protocol';
import { CountersignError } from '../base/errors.ts';
import { encodeError } from '../wire/backend.ts';
import { Frame, FrameReader } from '../wire/frames.ts';
import { FRONTEND_TAGS } from '../wire/frontend.ts';
import { ServerScanner } from '../wire/scanner.ts';
import { Asking, type AskingOptions } from './asking.ts';
import { Budget } from './budget.ts';
import { Following, type UnchangingVariables } from './following.ts';
import { Gatekeeper } from './gatekeeper.ts';
import type { Idleness } from './idle.ts';
import { recordLimit } from './limit-record.ts';
import type { Node } from './node.ts';
import { Outbox } from './outbox.ts';
import { Overrun } from './overrun.ts';
import { UnexpectedAnswer } from './pipeline.ts';
import type { Speaker } from './recording.ts';
import { closeWithin } from './source.ts';
import type { Upstream } from './upstream.ts';
import type { Interruption } from './waiting.ts';

/** How much of what the server sends for a client that has gone is read, to learn how its statements end. */
const UNDELIVERED_MAX = 1024 * 1024;
/** What the log, or the server, has not taken yet: beyond this no more is read from the client. */
const OUTBOX_MAX_BYTES = 1024 * 1024;
/** The same for messages that the server has not answered: each is remembered here, and may be a few bytes long. */
const UNANSWERED_MAX = 10_000;
/** Whoever does not read what we last said does not keep us. */
const LAST_WORDS_MS = 5_000;

export interface SessionOptions {
  readonly node: Node;
  readonly speaker: Speaker;
  readonly client: Socket;
  readonly upstream: Upstream;
  readonly requesters: readonly string[];
  readonly variables: UnchangingVariables;
  readonly onEnd: () => void;
}

/** Why a session ended, as its last record says. */
type Ending =
  | 'client disconnected'
  | 'client terminated'
  | 'upstream lost'
  | 'upstream closed the connection'
  | 'protocol error'
  | 'internal error'
  | 'log unwritable'
  | 'idle'
  | 'shutdown';

export class Session {
  readonly #node: Node;
  readonly #speaker: Speaker;
  readonly #client: Socket;
  readonly #upstream: Upstream;
  readonly #onEnd: () => void;
  readonly #following: Following;
  readonly #asking: Asking;
  readonly #gatekeeper: Gatekeeper;
  readonly #overrun: Overrun;
  readonly #reader: FrameReader;
  readonly #scanner: ServerScanner;
  readonly #outbox: Outbox;
  #ending: Ending | null = null;
  /** Why the client is gone, from when it is until the server has finished what was sent before. */
  #leaving: Ending | null = null;
  /** Why it is gone, while a frame that it sent before waits for the answers to those before it. */
  #left: Ending | null = null;
  #undelivered = 0;

  constructor({ node, speaker, client, upstream, requesters, variables, onEnd }: SessionOptions) {
    this.#node = node;
    this.#speaker = speaker;
    this.#client = client;
    this.#upstream = upstream;
    this.#onEnd = onEnd;
    const asked: AskingOptions = {
      node,
      speaker,
      requesters,
      backend: upstream.processId,
      tell: (notice) => client.write(notice),
    };
    this.#asking = new Asking(asked);
    this.#following = new Following({
      node,
      budget: new Budget(node.budgets, speaker.who.agent),
      onExceeded: (run, exceeded) => this.#overrun.begin(run, exceeded),
      onTooLate: (protocol, error) => this.#gatekeeper.failLate(protocol, error),
      speaker,
      variables,
      parameters: upstream.parameters,
      onReadOtherwise: () => this.#asking.readOtherwise(),
      onHeldEnded: (id, state) => this.#asking.report(id, state),
    });
    this.#outbox = new Outbox(
      node.log,
      (parts) => this.#toServer(parts),
      (error) => this.#logFailed(error),
    );
    this.#gatekeeper = new Gatekeeper({
      node,
      speaker,
      following: this.#following,
      asking: this.#asking,
      outbox: this.#outbox,
      // A paused socket sees no end of the stream: the client must be heard while it waits.
      onPause: () => client.resume(),
      onResume: () => this.#resume(),
      onTerminate: () => this.#leave('client terminated'),
      onFailure: (error) => this.#fail(error),
    });
    this.#overrun = new Overrun({
      node,
      following: this.#following,
      gatekeeper: this.#gatekeeper,
      asking: new Asking(asked),
      cancel: () => this.#cancelUpstream(),
      goOn: () => this.#goOn(),
    });
    this.#reader = new FrameReader(node.limits.frameBytes, FRONTEND_TAGS);
    this.#scanner = new ServerScanner(this.#following);
    this.#listen();
  }

  /** A CancelRequest with this session's key. Resolves when it has taken effect; never rejects. */
  async cancel(): Promise<void> {
    if (this.#overrun.waits) return this.#overrun.interrupt('client cancelled');
    const { idle } = this.#following.pipeline;
    if (this.#gatekeeper.paused && idle) return this.#asking.interrupt('client cancelled');
    // Where nothing runs it would come too late, and hit the next statement.
    if (idle) return;
    await this.#cancelUpstream();
  }

  async #cancelUpstream(): Promise<void> {
    await this.#upstream.cancel().catch((error: unknown) => this.#node.problem(error, 'cancel request'));
  }

  /** The proxy ends: `error` says why, to the client. */
  shutDown(error: CountersignError): void {
    this.#fatal(error, 'shutdown');
  }

  // — Idle sessions, see idle.ts ———————————————————————————————————————————————————————————————————————

  get idleness(): Idleness {
    const { pipeline } = this.#following;
    // A slow reader still has to take what it asked for.
    const busy =
      this.#gatekeeper.paused || !pipeline.idle || !this.#outbox.empty || this.#client.writableLength > 0;
    if (busy || this.#ending !== null || this.#leaving !== null) return 'busy';
    return pipeline.status === 'I' && !pipeline.implicitBlock ? 'idle' : 'idle in transaction';
  }

  get heardBytes(): number {
    return this.#client.bytesRead;
  }

  endIdle(error: CountersignError): void {
    this.#fatal(error, 'idle');
  }

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
    client.on('drain', () => {
      if (!this.#overrun.waits) server.resume();
    });
    server.on('data', (chunk: Buffer) => this.#fromServer(chunk));
    server.on('end', () => this.#serverGone());
    server.on('close', () => this.#serverGone());
    server.on('error', () => this.#serverGone());
    server.on('drain', () => this.#steer());
    client.resume();
    server.resume();
    // Who left before we listened is not heard leaving. Not at once: whoever makes a session must have it first.
    if (hasEnded(client)) setImmediate(() => this.#leave('client disconnected'));
    if (hasEnded(server)) setImmediate(() => this.#serverGone());
  }

  // — Client to server —————————————————————————————————————————————————————————————————————————————————

  #fromClient(chunk: Buffer): void {
    if (this.#ending !== null || this.#leaving !== null) return;
    this.#reader.push(chunk);
    if (!this.#gatekeeper.paused) this.#takeFrames();
    else if (this.#reader.buffered > this.#gatekeeper.backlogBytes) {
      this.#asking.interrupt('backlog');
      this.#overrun.interrupt('backlog');
      // It has said enough. Nothing that it could say now would be heard before the wait is over.
      this.#client.pause();
    }
  }

  #takeFrames(): void {
    this.#guard(() => {
      while (!this.#gatekeeper.paused && this.#ending === null && this.#leaving === null) {
        const frame = this.#reader.next();
        if (frame === null) break;
        this.#gatekeeper.take(frame);
      }
      const { pipeline } = this.#following;
      if (pipeline.copyIn && pipeline.length > UNANSWERED_MAX)
        throw new CountersignError('limit', `more than ${UNANSWERED_MAX} messages amid a COPY FROM STDIN`);
      this.#outbox.release();
      this.#steer();
    });
  }

  #resume(): void {
    if (this.#ending !== null) return this.#recordEnd(this.#ending);
    this.#takeFrames();
    if (this.#left !== null) this.#leave(this.#left);
  }

  /** Reads on from the client or not: what it sends must not pile up here. */
  #steer(): void {
    const client = this.#client;
    if (this.#gatekeeper.paused || this.#ending !== null) return;
    const { pipeline } = this.#following;
    // Amid a COPY FROM STDIN nothing is answered before its end, which is still to be read.
    const owed = pipeline.length > UNANSWERED_MAX && !pipeline.copyIn;
    if (!owed && this.#outbox.bytes <= OUTBOX_MAX_BYTES && !this.#upstream.socket.writableNeedDrain) {
      if (client.isPaused()) client.resume();
    } else if (!client.isPaused()) {
      client.pause();
      if (!owed) return;
      // The server keeps answers back until a Sync, and that of this pipeline may be among what is not read now.
      this.#following.pipeline.flushed();
      this.#outbox.push(new Frame(serialize.flush()), 'none');
      this.#outbox.release();
    }
  }

  #toServer(parts: readonly Buffer[]): void {
    const { socket } = this.#upstream;
    if (parts.length > 1) socket.cork();
    for (const bytes of parts) socket.write(bytes);
    if (parts.length > 1) socket.uncork();
    this.#steer();
    this.#endWhenSent();
  }

  // — Server to client —————————————————————————————————————————————————————————————————————————————————

  #fromServer(chunk: Buffer): void {
    if (this.#ending !== null) return;
    this.#pass((out) => this.#scanner.scan(chunk, out), chunk.length);
  }

  /** After a stop. */
  #goOn(): void {
    if (this.#ending !== null) return;
    this.#pass((out) => this.#scanner.goOn(out), 0);
    if (!this.#overrun.waits && !this.#client.writableNeedDrain) this.#upstream.socket.resume();
  }

  #pass(scan: (out: Buffer[]) => void, received: number): void {
    this.#guard(() => {
      const out: Buffer[] = [];
      this.#following.budget.moveOn();
      try {
        scan(out);
      } finally {
        this.#toClient(out, received);
      }
      if (this.#overrun.waits) this.#upstream.socket.pause();
      this.#gatekeeper.answered();
      if (this.#client.isPaused()) this.#steer();
    });
  }

  #toClient(parts: readonly Buffer[], received: number): void {
    // Nobody is left to read: the server must be heard to its end, and not wait for a drain that never comes.
    const gone = this.#leaving ?? this.#left;
    if (gone !== null && !this.#client.writable) return this.#discard(received, gone);
    let flowing = true;
    if (parts.length > 1) this.#client.cork();
    for (const bytes of parts) flowing = this.#client.write(bytes);
    if (parts.length > 1) this.#client.uncork();
    if (!flowing) this.#upstream.socket.pause();
  }

  /** Whoever is gone does not make the server send a whole table to nobody. */
  #discard(length: number, leaving: Ending): void {
    this.#undelivered += length;
    if (this.#undelivered <= UNDELIVERED_MAX) return;
    this.#end(leaving);
    // In the middle of what it says it hears no Terminate, only that nobody is left who reads.
    this.#upstream.socket.destroy();
  }

  #serverGone(): void {
    if (this.#ending !== null) return;
    if (this.#leaving !== null) return this.#end(this.#leaving);
    const ending = this.#gatekeeper.paused ? 'upstream lost' : 'upstream closed the connection';
    // What the server said before it closed is what the client should read last.
    if (this.#following.saidGoodbye) return this.#end(ending);
    this.#fatal(
      new CountersignError('upstream_unavailable', 'the connection to the database was lost'),
      ending,
    );
  }

  // — The end ——————————————————————————————————————————————————————————————————————————————————————————

  /**
   * The client has gone, or said goodbye. What it sent before runs to its end, as it would without us, so that the log
   * has its outcome; then the server closes. A statement that waits is withdrawn.
   */
  #leave(ending: Ending): void {
    if (this.#ending !== null || this.#leaving !== null) return;
    if (this.#overrun.waits) return this.#end(ending);
    if (this.#gatekeeper.awaitsAnswers) {
      // Nobody is asked anything: what the client sent before it left still counts.
      this.#left ??= ending;
      return;
    }
    if (this.#gatekeeper.paused) return this.#end(ending);
    this.#leaving = ending;
    // The server hears of it what it would have heard without us: amid a COPY, a Terminate is not the end of the stream.
    if (ending === 'client terminated') this.#outbox.push(new Frame(serialize.end()), 'none');
    this.#outbox.release();
    this.#endWhenSent();
  }

  #endWhenSent(): void {
    if (this.#leaving !== null && this.#outbox.empty) this.#upstream.socket.end();
  }

  /** Runs `work`; an error that it throws ends the session, and only this session. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (error instanceof CountersignError) return this.#fatal(error, 'protocol error');
    this.#node.problem(error, error instanceof UnexpectedAnswer ? 'upstream' : 'session');
    this.#fatal(
      new CountersignError('internal', 'internal error in the proxy; the connection is closed'),
      'internal error',
    );
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

  #fatal(error: CountersignError, ending: Ending): void {
    if (this.#ending !== null) return;
    const { limit } = error;
    if (limit !== undefined) this.#tryToRecord(() => recordLimit(this.#node, this.#speaker, limit));
    // Within a row that has not come whole it would be read as a part of the row.
    if (this.#scanner.betweenMessages) this.#client.write(encodeError(error, 'FATAL'));
    this.#end(ending);
  }

  #end(ending: Ending): void {
    if (this.#ending !== null) return;
    this.#ending = ending;
    this.#asking.interrupt(interruptionBy(ending));
    this.#overrun.interrupt(interruptionBy(ending));
    this.#gatekeeper.close();
    this.#tryToRecord(() => this.#following.pipeline.lose());
    this.#upstream.end();
    this.#client.end();
    this.#client.resume(); // what it still sends is read and forgotten: it must get to our last words, and to the end
    closeWithin(this.#client, LAST_WORDS_MS);
    // A statement that waits has its last records still to come, and a log that closes must wait for them.
    if (!this.#gatekeeper.paused) this.#recordEnd(ending);
  }

  #recordEnd(because: Ending): void {
    this.#tryToRecord(() => {
      this.#node.log.append({
        type: 'session.close',
        ...this.#speaker,
        because,
        ...this.#following.totals,
      });
    });
    this.#onEnd();
  }

  /** At the end of a session there is nobody left to tell but the operator. */
  #tryToRecord(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#node.problem(error, 'audit log');
    }
  }
}

/** Its `end` or its `close` has been told already. */
function hasEnded(socket: Socket): boolean {
  return socket.destroyed || socket.readableEnded;
}

function interruptionBy(ending: Ending): Interruption {
  return ending === 'upstream lost' || ending === 'shutdown' ? ending : 'client disconnected';
}
