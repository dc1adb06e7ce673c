// From a connection's first byte to its StartupMessage: TLS by SSLRequest or directly, GSSENCRequest, CancelRequest, each
// where it may stand and nowhere else. Says what PostgreSQL 18 says (its ProcessSSLStartup and ProcessStartupPacket).
import type { Socket } from 'node:net';
import { createServer, type TLSSocket, type TlsOptions, type Server as TlsServer } from 'node:tls';
import { CountersignError } from '../base/errors.ts';
import {
  parseStartupPacket,
  type StartupPacket,
  startupLength,
  unsupportedRequest,
} from '../wire/startup.ts';
import { readBytes } from './source.ts';

export type Startup = Extract<StartupPacket, { kind: 'startup' }>;
export type CancelRequest = Extract<StartupPacket, { kind: 'cancel' | 'malformed cancel' }>;

/** The connection ends without a word. Who is there has not shown that they speak the protocol. */
export class Unanswered extends Error {}

/** First byte of a TLS handshake record. As a length it would begin a packet of hundreds of megabytes. */
const TLS_HANDSHAKE = 0x16;
/** Without this name a handshake meant for another protocol could be led here (ALPACA); libpq sends it since 17. */
const ALPN = 'postgresql';

export class Negotiator {
  /** Listens on no port of its own: it is handed sockets, and lets only those through whose certificate is right. */
  readonly #handshakes: TlsServer | null;
  readonly #secured = new Map<string, (socket: TLSSocket) => void>();

  /** `tls` null: TLS is not offered. */
  constructor(tls: TlsOptions | null) {
    this.#handshakes =
      tls === null
        ? null
        : createServer({ ...tls, ALPNProtocols: [ALPN] }, (socket) =>
            this.#secured.get(peerOf(socket))?.(socket),
          );
    // A handshake that fails closes its socket, and that is how it is noticed.
    this.#handshakes?.on('tlsClientError', () => {});
  }

  /**
   * The packet that says what the connection is for. `onSecured` is told of the socket to speak through from then on.
   * Rejects with Unanswered, with a CountersignError to tell the client, or with the socket's own error.
   */
  async negotiate(plain: Socket, onSecured: (socket: Socket) => void): Promise<Startup | CancelRequest> {
    let socket = plain;
    // Each may be asked for once. With TLS under way there is nothing left to ask for.
    let sslDone = false;
    let gssencDone = false;
    if (await beginsHandshake(plain)) {
      socket = await this.#direct(plain);
      onSecured(socket);
    }
    for (;;) {
      const packet = await readStartupPacket(socket);
      switch (packet.kind) {
        case 'startup':
        case 'cancel':
        case 'malformed cancel':
          return packet;
        case 'gssenc':
          if (gssencDone) throw unsupportedRequest('gssenc');
          gssencDone = true;
          decline(socket, 'GSSAPI encryption request');
          break;
        case 'ssl':
          if (sslDone) throw unsupportedRequest('ssl');
          sslDone = true;
          // Within direct TLS it is declined, as where there is none.
          if (this.#handshakes === null || socket !== plain) {
            decline(socket, 'SSL request');
            break;
          }
          requireNothingBehind(socket, 'SSL request');
          socket.write('S');
          socket = await this.#secure(socket, this.#handshakes);
          gssencDone = true;
          onSecured(socket);
          break;
        default:
          packet satisfies never;
      }
    }
  }

  async #direct(plain: Socket): Promise<Socket> {
    if (this.#handshakes === null) throw new Unanswered('TLS is not offered');
    const socket = await this.#secure(plain, this.#handshakes);
    if (socket.alpnProtocol !== ALPN) throw new Unanswered('direct TLS without ALPN');
    return socket;
  }

  #secure(socket: Socket, handshakes: TlsServer): Promise<TLSSocket> {
    const peer = peerOf(socket);
    const secured = new Promise<TLSSocket>((resolve, reject) => {
      socket.once('close', () => reject(new Unanswered('the TLS handshake failed')));
      this.#secured.set(peer, (secure) => {
        secure.on('error', () => {});
        resolve(secure);
      });
      // Takes the bytes that are buffered here already for the first of the handshake.
      handshakes.emit('connection', socket);
    });
    return secured.finally(() => this.#secured.delete(peer));
  }
}

/** The other end of a connection: the same for a socket and for TLS over it, and no other connection has it meanwhile. */
function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

async function beginsHandshake(socket: Socket): Promise<boolean> {
  const first = await read(socket, 1);
  socket.unshift(first);
  return first[0] === TLS_HANDSHAKE;
}

async function readStartupPacket(socket: Socket): Promise<StartupPacket> {
  const lengthBytes = await read(socket, 4);
  let length: number;
  try {
    length = startupLength(lengthBytes) ?? 0;
  } catch (error) {
    throw asUnanswered(error);
  }
  return parseStartupPacket(Buffer.concat([lengthBytes, await read(socket, length - 4)]));
}

async function read(socket: Socket, count: number): Promise<Buffer> {
  try {
    return await readBytes(socket, count);
  } catch (error) {
    throw asUnanswered(error);
  }
}

/** No packet at all, as a port scan or a health check leaves behind. */
function asUnanswered(error: unknown): unknown {
  return error instanceof CountersignError ? new Unanswered(error.message) : error;
}

function decline(socket: Socket, what: string): void {
  socket.write('N');
  requireNothingBehind(socket, what);
}

/** Bytes sent behind a request for encryption could be taken for encrypted ones (CVE-2021-23222). */
function requireNothingBehind(socket: Socket, what: string): void {
  if (socket.readableLength === 0) return;
  throw new CountersignError('protocol_violation', `received unencrypted data after ${what}`, {
    detail:
      'This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.',
  });
}
