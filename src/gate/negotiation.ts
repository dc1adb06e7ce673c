// From a connection's first byte to its StartupMessage: SSLRequest and TLS, GSSENCRequest, CancelRequest, each where it may
// stand and nowhere else.
import type { Socket } from 'node:net';
import { createServer, type TLSSocket, type TlsOptions, type Server as TlsServer } from 'node:tls';
import { CountersignError } from '../base/errors.ts';
import { parseStartupPacket, type StartupPacket, startupLength } from '../wire/startup.ts';
import { readBytes } from './source.ts';

export type Startup = Extract<StartupPacket, { kind: 'startup' }>;
export type CancelRequest = Extract<StartupPacket, { kind: 'cancel' }>;

export class Negotiator {
  /** Listens on no port of its own: it is handed sockets, and lets only those through whose certificate is right. */
  readonly #handshakes: TlsServer | null;
  readonly #secured = new Map<string, (socket: TLSSocket) => void>();

  /** `tls` null: TLS is not offered. */
  constructor(tls: TlsOptions | null) {
    this.#handshakes =
      tls === null
        ? null
        : createServer({ ...tls, ALPNProtocols: ['postgresql'] }, (socket) =>
            this.#secured.get(peerOf(socket))?.(socket),
          );
    // A handshake that fails closes its socket, and that is how it is noticed.
    this.#handshakes?.on('tlsClientError', () => {});
  }

  /**
   * The packet that says what the connection is for. `onSecured` is told of the socket to speak through from then on.
   * Rejects with CountersignError, or with the socket's own error.
   */
  async negotiate(plain: Socket, onSecured: (socket: Socket) => void): Promise<Startup | CancelRequest> {
    let socket = plain;
    let askedGssenc = false;
    for (;;) {
      const packet = await readStartupPacket(socket);
      switch (packet.kind) {
        case 'startup':
        case 'cancel':
          return packet;
        case 'gssenc':
          if (askedGssenc || socket !== plain) throw outOfPlace('GSSENCRequest');
          askedGssenc = true;
          requireNothingBehind(socket);
          socket.write('N');
          break;
        case 'ssl':
          if (socket !== plain) throw outOfPlace('SSLRequest');
          requireNothingBehind(socket);
          socket = await this.#offerTls(socket);
          onSecured(socket);
          break;
        default:
          packet satisfies never;
      }
    }
  }

  #offerTls(socket: Socket): Promise<Socket> {
    const handshakes = this.#handshakes;
    if (handshakes === null) {
      socket.write('N');
      return Promise.resolve(socket);
    }
    socket.write('S');
    const peer = peerOf(socket);
    const secured = new Promise<Socket>((resolve, reject) => {
      socket.once('close', () =>
        reject(new CountersignError('protocol_violation', 'the TLS handshake failed')),
      );
      this.#secured.set(peer, (secure) => {
        secure.on('error', () => {});
        resolve(secure);
      });
      handshakes.emit('connection', socket);
    });
    return secured.finally(() => this.#secured.delete(peer));
  }
}

/** The other end of a connection: the same for a socket and for TLS over it, and no other connection has it meanwhile. */
function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

async function readStartupPacket(socket: Socket): Promise<StartupPacket> {
  const lengthBytes = await readBytes(socket, 4);
  const length = startupLength(lengthBytes) ?? 0;
  return parseStartupPacket(Buffer.concat([lengthBytes, await readBytes(socket, length - 4)]));
}

/** Bytes sent behind SSLRequest before the handshake would be taken for encrypted ones (CVE-2021-23222). */
function requireNothingBehind(socket: Socket): void {
  if (socket.readableLength > 0) {
    throw new CountersignError('protocol_violation', 'received unencrypted data after SSL request');
  }
}

function outOfPlace(what: string): CountersignError {
  return new CountersignError('protocol_violation', `${what} is out of place`);
}
