// Who is calling: the bearer token of a request, and the approver it proves. Everything under /v1 stands behind this.
import type { FastifyRequest } from 'fastify';
import { CountersignError } from '../base/errors.ts';

export interface Approver {
  readonly name: string;
  readonly groups: readonly string[];
}

/** What the API needs of whoever knows the approvers' tokens. */
export interface ApproverDirectory {
  /** The approver that `bearer` proves, or null. Takes the same time whether or not the token is close to one. */
  authenticate(bearer: string): Approver | null | Promise<Approver | null>;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by the hook that guards /v1. */
    approver: Approver | null;
  }
}

/** RFC 6750 section 2.1. No real token is near this long; the limit only keeps hashing cheap. */
const BEARER = /^Bearer +([A-Za-z0-9._~+/-]{1,65536}=*) *$/i;

/** Constant text for both cases: a stranger learns nothing of which tokens exist. */
const REFUSED = 'an approver’s token is needed: Authorization: Bearer …';

export async function authenticate(directory: ApproverDirectory, request: FastifyRequest): Promise<Approver> {
  const bearer = BEARER.exec(request.headers.authorization ?? '')?.[1];
  const approver = bearer === undefined ? null : await directory.authenticate(bearer);
  if (approver === null) throw new CountersignError('authentication', REFUSED);
  return approver;
}

/** The approver of a request that has passed the guard. */
export function approverOf(request: FastifyRequest): Approver {
  if (request.approver === null) throw new Error('a route under /v1 is not guarded');
  return request.approver;
}
