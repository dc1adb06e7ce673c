// Takes connections, brings each from its first byte to a running session, and ends them all when asked to.
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import type { Identity } from '../audit/record.ts';
import { CountersignError } from '../base/errors.ts';
import { newSessionId } from '../base/ids.ts';
import { type AgentIdentity, mayUse } from '../identity/agent-identity.ts';
import type { Agents } from '../identity/agents.ts';
import type { FailedLogins } from '../identity/throttle.ts';
import type { SessionVariables } from '../rules/verdict.ts';
import { settingFacts } from '../sql/settings.ts';
import {
  BACKEND,
  encodeAuthenticationOk,
  encodeBackendKeyData,
  encodeError,
  encodeErrorFields,
  encodeNegotiateProtocolVersion,
  encodeParameterStatus,
  encodeReadyForQuery,
} from '../wire/backend.ts';
import { PROTOCOL_3_0, parseStartupPacket, type StartupPacket, startupLength } from '../wire/startup.ts';
import { CancelKeys } from './cancel.ts';
import { logIn } from './login.ts';
import { type Node, Session } from './session.ts';
import { readBytes } from './source.ts';
import { readStartup, type StartupRequest } from './startup-settings.ts';
import { connectUpstream, type DatabaseTarget, ServerRefusal } from './upstream.ts';

export interface ListenerOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** null: TLS is not offered. */
  readonly tls: { readonly context: SecureContext; readonly requestCert: boolean } | null;
  readonly node: Node;
  readonly agents: Agents;
  readonly failures: FailedLogins;
  readonly databases: ReadonlyMap<string, DatabaseTarget>;
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

type Startup = Extract<StartupPacket, { kind: 'startup' }>;

export class Listener {
  readonly #options: ListenerOptions;
  readonly #server: Server;
  readonly #keys = new CancelKeys();
  readonly #connections = new Set<Socket>();
  readonly #sessions = new Set<Session>();
  readonly #perAgent = new Map<string, number>();
  #closing: Promise<void> | null = null;
  #onIdle: (() => void) | null = null;

  private constructor(options: ListenerOptions) {
    this.#options = options;
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

  get sessions(): number {
    return this.#sessions.size;
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

  #accept(socket: Socket): void {
    const { connections, startupMs } = this.#options;
    socket.on('error', () => {});
    if (this.#connections.size >= connections) {
      refuse(socket, new CountersignError('too_many_connections', 'too many connections'));
      return;
    }
    this.#connections.add(socket);
    socket.once('close', () => this.#connections.delete(socket));
    const deadline = setTimeout(() => socket.destroy(), startupMs);
    this.#open(socket)
      .catch((error: unknown) => this.#failed(socket, error))
      .finally(() => clearTimeout(deadline));
  }

  async #open(plain: Socket): Promise<void> {
    const opened = await this.#negotiate(plain);
    if (opened === null) return;
    const { socket, startup } = opened;
    try {
      await this.#startSession(socket, startup);
    } catch (error) {
      this.#failed(socket, error);
    }
  }

  /** Up to the StartupMessage. null: the connection was for a CancelRequest, and is done. */
  async #negotiate(plain: Socket): Promise<{ socket: Socket; startup: Startup } | null> {
    let socket = plain;
    let askedGssenc = false;
    for (;;) {
      const packet = await readStartupPacket(socket);
      switch (packet.kind) {
        case 'startup':
          return { socket, startup: packet };
        case 'cancel':
          this.#keys.use(packet.processId, packet.secretKey);
          socket.end();
          return null;
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
          break;
        default:
          packet satisfies never;
      }
    }
  }

  #offerTls(socket: Socket): Promise<Socket> {
    const { tls } = this.#options;
    if (tls === null) {
      socket.write('N');
      return Promise.resolve(socket);
    }
    socket.write('S');
    const secured = new TLSSocket(socket, {
      isServer: true,
      secureContext: tls.context,
      requestCert: tls.requestCert,
      rejectUnauthorized: tls.requestCert,
      ALPNProtocols: ['postgresql'],
    });
    return new Promise((resolve, reject) => {
      secured.once('error', reject);
      secured.once('close', () =>
        reject(new CountersignError('protocol_violation', 'the TLS handshake failed')),
      );
      secured.once('secure', () => {
        secured.off('error', reject);
        secured.on('error', () => {});
        resolve(secured);
      });
    });
  }

  async #startSession(socket: Socket, startup: Startup): Promise<void> {
    const { agents, failures, node } = this.#options;
    const address = socket.remoteAddress ?? 'unknown';
    if (this.#closing !== null) throw new CountersignError('shutting_down', 'the proxy is shutting down');
    const request = readStartup(startup.parameters);
    if (startup.minor > 0 || request.unknownOptions.length > 0) {
      socket.write(encodeNegotiateProtocolVersion(PROTOCOL_3_0, request.unknownOptions));
    }
    const failed = (because: string): void => {
      node.log.append({
        type: 'login.failed',
        clientAddress: address,
        user: request.user,
        database: request.database,
        because,
      });
    };
    if (failures.isBlocked(address)) {
      failed('too many failed logins from this address');
      throw new CountersignError('too_many_connections', 'too many failed logins; try again later');
    }
    const encrypted = socket instanceof TLSSocket;
    const identity = await logIn(socket, request.user, {
      agents,
      failures,
      address,
      encrypted,
      onFailure: failed,
    });
    const target = this.#options.databases.get(request.database);
    if (target === undefined || !mayUse(identity, request.database)) {
      failed(target === undefined ? 'unknown database' : 'database not allowed');
      // One text for both: an agent learns of no database that is not its own.
      throw new CountersignError('unknown_database', `database "${request.database}" does not exist`);
    }
    const variables = variablesOf(identity, request, target, address, encrypted);
    this.#judgeSettings(request, variables, failed);
    await this.#join(socket, request, identity, target, variables);
  }

  #judgeSettings(
    request: StartupRequest,
    variables: Omit<SessionVariables, 'inTransaction'>,
    failed: (because: string) => void,
  ): void {
    const rules = this.#options.node.rules();
    for (const [name, value] of request.settings) {
      const verdict = rules.judge(settingFacts(name, value), { ...variables, inTransaction: false });
      if (verdict.action === 'allow') continue;
      failed(`startup setting ${name}: rule ${verdict.rule}`);
      throw new CountersignError(
        'denied',
        `setting "${name}" at connection start is refused by rule "${verdict.rule}"`,
        {
          hint: 'Connect without it and SET it in the session, where a person can be asked.',
        },
      );
    }
  }

  async #join(
    socket: Socket,
    request: StartupRequest,
    identity: AgentIdentity,
    target: DatabaseTarget,
    variables: Omit<SessionVariables, 'inTransaction'>,
  ): Promise<void> {
    const { node } = this.#options;
    const release = this.#countAgent(identity.agent);
    try {
      const upstream = await connectUpstream(target, request.settings);
      if (socket.destroyed || this.#closing !== null) {
        upstream.end();
        throw new CountersignError('shutting_down', 'the connection was closed during start-up');
      }
      const id = newSessionId();
      const who = whoIs(identity, variables);
      node.log.append({
        type: 'session.open',
        session: id,
        who,
        applicationName: request.applicationName,
        purpose: request.purpose,
        startup: Object.fromEntries(request.settings),
      });
      await written(node);
      const key = this.#keys.issue(() => session.cancel());
      const session: Session = new Session({
        id,
        node,
        client: socket,
        upstream,
        who,
        requesters: identity.requesters,
        variables,
        onEnd: () => {
          this.#keys.revoke(key);
          this.#sessions.delete(session);
          release();
          if (this.#sessions.size === 0) this.#onIdle?.();
        },
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
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Returns what gives the place back, once however often it is called. */
  #countAgent(agent: string): () => void {
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
    if (error instanceof CountersignError) {
      if (error.code === 'upstream_unavailable') this.#options.node.problem(error, 'upstream');
      return refuse(socket, error);
    }
    if (error instanceof ServerRefusal) {
      this.#options.node.problem(error, 'upstream refused');
      closeWith(
        socket,
        encodeErrorFields(BACKEND.ErrorResponse, {
          S: 'FATAL',
          V: 'FATAL',
          C: error.sqlstate,
          M: error.message,
        }),
      );
      return;
    }
    if (!socket.destroyed) this.#options.node.problem(error, 'start-up');
    socket.destroy();
  }
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

function refuse(socket: Socket, error: CountersignError): void {
  closeWith(socket, encodeError(error, 'FATAL'));
}

/** Whoever does not read what we last said does not keep us. */
function closeWith(socket: Socket, lastWords: Buffer): void {
  if (socket.destroyed) return;
  socket.end(lastWords);
  socket.resume();
  socket.setTimeout(2_000, () => socket.destroy());
}

function written({ log }: Node): Promise<void> {
  return new Promise((resolve, reject) => {
    log.when('written', (error) => (error === null ? resolve() : reject(error)));
  });
}

function variablesOf(
  identity: AgentIdentity,
  request: StartupRequest,
  target: DatabaseTarget,
  clientAddress: string,
  tls: boolean,
): Omit<SessionVariables, 'inTransaction'> {
  return {
    agent: identity.agent,
    owner: identity.owner,
    onBehalfOf: identity.onBehalfOf,
    groups: identity.groups,
    claims: identity.claims,
    database: request.database,
    role: target.user,
    clientAddress,
    tls,
    claimed: { applicationName: request.applicationName, purpose: request.purpose },
  };
}

function whoIs(identity: AgentIdentity, variables: Omit<SessionVariables, 'inTransaction'>): Identity {
  return {
    agent: identity.agent,
    owner: identity.owner,
    onBehalfOf: identity.onBehalfOf,
    authenticatedBy: identity.authenticatedBy,
    clientAddress: variables.clientAddress,
    database: variables.database,
    role: variables.role,
  };
}
