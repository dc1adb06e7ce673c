// An approver's bearer token: 256 random bits, of which the config keeps only the hash. So much randomness needs no salt
// and no slow hash. One that a secret manager made is as good; one that a person made up is not, and can be told apart by its shortness only.
import { createHash } from 'node:crypto';
import { randomSecret } from '../base/ids.ts';

const TOKEN_BYTES = 32;
const HASH_FORM = /^sha256:([0-9a-f]{64})$/;
/** RFC 6750, section 2.1; no shorter than the worst of passwords, no longer than is cheap to hash. */
const TOKEN_FORM = /^[A-Za-z0-9._~+/-]{8,512}=*$/;

export function newBearerToken(): string {
  return `cs_${randomSecret(TOKEN_BYTES).toString('base64url')}`;
}

/** The line for the config: `sha256:` and hex. */
export function formatTokenHash(token: string): string {
  return `sha256:${hashToken(token).toString('hex')}`;
}

/** The hash from the config, or null when it has not the form of one. */
export function parseTokenHash(text: string): Buffer | null {
  const hex = HASH_FORM.exec(text)?.[1];
  return hex === undefined ? null : Buffer.from(hex, 'hex');
}

export function isBearerToken(text: string): boolean {
  return TOKEN_FORM.test(text);
}

export function hashToken(token: string): Buffer {
  return createHash('sha256').update(token, 'utf8').digest();
}
