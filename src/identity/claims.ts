// From a verified token's claims to an AgentIdentity: who acts, for whom, through whom (RFC 8693 section 4.1).
// Nothing here checks signatures or times; jwt.ts has done so.
import type { JWTPayload } from 'jose';
import { type AgentIdentity, type Databases, isName, narrow, requestersNamed } from './agent-identity.ts';

export interface ClaimNames {
  readonly groups: string;
  readonly databases: string;
}

/** A claim that is not of the form it must have; the message is for the log and repeats no value. */
export class ClaimError extends Error {}

const MAX_ACTORS = 8;
const MAX_LIST_LENGTH = 500;
/** Claims by which a person may be known elsewhere. They add to who may *not* decide, and prove nothing. */
const OTHER_NAMES = ['email', 'preferred_username', 'upn'] as const;

interface Party {
  readonly subject: string;
  /** The issuer and the subject: the only name that is nobody else's. */
  readonly account: string;
  readonly otherNames: readonly string[];
}

/** Throws ClaimError. `databases`: what the issuer's tokens may be good for at most. */
export function identityFromClaims(
  claims: JWTPayload & { readonly iss: string; readonly exp: number },
  names: ClaimNames,
  databases: Databases,
): AgentIdentity {
  const subject = partyFrom(claims, claims.iss);
  // Outermost `act` first: the one who acts now, then those who handed the task on.
  const actors = actorsOf(claims, claims.iss);
  const [agent = subject, ...between] = actors;
  const parties = [subject, ...actors];
  return {
    agent: agent.subject,
    owner: subject.subject,
    onBehalfOf: actors.length === 0 ? [] : [subject, ...between].map((party) => party.subject),
    groups: listClaim(claims, names.groups) ?? [],
    claims,
    authenticatedBy: 'jwt',
    issuer: claims.iss,
    requesters: requestersNamed(
      parties.flatMap((party) => [party.subject, party.account, ...party.otherNames]),
    ),
    databases: narrow(databases, listClaim(claims, names.databases) ?? '*'),
    expiresAtMs: claims.exp * 1000,
  };
}

/** An account as `requesters` names it. */
function accountName(issuer: string, subject: string): string {
  return `${issuer}#${subject}`;
}

function actorsOf(claims: Readonly<Record<string, unknown>>, issuer: string): readonly Party[] {
  const actors: Party[] = [];
  let act = claims['act'];
  while (act !== undefined) {
    if (!isRecord(act)) throw new ClaimError('an "act" claim is not an object');
    if (actors.length === MAX_ACTORS) throw new ClaimError(`more than ${MAX_ACTORS} actors`);
    const actorIssuer = act['iss'] ?? issuer;
    if (!isName(actorIssuer)) throw new ClaimError('the "iss" of an actor is not a name');
    actors.push(partyFrom(act, actorIssuer));
    act = act['act'];
  }
  return actors;
}

function partyFrom(claims: Readonly<Record<string, unknown>>, issuer: string): Party {
  const subject = claims['sub'];
  if (!isName(subject)) throw new ClaimError('a "sub" claim is missing or not a name');
  return {
    subject,
    account: accountName(issuer, subject),
    otherNames: OTHER_NAMES.map((name) => claims[name]).filter(isName),
  };
}

/** A claim that is absent, one name, or a list of names. Anything else is refused: half a list would be a guess. */
function listClaim(claims: Readonly<Record<string, unknown>>, name: string): readonly string[] | null {
  const value = claims[name];
  if (value === undefined) return null;
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.length > MAX_LIST_LENGTH || !list.every(isName)) {
    throw new ClaimError(`the "${name}" claim is not a list of names`);
  }
  return list;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
