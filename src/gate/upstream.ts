// A connection to the database server under the role that the configuration names: TLS as libpq does it, then the
// handshake up to ReadyForQuery. pg-protocol writes what we say and reads what the server answers.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { serialize } from 'pg-protocol';
import type {
  AuthenticationMD5Password,
  BackendKeyDataMessage,
  BackendMessage,
  DatabaseError,
  ParameterStatusMessage,
} from 'pg-protocol/dist/messages.js';
import { Parser } from 'pg-protocol/dist/parser.js';
import { CountersignError } from '../base/errors.ts';
import { randomSecret } from '../base/ids.ts';
import type { ErrorFields } from '../wire/backend.ts';
import { md5Password } from '../wire/md5.ts';
import { NONCE_LENGTH } from '../wire/scram.ts';
import {
  type ClientProved,
  clientFinal,
  startClientExchange,
  verifyServerFinal,
} from '../wire/scram-client.ts';
import { closeWithin, readBytes, readFrame } from './source.ts';

export interface DatabaseTarget {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string | null;
  /** As libpq's sslmode. */
  readonly tls: 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';
  /** PEM; null: the system's. */
  readonly ca: string | null;
}

export interface Upstream {
  readonly socket: Socket;
  /** As the server reported them, kept up to date by the session. */
  readonly parameters: Map<string, string>;
  /** Of the server process that serves it; null where the server did not say. */
  readonly processId: number | null;
  /** Sends a CancelRequest with the server's own key; resolves when the server has taken it, rejects when it cannot. */
  cancel(): Promise<void>;
  /** Says Terminate and closes. */
  end(): void;
}

/** Longest handshake message that is believed. */
const HANDSHAKE_FRAME_MAX = 64 * 1024;
const CONNECT_TIMEOUT_MS = 10_000;

/**
 * `parameters`: startup parameters besides user and database. `timeoutMs`: from the first packet to ReadyForQuery.
 * Rejects with CountersignError `upstream_unavailable` (no host name in it) or ServerRefusal.
 */
export async function connectUpstream(
  target: DatabaseTarget,
  parameters: ReadonlyMap<string, string>,
  timeoutMs = CONNECT_TIMEOUT_MS,
): Promise<Upstream> {
  let socket: Socket | null = null;
  // A server that takes the connection and then says nothing must not keep the agent's place.
  const tooLong = new AbortController();
  const limit = setTimeout(() => tooLong.abort(), timeoutMs);
  try {
    socket = await openSocket(target, tooLong.signal);
    return await logIn(socket, target, parameters);
  } catch (error) {
    socket?.destroy();
    if (
      error instanceof ServerRefusal ||
      (error instanceof CountersignError && error.code === 'upstream_unavailable')
    ) {
      throw error;
    }
    throw unavailable(error);
  } finally {
    clearTimeout(limit);
  }
}

/** The server's own refusal, in words that name neither host nor role. */
export class ServerRefusal extends Error {
  readonly fields: ErrorFields;

  constructor(
    sqlstate: string,
    message: string,
    { D, H }: { D?: string | undefined; H?: string | undefined },
  ) {
    super(message);
    this.fields = {
      S: 'FATAL',
      V: 'FATAL',
      C: sqlstate,
      M: message,
      ...(D === undefined ? {} : { D }),
      ...(H === undefined ? {} : { H }),
    };
  }
}

function unavailable(cause: unknown): CountersignError {
  return new CountersignError('upstream_unavailable', 'the database server cannot be reached', {
    hint: 'The proxy works; the database behind it does not answer. Try again later.',
    cause,
  });
}

// — Sockets and TLS ————————————————————————————————————————————————————————————————————————————————————

async function openSocket(target: DatabaseTarget, signal: AbortSignal): Promise<Socket> {
  const socket = await openPlain(target, signal);
  if (target.tls === 'disable') return socket;
  socket.write(serialize.requestSsl());
  const [answer] = await readBytes(socket, 1);
  // Bytes behind the answer came before the handshake, so from whoever is in between (CVE-2021-23222).
  if (socket.readableLength > 0)
    throw new CountersignError('upstream_unavailable', 'data before the TLS handshake');
  if (answer === 0x53) return await upgrade(socket, target);
  if (target.tls === 'prefer') return socket;
  socket.destroy();
  throw new CountersignError(
    'upstream_unavailable',
    'the database server does not offer TLS, and the proxy requires it',
  );
}

function openPlain({ host, port }: DatabaseTarget, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true, keepAlive: true, signal });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      // Replaced by the session's; until then an error must not end the process.
      socket.on('error', () => {});
      resolve(socket);
    });
  });
}

function upgrade(socket: Socket, target: DatabaseTarget): Promise<Socket> {
  const { tls, ca, host } = target;
  const verified = tls === 'verify-ca' || tls === 'verify-full';
  const options: ConnectionOptions = {
    socket,
    host,
    rejectUnauthorized: verified,
    ALPNProtocols: ['postgresql'],
    ...(ca === null ? {} : { ca }),
    ...(/^[\d.:]+$/.test(host) ? {} : { servername: host }),
    ...(tls === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}),
  };
  return new Promise((resolve, reject) => {
    const secured = connectTls(options);
    secured.once('error', reject);
    secured.once('secureConnect', () => {
      secured.off('error', reject);
      secured.on('error', () => {});
      resolve(secured);
    });
  });
}

// — Logging in —————————————————————————————————————————————————————————————————————————————————————————

async function logIn(
  socket: Socket,
  target: DatabaseTarget,
  parameters: ReadonlyMap<string, string>,
): Promise<Upstream> {
  const { user, database } = target;
  // The parser's assumption (client_encoding, the other one, the library sets), as the value that RESET goes back to:
  // else one that the role has by ALTER ROLE … SET would return with a RESET, and be reported too late.
  const settings = { standard_conforming_strings: 'on', ...Object.fromEntries(parameters) };
  socket.write(serialize.startup({ ...settings, user, database }));
  const reported = new Map<string, string>();
  const authentication = new Authentication(socket, target);
  let key: BackendKeyDataMessage | null = null;
  for (;;) {
    const message = await readMessage(socket);
    switch (message.name) {
      case 'parameterStatus': {
        const { parameterName, parameterValue } = message as ParameterStatusMessage;
        reported.set(parameterName, parameterValue);
        break;
      }
      case 'backendKeyData':
        key = message as BackendKeyDataMessage;
        break;
      case 'readyForQuery':
        authentication.requireDone();
        return upstreamOf(socket, target, reported, key);
      case 'error':
        throw refusalOf(message as unknown as DatabaseError);
      case 'notice':
        break;
      default:
        await authentication.answer(message);
    }
  }
}

async function readMessage(socket: Socket): Promise<BackendMessage> {
  const { bytes } = await readFrame(socket, HANDSHAKE_FRAME_MAX);
  let message: BackendMessage | null = null;
  new Parser().parse(bytes, (parsed) => {
    message = parsed;
  });
  if (message === null)
    throw new CountersignError('upstream_unavailable', 'the database server sent a malformed message');
  return message;
}

class Authentication {
  readonly #socket: Socket;
  readonly #target: DatabaseTarget;
  readonly #scram = startClientExchange(randomSecret(NONCE_LENGTH));
  #proved: ClientProved | null = null;
  #verified = false;
  #ok = false;

  constructor(socket: Socket, target: DatabaseTarget) {
    this.#socket = socket;
    this.#target = target;
  }

  async answer(message: BackendMessage): Promise<void> {
    switch (message.name) {
      case 'authenticationOk':
        this.#ok = true;
        return;
      case 'authenticationCleartextPassword':
        // Only where nobody can read it on its way.
        if (this.#target.tls === 'disable' || this.#target.tls === 'prefer') {
          throw new CountersignError(
            'upstream_unavailable',
            'the database server asks for a password in clear text',
          );
        }
        this.#socket.write(serialize.password(this.#password()));
        return;
      case 'authenticationMD5Password': {
        const { salt } = message as unknown as AuthenticationMD5Password;
        this.#socket.write(serialize.password(md5Password(this.#target.user, this.#password(), salt)));
        return;
      }
      case 'authenticationSASL': {
        const { mechanisms } = message as unknown as { mechanisms: string[] };
        if (!mechanisms.includes('SCRAM-SHA-256')) break;
        this.#socket.write(serialize.sendSASLInitialResponseMessage('SCRAM-SHA-256', this.#scram.message));
        return;
      }
      case 'authenticationSASLContinue': {
        this.#proved = await clientFinal(this.#scram, this.#password(), saslData(message));
        this.#socket.write(serialize.sendSCRAMClientFinalMessage(this.#proved.message));
        return;
      }
      case 'authenticationSASLFinal':
        if (this.#proved === null) break;
        verifyServerFinal(this.#proved, saslData(message));
        this.#verified = true;
        return;
    }
    throw new CountersignError(
      'upstream_unavailable',
      'the database server asks for a login that the proxy does not know',
    );
  }

  requireDone(): void {
    // AuthenticationOk in place of the server's own proof is no login: it may be somebody else.
    if (!this.#ok || (this.#proved !== null && !this.#verified))
      throw new CountersignError('upstream_unavailable', 'the database server did not finish the login');
  }

  #password(): string {
    const { password } = this.#target;
    if (password === null) {
      throw new CountersignError(
        'upstream_unavailable',
        'the database server asks for a password, and none is configured',
      );
    }
    return password;
  }
}

function saslData(message: BackendMessage): Buffer {
  return Buffer.from((message as unknown as { data: string }).data, 'utf8');
}

/**
 * Classes and codes whose texts say nothing of host, role or address: what they speak of is the database, or a setting
 * that the client asked for (42704 there is no such, 42501 it is not for this role).
 */
const TELLABLE = /^(3D|53|57|22|55|42704|42501)/;

function refusalOf({ code = '08004', message, detail, hint }: DatabaseError): ServerRefusal {
  if (TELLABLE.test(code)) return new ServerRefusal(code, message, { D: detail, H: hint });
  return new ServerRefusal(code, 'the database server refused the proxy’s connection', {});
}

// — Once it is up ——————————————————————————————————————————————————————————————————————————————————————

function upstreamOf(
  socket: Socket,
  target: DatabaseTarget,
  parameters: Map<string, string>,
  key: BackendKeyDataMessage | null,
): Upstream {
  return {
    socket,
    parameters,
    processId: key?.processID ?? null,
    async cancel() {
      if (key === null) return;
      const other = await openSocket(target, AbortSignal.timeout(CONNECT_TIMEOUT_MS));
      // The server closes the connection when it has sent the signal.
      const delivered = once(other, 'close');
      other.end(serialize.cancel(key.processID, key.secretKey));
      other.resume();
      closeWithin(other, CONNECT_TIMEOUT_MS);
      await delivered;
    },
    end() {
      if (socket.destroyed) return;
      if (!socket.writableEnded) socket.end(serialize.end());
      // The server needs no answer of ours to close; whoever does not is left.
      socket.resume();
      closeWithin(socket, 5_000);
    },
  };
}
