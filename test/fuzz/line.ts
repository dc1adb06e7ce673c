// A connection on which anything may be said: no inbox, no patience of its own. It hears whole frames, knows whether the
// other side is still there, and waits for what happens, never for longer than a deadline.
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { serialize } from 'pg-protocol';
import { int32 } from '../../src/base/bytes.ts';
import { randomSecret } from '../../src/base/ids.ts';
import { BACKEND, parseErrorFields } from '../../src/wire/backend.ts';
import { type Frame, FrameReader, HEADER_LENGTH } from '../../src/wire/frames.ts';
import { NONCE_LENGTH } from '../../src/wire/scram.ts';
import { clientFinal, startClientExchange, verifyServerFinal } from '../../src/wire/scram-client.ts';
import { startupPacket } from '../live/wire-client.ts';

const LARGEST_ANSWER = 64 * 1024 * 1024;
const LOGIN_MS = 30_000;

export interface Place {
  readonly host: string;
  readonly port: number;
  /** The address to come from: failed logins are counted by it. */
  readonly from?: string;
  /** PEM of the authority: TLS after an SSLRequest. */
  readonly ca?: Buffer;
}

export interface Login {
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/** Nothing more came, and something was owed. */
class Hang extends Error {}

export class Line {
  readonly socket: Socket;
  /** The other side has closed, or we have. */
  closed = false;
  /** Frames since the beginning. */
  heard = 0;
  key: { readonly processId: number; readonly secretKey: Buffer } | null = null;
  onFrame: (frame: Frame) => void = () => {};
  /** What comes is no frames, and so nothing more is heard. */
  garbled = false;
  /** Single bytes that come before any frame: the answers to SSLRequest and GSSENCRequest. */
  bare = 0;
  readonly #reader = new FrameReader(LARGEST_ANSWER);
  readonly #waiting = new Set<() => void>();

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      const skipped = Math.min(this.bare, chunk.length);
      this.bare -= skipped;
      this.#hear(chunk.subarray(skipped));
      this.#wake();
    });
    socket.on('error', () => {});
    for (const event of ['end', 'close']) {
      socket.on(event, () => {
        this.closed = true;
        this.#wake();
      });
    }
  }

  /** Nothing has been said on it but, where asked for, TLS. */
  static async dial({ host, port, from, ca }: Place): Promise<Line> {
    const plain = connect({
      host,
      port,
      noDelay: true,
      ...(from === undefined ? {} : { localAddress: from }),
    });
    await happened(plain, 'connect');
    if (ca === undefined) return new Line(plain);
    plain.write(serialize.requestSsl());
    await happened(plain, 'data');
    const secured = connectTls({ socket: plain, host, ca });
    await happened(secured, 'secureConnect');
    return new Line(secured);
  }

  /** A session: up to its first ReadyForQuery. */
  static async open(
    place: Place,
    login: Login,
    parameters: Readonly<Record<string, string>>,
    onFrame: (frame: Frame) => void = () => {},
  ): Promise<Line> {
    const line = await Line.dial(place);
    try {
      await line.#logIn(login, parameters, onFrame);
    } catch (error) {
      line.socket.destroy();
      throw error;
    }
    return line;
  }

  /** Resolves when `condition` holds, looked at whenever something happens. Rejects with Hang. */
  until(condition: () => boolean, limitMs: number, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (!condition()) return;
        end();
        resolve();
      };
      const timer = setTimeout(() => {
        end();
        reject(new Hang(`waited ${limitMs} ms for ${what}`));
      }, limitMs);
      const end = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(look);
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** Resolves when nothing has come for `quietMs`, or the other side is gone. */
  quiet(quietMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(again);
        resolve();
      };
      const again = (): void => {
        if (this.closed) return done();
        timer.refresh();
      };
      const timer = setTimeout(done, quietMs);
      this.#waiting.add(again);
    });
  }

  #hear(bytes: Buffer): void {
    if (this.garbled) return;
    this.#reader.push(bytes);
    for (;;) {
      let frame: Frame | null = null;
      try {
        frame = this.#reader.next();
      } catch {
        this.garbled = true;
      }
      if (frame === null) return;
      this.heard++;
      this.onFrame(frame);
    }
  }

  #wake(): void {
    for (const look of [...this.#waiting]) look();
  }

  async #logIn(
    { user, password, database }: Login,
    parameters: Readonly<Record<string, string>>,
    onFrame: (frame: Frame) => void,
  ): Promise<void> {
    const exchange = startClientExchange(randomSecret(NONCE_LENGTH));
    let proved: Promise<Awaited<ReturnType<typeof clientFinal>>> | null = null;
    let ready = false;
    let refused: string | null = null;
    this.onFrame = (frame) => {
      const { tag, bytes } = frame;
      onFrame(frame);
      if (tag === BACKEND.ReadyForQuery) ready = true;
      if (tag === BACKEND.ErrorResponse) refused = parseErrorFields(bytes)['M'] ?? 'no reason given';
      if (tag === BACKEND.BackendKeyData) {
        const secretKey = Buffer.from(bytes.subarray(HEADER_LENGTH + 4));
        this.key = { processId: bytes.readInt32BE(HEADER_LENGTH), secretKey };
      }
      if (tag !== BACKEND.Authentication) return;
      const data = Buffer.from(bytes.subarray(HEADER_LENGTH + 4));
      switch (bytes.readInt32BE(HEADER_LENGTH)) {
        case 10:
          this.socket.write(serialize.sendSASLInitialResponseMessage('SCRAM-SHA-256', exchange.message));
          break;
        case 11:
          proved = clientFinal(exchange, password, data);
          proved.then(
            ({ message }) => this.socket.write(serialize.sendSCRAMClientFinalMessage(message)),
            (error: Error) => {
              refused = error.message;
              this.socket.destroy();
            },
          );
          break;
        case 12:
          proved?.then((state) => verifyServerFinal(state, data)).catch(() => this.socket.destroy());
      }
    };
    this.socket.write(startupPacket({ user, database, ...parameters }));
    await this.until(() => ready || this.closed, LOGIN_MS, 'the login');
    this.onFrame = onFrame;
    if (!ready) throw new Error(`the login was refused: ${refused ?? 'the connection was closed'}`);
  }
}

function happened(socket: Socket, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => {
      socket.off('error', reject);
      resolve();
    });
    socket.once('error', reject);
  });
}

/** A CancelRequest on a connection of its own; resolves when the other side has closed it. */
export async function cancel(
  place: Place,
  { processId, secretKey }: NonNullable<Line['key']>,
  limitMs: number,
): Promise<void> {
  const line = await Line.dial(place);
  line.socket.write(
    Buffer.concat([int32(12 + secretKey.length), int32(80877102), int32(processId), secretKey]),
  );
  try {
    await line.until(() => line.closed, limitMs, 'the end of a cancel request');
  } finally {
    line.socket.destroy();
  }
}
