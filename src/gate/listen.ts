// Takes connections, brings each from its first byte to a running session, and ends them all when asked to.
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { TlsOptions } from 'node:tls';
import { CountersignError } from '../base/errors.ts';
import { newSessionId } from '../base/ids.ts';
import type { Limit } from '../base/limit.ts';
import {
  BACKEND,
  encodeAuthenticationOk,
  encodeBackendKeyData,
  encodeError,
  encodeErrorFields,
  encodeParameterStatus,
  encodeReadyForQuery,
} from '../wire/backend.ts';
import { CancelKeys, nodeNumber } from './cancel.ts';
import { type Bus, CancelRelay } from './cancel-relay.ts';
import { endIdleSessions, type IdleLimits } from './idle.ts';
import { StrangersLimitRecords } from './limit-record.ts';
import { type CancelRequest, Negotiator, type Startup, Unanswered } from './negotiation.ts';
import type { Node } from './node.ts';
import { Places, partyOf, Strangers } from './places.ts';
import { type Guest, type ReceptionOptions, receive } from './reception.ts';
import { Session } from './session.ts';
import { closeWithin } from './source.ts';
import { Spending } from './spending.ts';
import type { Ignored } from './tally.ts';
import { connectUpstream, ServerRefusal, type Upstream } from './upstream.ts';

export interface ListenerOptions extends ReceptionOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** null: TLS is not offered. */
  readonly tls: TlsOptions | null;
  readonly limits: ConnectionLimits;
  /** Reaches the nodes that this one shares its holds with; null where it has no others. */
  readonly bus: Bus | null;
  /** Told of what is ignored in silence. */
  readonly count: (what: Ignored) => void;
}

export interface ConnectionLimits extends IdleLimits {
  /** Sessions, whoever has them. Who is not one yet, or only sends a CancelRequest, takes no place of theirs. */
  readonly connections: number;
  /** How many sessions an agent may have at once. */
  readonly connectionsFor: (agent: string) => number;
  /** Sessions and logins of one address; null: no limit. */
  readonly connectionsPerAddress: number | null;
  /** Connections that have not proved who they are. */
  readonly unauthenticated: number;
  /** To a complete startup packet, TLS handshake included. */
  readonly startupMs: number;
  /** From there to a proven identity. */
  readonly authenticationMs: number;
}

const SHUTTING_DOWN = new CountersignError(
  'shutting_down',
  'terminating connection: the proxy is shutting down',
);
/** Whoever does not read what we last said does not keep us. */
const LAST_WORDS_MS = 2_000;
/** A client that vanished without a FIN is asked after so much silence; the system's own default is two hours. */
const KEEPALIVE_MS = 60_000;

export class Listener {
  readonly #options: ListenerOptions;
  readonly #server: Server;
  readonly #negotiator: Negotiator;
  readonly #keys: CancelKeys;
  readonly #relay: CancelRelay | null;
  readonly #spending: Spending | null;
  readonly #connections = new Set<Socket>();
  readonly #sessions = new Set<Session>();
  readonly #places = new Places();
  readonly #strangers: Strangers<Socket>;
  readonly #limitRecords: StrangersLimitRecords;
  readonly #endSweep: () => void;
  #closing: Promise<void> | null = null;
  #onIdle: (() => void) | null = null;

  private constructor(options: ListenerOptions) {
    this.#options = options;
    const { bus, count } = options;
    const node = nodeNumber(options.node.name);
    const keys = new CancelKeys(node);
    this.#keys = keys;
    this.#relay = bus === null ? null : new CancelRelay({ keys, node, bus, count });
    const onProblem = (error: unknown): void => options.node.problem(error, 'bus between nodes');
    this.#spending = bus === null ? null : new Spending({ accounts: options.node.budgets, bus, onProblem });
    this.#negotiator = new Negotiator(options.tls);
    this.#strangers = new Strangers(options.limits.unauthenticated);
    this.#limitRecords = new StrangersLimitRecords(options.node);
    this.#endSweep = endIdleSessions(this.#sessions, options.limits, options.node.clock);
    this.#server = createServer(
      { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEPALIVE_MS, allowHalfOpen: true },
      (socket) => this.#accept(socket),
    );
  }

  /** Rejects with CountersignError `config` when the port cannot be had. */
  static async open(options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(options);
    const { host, port } = options;
    await Promise.all([listener.#relay?.listen(), listener.#spending?.listen()]);
    return await new Promise((resolve, reject) => {
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
      this.#endSweep();
      this.#spending?.close();
      for (const session of this.#sessions) session.shutDown(why);
      for (const socket of this.#connections) socket.destroySoon();
      if (this.#sessions.size === 0) resolve();
      else this.#onIdle = resolve;
    });
    return this.#closing;
  }

  #accept(plain: Socket): void {
    plain.on('error', () => {});
    const party = partyOf(plain.remoteAddress);
    const known = (): void => this.#strangers.delete(party, plain);
    this.#connections.add(plain);
    plain.once('close', () => {
      this.#connections.delete(plain);
      known();
    });
    const displaced = this.#strangers.add(party, plain);
    if (displaced !== null) this.#drop(displaced, 'unauthenticated');
    let socket = plain;
    this.#open(plain, party, known, (secured) => {
      socket = secured;
    })
      // Said inside TLS, where there is TLS.
      .catch((error: unknown) => this.#failed(socket, error));
  }

  async #open(
    plain: Socket,
    party: string,
    known: () => void,
    onSecured: (socket: Socket) => void,
  ): Promise<void> {
    let socket = plain;
    const deadline = setTimeout(() => this.#drop(plain, 'startup'), this.#options.limits.startupMs);
    const packet = await this.#negotiator
      .negotiate(plain, (secured) => {
        socket = secured;
        onSecured(secured);
      })
      .finally(() => clearTimeout(deadline));
    if (packet.kind === 'startup') return await this.#start(socket, packet, party, known);
    await this.#cancel(packet);
    closeWith(socket, Buffer.alloc(0));
  }

  /** Says nothing, whatever comes of it; resolves when the client may take it for done. */
  async #cancel(request: CancelRequest): Promise<void> {
    if (request.kind === 'cancel' && request.processId > 0) {
      if (await this.#keys.use(request)) return;
      if (this.#relay !== null) return await this.#relay.pass(request);
    }
    this.#options.count('cancel request with an unknown key');
  }

  async #start(socket: Socket, startup: Startup, party: string, known: () => void): Promise<void> {
    this.#refuseWhenClosing();
    const { connections, connectionsFor, connectionsPerAddress, authenticationMs } = this.#options.limits;
    const places: (() => void)[] = [];
    const release = (): void => {
      for (const giveBack of places) giveBack();
    };
    let upstream: Upstream | null = null;
    try {
      if (connectionsPerAddress !== null) {
        places.push(this.#take('connectionsPerAddress', party, connectionsPerAddress, ' from this address'));
      }
      const guest = await withinAuthenticationTime(receive(socket, startup, this.#options), authenticationMs);
      known();
      const { agent } = guest.who;
      // One by one: what was taken must be given back when the next cannot be.
      places.push(this.#take('connectionsPerAgent', agent, connectionsFor(agent), ` for agent "${agent}"`));
      places.push(this.#take('connections', '', connections, ''));
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
    const key = this.#keys.issue(guest.minor, () => session.cancel());
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

  /** Returns what gives the place back. */
  #take(limit: Limit, key: string, most: number, whose: string): () => void {
    const giveBack = this.#places.take(`${limit} ${key}`, most);
    if (giveBack === null)
      throw new CountersignError('too_many_connections', `too many connections${whose}`, { limit });
    return giveBack;
  }

  /** Without a word: it may be amid a TLS handshake, and the server says nothing to such either. */
  #drop(socket: Socket, limit: Limit): void {
    this.#limitRecords.record(limit, addressOf(socket));
    socket.destroy();
  }

  #failed(socket: Socket, error: unknown): void {
    const { node } = this.#options;
    if (error instanceof Unanswered) return closeWith(socket, Buffer.alloc(0));
    if (error instanceof CountersignError) {
      if (error.limit !== undefined) this.#limitRecords.record(error.limit, addressOf(socket));
      if (error.code === 'upstream_unavailable') node.problem(error, 'upstream');
      return closeWith(socket, fatal(error));
    }
    if (error instanceof ServerRefusal) {
      node.problem(error, 'upstream refused');
      return closeWith(socket, encodeErrorFields(BACKEND.ErrorResponse, error.fields));
    }
    if (!socket.destroyed) node.problem(error, 'start-up');
    socket.destroy();
  }
}

/** What the server says, and as which SQLSTATE, when its authentication_timeout has passed. */
async function withinAuthenticationTime(received: Promise<Guest>, limitMs: number): Promise<Guest> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const message = 'canceling authentication due to timeout';
      reject(new CountersignError('cancelled', message, { limit: 'authentication' }));
    }, limitMs);
  });
  return await Promise.race([received, late]).finally(() => clearTimeout(timer));
}

const addressOf = ({ remoteAddress }: Socket): string => remoteAddress ?? 'unknown';

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
