// Who an agent has proved to be: what the session carries, the log repeats and an approval is bound to.
// agents.ts makes it of a configured agent, jwt.ts of a token.

export interface AgentIdentity {
  readonly agent: string;
  /** The person who answers for the agent. */
  readonly owner: string;
  /** On whose behalf it acts: the subject first, then the actors between, the nearest first. Empty: on nobody's but its owner's. */
  readonly onBehalfOf: readonly string[];
  readonly groups: readonly string[];
  /** The token's claims as proved; empty for a configured agent. */
  readonly claims: Readonly<Record<string, unknown>>;
  readonly authenticatedBy: 'scram-sha-256' | 'jwt';
  /** The token's issuer: two issuers may know different agents by one name. null for a configured agent. */
  readonly issuer: string | null;
  /** Every name under which somebody who stands behind this agent may appear as an approver: none of them decides. */
  readonly requesters: readonly string[];
  /** The configured databases it may ask for. */
  readonly databases: Databases;
  /** When the proof ends; null: it does not. */
  readonly expiresAtMs: number | null;
}

export type Databases = readonly string[] | '*';

export function mayUse(identity: AgentIdentity, database: string): boolean {
  return identity.databases === '*' || identity.databases.includes(database);
}

/** Those both allow. */
export function narrow(one: Databases, other: Databases): Databases {
  if (one === '*') return other;
  return other === '*' ? one : one.filter((name) => other.includes(name));
}

/** `names` once each, and in lower case as well: who may not decide must not get to by spelling an address otherwise. */
export function requestersNamed(names: readonly string[]): readonly string[] {
  return [...new Set(names.flatMap((name) => [name, name.toLowerCase()]))];
}

const MAX_NAME_LENGTH = 255;

/** Names go into logs, messages and rules: short, not empty, no control or bidirectional characters, no blank ends. */
export function isName(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value.length > 0 &&
    value.length <= MAX_NAME_LENGTH &&
    value === value.trim() &&
    !/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(value)
  );
}
