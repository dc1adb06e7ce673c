// A connection before there are messages: sends bytes as they are, and reads whatever comes. For what no client would
// send, and for answers that are a single byte.
import { connect, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { cstring, int32 } from '../../src/base/bytes.ts';

/** A packet of the start-up: its length, its code, and the rest. */
export function packet(code: number, ...rest: Buffer[]): Buffer {
  const body = Buffer.concat([int32(code), ...rest]);
  return Buffer.concat([int32(body.length + 4), body]);
}

export const SSL_REQUEST = packet(80877103);
export const GSSENC_REQUEST = packet(80877104);

/** A CancelRequest with these bytes behind its code. */
export const cancelPacket = (...rest: Buffer[]): Buffer => packet(80877102, ...rest);

/** A StartupMessage of exactly this length, all of it `application_name`. */
export function startupOfLength(length: number, user: string, database: string): Buffer {
  const names = ['user', user, 'database', database, 'application_name'].map(cstring);
  const value = Buffer.alloc(length - 8 - Buffer.concat(names).length - 2, 'x');
  return packet(0x0003_0000, ...names, value, Buffer.alloc(2));
}

const WAIT_MS = 15_000;

export class FirstBytes {
  readonly socket: Socket;
  #received = Buffer.alloc(0);
  #closed = false;
  #wake: () => void = () => {};

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', this.#onData);
    socket.on('error', () => {});
    for (const event of ['end', 'close']) {
      socket.on(event, () => {
        this.#closed = true;
        this.#wake();
      });
    }
  }

  static async dial(target: { readonly host: string; readonly port: number }): Promise<FirstBytes> {
    const socket = connect({ host: target.host, port: target.port, noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new FirstBytes(socket);
  }

  /** Sends these as the first bytes of a connection, and returns everything that comes back until it is closed. */
  static async answerTo(
    target: { readonly host: string; readonly port: number },
    ...bytes: Buffer[]
  ): Promise<string> {
    const connection = await FirstBytes.dial(target);
    connection.send(...bytes);
    return await connection.rest();
  }

  send(...bytes: Buffer[]): void {
    this.socket.write(Buffer.concat(bytes));
  }

  /** Exactly this many bytes. */
  async read(count: number): Promise<string> {
    await this.#until(() => this.#received.length >= count, `${count} bytes`);
    const bytes = this.#received.subarray(0, count);
    this.#received = this.#received.subarray(count);
    return bytes.toString('latin1');
  }

  /** All that comes until the other side closes. */
  async rest(): Promise<string> {
    await this.#until(() => this.#closed, 'the end');
    this.socket.destroy();
    return this.#received.toString('latin1');
  }

  /** The TLS handshake, as a client. Rejects when it fails. */
  async secure(options: ConnectionOptions): Promise<FirstBytes & { readonly socket: TLSSocket }> {
    this.socket.off('data', this.#onData);
    const secured = connectTls({ socket: this.socket, ...options });
    await new Promise<void>((resolve, reject) => {
      secured.once('secureConnect', resolve);
      secured.once('error', reject);
      this.socket.once('close', () => reject(new Error('closed during the handshake')));
    });
    return new FirstBytes(secured) as FirstBytes & { readonly socket: TLSSocket };
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#received = Buffer.concat([this.#received, chunk]);
    this.#wake();
  };

  async #until(condition: () => boolean, what: string): Promise<void> {
    while (!condition()) {
      if (this.#closed) throw new Error(`closed before ${what}: ${this.#received.toString('latin1')}`);
      await new Promise<void>((resolve, reject) => {
        const late = setTimeout(() => reject(new Error(`waited ${WAIT_MS} ms for ${what}`)), WAIT_MS);
        this.#wake = () => {
          clearTimeout(late);
          resolve();
        };
      });
    }
  }
}

/** SQLSTATE and message of the one ErrorResponse that `answer` is. Throws on anything else. */
export function fatalOf(answer: string): { readonly sqlstate: string; readonly message: string } {
  const [, sqlstate = '', message = ''] =
    /^E[\s\S]{4}SFATAL\0VFATAL\0C([0-9A-Z]{5})\0M([^\0]*)\0/.exec(answer) ?? [];
  if (sqlstate === '') throw new Error(`no FATAL: ${JSON.stringify(answer)}`);
  return { sqlstate, message: Buffer.from(message, 'latin1').toString('utf8') };
}
