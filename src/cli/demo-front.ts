// Shares the one session of PGlite among several connections, so that each believes it has a server of its own.
// PGlite's own socket server hands the engine one message at a time from whichever connection has one. Measured with
// it: B's Parse of the unnamed statement replaced A's, and A then executed B's text; A's error made the engine ignore
// B's messages up to A's Sync. Behind a proxy that asks a person about A's text, that must not be.
import type { Socket } from 'node:net';
import type { PGlite } from '@electric-sql/pglite';
import { cstring, int32 } from '../base/bytes.ts';
import { CountersignError } from '../base/errors.ts';
import { SCOUT_NAME } from '../gate/scout.ts';
import { encodeError } from '../wire/backend.ts';
import { FrameReader, HEADER_LENGTH } from '../wire/frames.ts';
import { FRONTEND } from '../wire/frontend.ts';
import { parseStartupPacket, protocolVersion, startupLength } from '../wire/startup.ts';

const MAX_FRAME_LENGTH = 16 * 1024 * 1024;

/** What is sent to the engine as one piece: the messages of one connection up to a Query, Sync or Flush. */
interface Turn {
  readonly session: Session;
  readonly frames: readonly Buffer[];
  /** It ends with Flush, not Sync: the next turn must be the same connection's. */
  readonly unfinished: boolean;
}

export class DemoFront {
  readonly #engine: PGlite;
  /** What the engine said to its one StartupMessage; every connection hears the same. */
  readonly #greeting: Buffer;
  readonly #sessions = new Set<Session>();
  readonly #turns: Turn[] = [];
  /** Whose transaction, or unfinished extended query, the engine is in: nobody else gets a turn until it has ended. */
  #owner: Session | null = null;
  #unfinished = false;
  #working = false;
  #nextId = 1;

  private constructor(engine: PGlite, greeting: Buffer) {
    this.#engine = engine;
    this.#greeting = greeting;
  }

  static async over(engine: PGlite): Promise<DemoFront> {
    const body = Buffer.concat([
      int32(protocolVersion(0)),
      cstring('user'),
      cstring('postgres'),
      Buffer.alloc(1),
    ]);
    const startup = Buffer.concat([int32(body.length + 4), body]);
    const answer: Buffer[] = [];
    await engine.execProtocolRawStream(startup, { onRawData: (data) => void answer.push(Buffer.from(data)) });
    return new DemoFront(engine, Buffer.concat(answer));
  }

  accept(socket: Socket): void {
    socket.setNoDelay(true);
    const session = new Session(socket, this.#nextId++, {
      greeting: this.#greeting,
      take: (turn) => {
        this.#turns.push(turn);
        void this.#work();
      },
    });
    this.#sessions.add(session);
    socket.on('data', (chunk: Buffer) => session.receive(chunk));
    socket.on('error', () => socket.destroy());
    socket.once('close', () => {
      this.#sessions.delete(session);
      void this.#work();
    });
  }

  async #work(): Promise<void> {
    if (this.#working) return;
    this.#working = true;
    try {
      for (;;) {
        if (this.#owner !== null && !this.#sessions.has(this.#owner)) await this.#abandon();
        const next = this.#turns.findIndex(
          (turn) => this.#owner === null || turn.session === this.#owner || !this.#sessions.has(turn.session),
        );
        const [turn] = next === -1 ? [] : this.#turns.splice(next, 1);
        if (turn === undefined) break;
        // What a connection asked for and did not stay for does not run.
        if (this.#sessions.has(turn.session)) await this.#run(turn);
      }
      // The proxy itself stays, and keeps nothing here.
      const visited = [...this.#sessions].some((session) => session.isVisitor);
      if (!visited && this.#owner === null) await this.#engine.exec('DISCARD ALL');
    } catch (error) {
      // The engine itself has failed, and no later statement can be trusted to it.
      const fatal = new CountersignError('internal', 'the embedded Postgres has crashed', { cause: error });
      for (const session of this.#sessions) session.end(encodeError(fatal, 'FATAL'));
      process.stderr.write(`the embedded Postgres has crashed: ${String(error)}\n`);
      process.exitCode = 1;
      process.disconnect();
    } finally {
      this.#working = false;
    }
  }

  async #run(turn: Turn): Promise<void> {
    this.#owner = turn.session;
    this.#unfinished = turn.unfinished;
    for (const frame of turn.frames) {
      for (const { bytes, heard } of forEngine(frame, turn.session.id)) {
        await this.#send(bytes, heard ? (data) => turn.session.write(data) : () => {});
      }
    }
    if (!this.#unfinished && !this.#engine.isInTransaction()) this.#owner = null;
  }

  /** The owner has gone in the middle of something; a server would roll it back. */
  async #abandon(): Promise<void> {
    if (this.#unfinished) await this.#send(encode(FRONTEND.Sync, Buffer.alloc(0)), () => {});
    if (this.#engine.isInTransaction()) await this.#engine.exec('ROLLBACK');
    this.#unfinished = false;
    this.#owner = null;
  }

  #send(bytes: Buffer, onRawData: (data: Uint8Array) => void): Promise<void> {
    return this.#engine.execProtocolRawStream(bytes, { onRawData });
  }
}

/** One connection: startup, then frames gathered into turns. */
class Session {
  readonly id: number;
  /** Anybody but the proxy's scout, which has no settings and names to leave behind. */
  isVisitor = true;
  readonly #socket: Socket;
  readonly #door: { readonly greeting: Buffer; readonly take: (turn: Turn) => void };
  readonly #frames = new FrameReader(MAX_FRAME_LENGTH);
  #startup: Buffer | null = Buffer.alloc(0);
  #gathered: Buffer[] = [];

  constructor(
    socket: Socket,
    id: number,
    door: { readonly greeting: Buffer; readonly take: (turn: Turn) => void },
  ) {
    this.#socket = socket;
    this.id = id;
    this.#door = door;
  }

  write(data: Uint8Array): void {
    // A copy: the engine uses its memory again for the next answer.
    if (this.#socket.writable) this.#socket.write(Buffer.from(data));
  }

  end(lastWords: Uint8Array = Buffer.alloc(0)): void {
    if (this.#socket.writable) this.#socket.end(lastWords);
  }

  receive(chunk: Buffer): void {
    try {
      if (this.#startup === null) this.#frames.push(chunk);
      else this.#receiveStartup(Buffer.concat([this.#startup, chunk]));
      if (this.#startup === null) this.#gather();
    } catch (error) {
      if (!(error instanceof CountersignError)) throw error;
      this.end(encodeError(error, 'FATAL'));
    }
  }

  #receiveStartup(bytes: Buffer): void {
    this.#startup = bytes;
    const length = startupLength(bytes);
    if (length === null || bytes.length < length) return;
    const packet = parseStartupPacket(bytes.subarray(0, length));
    const rest = bytes.subarray(length);
    if (packet.kind === 'cancel' || packet.kind === 'malformed cancel') {
      this.end();
      return;
    }
    if (packet.kind === 'startup') {
      this.#startup = null;
      this.isVisitor = packet.parameters.get('application_name') !== SCOUT_NAME;
      this.write(this.#door.greeting);
      this.#frames.push(rest);
      return;
    }
    this.#socket.write('N');
    this.#receiveStartup(rest);
  }

  #gather(): void {
    for (let frame = this.#frames.next(); frame !== null; frame = this.#frames.next()) {
      const { tag, bytes } = frame;
      if (tag === FRONTEND.Terminate) {
        this.end();
        return;
      }
      // Copy data outside of COPY is ignored by a server; COPY FROM STDIN never starts here.
      if (tag === FRONTEND.CopyData || tag === FRONTEND.CopyDone || tag === FRONTEND.CopyFail) continue;
      this.#gathered.push(bytes);
      const finished = tag === FRONTEND.Query || tag === FRONTEND.Sync || tag === FRONTEND.FunctionCall;
      if (!finished && tag !== FRONTEND.Flush) continue;
      this.#door.take({ session: this, frames: this.#gathered, unfinished: !finished });
      this.#gathered = [];
    }
  }
}

const COPY_IN = /\bcopy\b[\s\S]*\bfrom\s+stdin\b/i;
// It parses, and fails only when it runs: so the engine itself reports the error, in the right transaction state.
const INSTEAD_OF_COPY_IN = cstring(
  "DO $$ BEGIN RAISE EXCEPTION 'COPY FROM STDIN is not available in the embedded Postgres' USING ERRCODE = '0A000'; END $$",
);

/**
 * A client's frame as the engine gets it: names of prepared statements get the connection's number in front.
 * That gives the unnamed statement a name, so it must be closed before it is parsed anew; that answer is not `heard`.
 */
function forEngine(frame: Buffer, session: number): { bytes: Buffer; heard: boolean }[] {
  const tag = frame[0] as number;
  const body = frame.subarray(HEADER_LENGTH);
  const own = (name: Buffer): Buffer => Buffer.concat([Buffer.from(`${session}_`), name]);
  switch (tag) {
    case FRONTEND.Query:
      return [
        { bytes: COPY_IN.test(body.toString()) ? encode(tag, INSTEAD_OF_COPY_IN) : frame, heard: true },
      ];
    case FRONTEND.Parse: {
      const [name, afterName] = splitCString(body);
      const [sql, types] = splitCString(afterName);
      const text = COPY_IN.test(sql.toString()) ? INSTEAD_OF_COPY_IN : sql;
      const parse = { bytes: encode(tag, own(name), text, types), heard: true };
      const close = { bytes: encode(FRONTEND.Close, Buffer.from('S'), own(name)), heard: false };
      return name.length === 1 ? [close, parse] : [parse];
    }
    case FRONTEND.Bind: {
      const [portal, afterPortal] = splitCString(body);
      return [{ bytes: encode(tag, portal, own(afterPortal)), heard: true }];
    }
    case FRONTEND.Describe:
    case FRONTEND.Close: {
      const ofStatement = body[0] === 'S'.charCodeAt(0);
      const renamed = ofStatement ? encode(tag, body.subarray(0, 1), own(body.subarray(1))) : frame;
      return [{ bytes: renamed, heard: true }];
    }
    default:
      return [{ bytes: frame, heard: true }];
  }
}

/** A string with its NUL, and what follows it. */
function splitCString(bytes: Buffer): [text: Buffer, rest: Buffer] {
  const end = bytes.indexOf(0) + 1;
  return [bytes.subarray(0, end), bytes.subarray(end)];
}

function encode(tag: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.of(tag), int32(body.length + 4), body]);
}
