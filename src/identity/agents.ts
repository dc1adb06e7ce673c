// The agents we know, and how each must prove itself: one way per startup `user`, for clients trip over two.
// A configured agent does SCRAM; any other name, where issuers are configured, a token; otherwise a mock exchange that fails.
import type { Clock } from '../base/clock.ts';
import { CountersignError } from '../base/errors.ts';
import { type AgentIdentity, type Databases, isName, requestersNamed } from './agent-identity.ts';
import { type IssuerOptions, Issuers, type TokenVerdict } from './jwt.ts';
import { type MockSecrets, mockSecrets, type ScramSecret } from './mock-secret.ts';

export interface AgentOptions {
  readonly name: string;
  readonly owner: string;
  readonly secret: ScramSecret;
  readonly databases: Databases;
  readonly groups?: readonly string[];
}

/** What to ask of a user. Adding a way to log in is adding a variant. */
export type Challenge =
  | {
      readonly method: 'scram';
      readonly credential: { readonly secret: ScramSecret; readonly mock: boolean };
      /** Who it is once the exchange has succeeded; null for a mock, which cannot. */
      readonly identity: AgentIdentity | null;
    }
  /** AuthenticationCleartextPassword, then `verifyToken`. */
  | { readonly method: 'jwt' }
  /** Nothing is asked: the answer would travel in the clear. `message` may be told to the client. */
  | { readonly method: 'refused'; readonly message: string; readonly hint: string };

interface Configured {
  readonly identity: AgentIdentity;
  readonly secret: ScramSecret;
}

export class Agents {
  readonly #configured: ReadonlyMap<string, Configured>;
  readonly #mocks: MockSecrets;
  readonly #issuers: Issuers | null;

  private constructor(configured: ReadonlyMap<string, Configured>, issuers: Issuers | null) {
    this.#configured = configured;
    this.#mocks = mockSecrets([...configured.values()].map((agent) => agent.secret));
    this.#issuers = issuers;
  }

  /** Throws CountersignError `config`. */
  static fromOptions(options: {
    readonly agents: readonly AgentOptions[];
    readonly issuers: readonly IssuerOptions[];
    readonly clock: Clock;
  }): Agents {
    const configured = new Map<string, Configured>();
    for (const agent of options.agents) {
      if (!isName(agent.name)) throw new CountersignError('config', 'an agent needs a name');
      if (!isName(agent.owner)) {
        throw new CountersignError(
          'config',
          `agent "${agent.name}" needs an owner: the person who answers for it`,
        );
      }
      if (configured.has(agent.name)) {
        throw new CountersignError('config', `agent "${agent.name}" is there twice`);
      }
      configured.set(agent.name, { identity: identityOf(agent), secret: agent.secret });
    }
    const issuers = options.issuers.length === 0 ? null : Issuers.fromOptions(options.issuers, options.clock);
    return new Agents(configured, issuers);
  }

  /** How `user`, as named in the startup message, must log in. `encrypted`: the connection is under TLS. */
  challengeFor(user: string, connection: { readonly encrypted: boolean }): Challenge {
    // Made for everybody, so that the time this takes does not tell who exists.
    const mock = this.#mocks.secretFor(user);
    const known = this.#configured.get(user);
    if (known !== undefined) {
      return { method: 'scram', credential: { secret: known.secret, mock: false }, identity: known.identity };
    }
    if (this.#issuers === null) {
      return { method: 'scram', credential: { secret: mock, mock: true }, identity: null };
    }
    if (!connection.encrypted) {
      return {
        method: 'refused',
        message: 'logging in with a token needs TLS',
        hint: 'Connect with sslmode=verify-full; a configured agent may log in by password without TLS.',
      };
    }
    return { method: 'jwt' };
  }

  /**
   * Who the token speaks for. The startup `user` plays no part in it: it chose this way of logging in, no more.
   * A refusal's words are for the log; the client gets one constant text.
   */
  async verifyToken(token: string): Promise<TokenVerdict> {
    if (this.#issuers === null)
      return { ok: false, refusal: 'unknown_issuer', because: 'no issuer is configured' };
    const verdict = await this.#issuers.verify(token);
    if (verdict.ok && this.#configured.has(verdict.identity.agent)) {
      // Else whoever can have a token made could take on the rules and the upstream role of that agent.
      return {
        ok: false,
        refusal: 'name_taken',
        because: 'the token names a configured agent, which logs in by password',
      };
    }
    return verdict;
  }
}

function identityOf(agent: AgentOptions): AgentIdentity {
  return {
    agent: agent.name,
    owner: agent.owner,
    onBehalfOf: [],
    groups: agent.groups ?? [],
    claims: {},
    authenticatedBy: 'scram-sha-256',
    issuer: null,
    requesters: requestersNamed([agent.name, agent.owner]),
    databases: agent.databases,
    expiresAtMs: null,
  };
}
