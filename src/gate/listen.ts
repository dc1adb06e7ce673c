// Takes connections, brings each from its first byte to a running session, and ends them all when asked to.
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { TlsOptions } from 'node:tls';
import { CountersignError } from '../base/errors.ts';
import { newSessionId } from '../base/ids.ts';
import {
  BACKEND,
  encodeAuthenticationOk,
  encodeBackendKeyData,
  encodeError,
  encodeErrorFields,
  encodeParameterStatus,
  encodeReadyForQuery,
} from '../wire/backend.ts';
import { CancelKeys } from './cancel.ts';
import { Negotiator, type Startup } from './negotiation.ts';
import type { Node } from './node.ts';
import { type Guest, type ReceptionOptions, receive } from './reception.ts';
import { Session } from './session.ts';
import { closeWithin } from './source.ts';
import { connectUpstream, ServerRefusal, type Upstream } from './upstream.ts';

export interface ListenerOptions extends ReceptionOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** null: TLS is not offered. */
  readonly tls: TlsOptions | null;
  readonly connections: number;
  /** How many sessions an agent may have at once. */
  readonly connectionsFor: (agent: string) => number;
  /** From the first byte to a session, milliseconds. */
  readonly startupMs: number;
}

const SHUTTING_DOWN = new CountersignError(
  'shutting_down',
  'terminating connection: the proxy is shutting down',
);
/** Whoever does not read what we last said does not keep us. */
const LAST_WORDS_MS = 2_000;

export class Listener {
  readonly #options: ListenerOptions;
  readonly #server: Server;
  readonly #negotiator: Negotiator;
  readonly #keys = new CancelKeys();
  readonly #connections = new Set<Socket>();
  readonly #sessions = new Set<Session>();
  readonly #perAgent = new Map<string, number>();
  #closing: Promise<void> | null = null;
  #onIdle: (() => void) | null = null;

  private constructor(options: ListenerOptions) {
    this.#options = options;
    this.#negotiator = new Negotiator(options.tls);
    this.#server = createServer({ noDelay: true, keepAlive: true, allowHalfOpen: true }, (socket) =>
      this.#accept(socket),
    );
  }

  /** Rejects with CountersignError `config` when the port cannot be had. */
  static open(options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(options);
    const { host, port } = options;
    return new Promise((resolve, reject) => {
      listener.#server.once('error', (error: NodeJS.ErrnoException) => {
        reject(
          new CountersignError('config', `cannot listen on ${host}:${port}: ${error.code ?? error.message}`),
        );
      });
      listener.#server.listen({ host, port }, () => resolve(listener));
    });
  }

  get address(): { readonly host: string; readonly port: number } {
    const { address, port } = this.#server.address() as AddressInfo;
    return { host: address, port };
  }

  /** Takes no more connections and ends those there are, which are told `why`; resolves when the last has ended. */
  close(why: CountersignError = SHUTTING_DOWN): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      this.#server.close();
      for (const session of this.#sessions) session.shutDown(why);
      for (const socket of this.#connections) socket.destroySoon();
      if (this.#sessions.size === 0) resolve();
      else this.#onIdle = resolve;
    });
    return this.#closing;
  }

  #accept(plain: Socket): void {
    const { connections, startupMs } = this.#options;
    plain.on('error', () => {});
    if (this.#connections.size >= connections) {
      return closeWith(plain, fatal(new CountersignError('too_many_connections', 'too many connections')));
    }
    this.#connections.add(plain);
    plain.once('close', () => this.#connections.delete(plain));
    const deadline = setTimeout(() => plain.destroy(), startupMs);
    let socket = plain;
    this.#open(plain, (secured) => {
      socket = secured;
    })
      // Said inside TLS, where there is TLS.
      .catch((error: unknown) => this.#failed(socket, error))
      .finally(() => clearTimeout(deadline));
  }

  async #open(plain: Socket, onSecured: (socket: Socket) => void): Promise<void> {
    let socket = plain;
    const packet = await this.#negotiator.negotiate(plain, (secured) => {
      socket = secured;
      onSecured(secured);
    });
    if (packet.kind === 'startup') return await this.#start(socket, packet);
    await this.#keys.use(packet.processId, packet.secretKey);
    closeWith(socket, Buffer.alloc(0));
  }

  async #start(socket: Socket, startup: Startup): Promise<void> {
    this.#refuseWhenClosing();
    const guest = await receive(socket, startup, this.#options);
    const release = this.#takePlace(guest.who.agent);
    let upstream: Upstream | null = null;
    try {
      upstream = await connectUpstream(guest.target, guest.request.settings);
      this.#refuseWhenClosing();
      if (socket.destroyed) throw new CountersignError('cancelled', 'the client left during start-up');
      await this.#begin(socket, guest, upstream, release);
    } catch (error) {
      upstream?.end();
      release();
      throw error;
    }
  }

  async #begin(socket: Socket, guest: Guest, upstream: Upstream, release: () => void): Promise<void> {
    const { node } = this.#options;
    const { request, who, requesters, variables } = guest;
    const speaker = { session: newSessionId(), who };
    node.log.append({
      type: 'session.open',
      ...speaker,
      applicationName: request.applicationName,
      purpose: request.purpose,
      startup: Object.fromEntries(request.settings),
    });
    await written(node);
    const key = this.#keys.issue(() => session.cancel());
    const onEnd = (): void => {
      this.#keys.revoke(key);
      this.#sessions.delete(session);
      release();
      if (this.#sessions.size === 0) this.#onIdle?.();
    };
    const session: Session = new Session({
      node,
      speaker,
      client: socket,
      upstream,
      requesters,
      variables,
      onEnd,
    });
    this.#sessions.add(session);
    socket.write(
      Buffer.concat([
        encodeAuthenticationOk(),
        ...[...upstream.parameters].map(([name, value]) => encodeParameterStatus(name, value)),
        encodeBackendKeyData(key.processId, key.secretKey),
        encodeReadyForQuery('I'),
      ]),
    );
  }

  #refuseWhenClosing(): void {
    if (this.#closing !== null) throw SHUTTING_DOWN;
  }

  /** Returns what gives the place back, once however often it is called. */
  #takePlace(agent: string): () => void {
    const now = this.#perAgent.get(agent) ?? 0;
    if (now >= this.#options.connectionsFor(agent)) {
      throw new CountersignError('too_many_connections', `too many connections for agent "${agent}"`);
    }
    this.#perAgent.set(agent, now + 1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const count = (this.#perAgent.get(agent) ?? 1) - 1;
      if (count === 0) this.#perAgent.delete(agent);
      else this.#perAgent.set(agent, count);
    };
  }

  #failed(socket: Socket, error: unknown): void {
    const { node } = this.#options;
    if (error instanceof CountersignError) {
      if (error.code === 'upstream_unavailable') node.problem(error, 'upstream');
      return closeWith(socket, fatal(error));
    }
    if (error instanceof ServerRefusal) {
      node.problem(error, 'upstream refused');
      const fields = { S: 'FATAL', V: 'FATAL', C: error.sqlstate, M: error.message };
      return closeWith(socket, encodeErrorFields(BACKEND.ErrorResponse, fields));
    }
    if (!socket.destroyed) node.problem(error, 'start-up');
    socket.destroy();
  }
}

function fatal(error: CountersignError): Buffer {
  return encodeError(error, 'FATAL');
}

function closeWith(socket: Socket, lastWords: Buffer): void {
  if (socket.destroyed) return;
  socket.end(lastWords);
  socket.resume();
  closeWithin(socket, LAST_WORDS_MS);
}

function written({ log }: Node): Promise<void> {
  return new Promise((resolve, reject) => {
    log.when('written', (error) => (error === null ? resolve() : reject(error)));
  });
}
