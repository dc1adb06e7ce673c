// An approver's bearer token: 256 random bits, of which the config keeps only the hash.
// So much randomness needs no salt and no slow hash; a token that a person made up would, and is refused its form.
import { createHash } from 'node:crypto';
import { randomSecret } from '../base/ids.ts';

const TOKEN_BYTES = 32;
const HASH_FORM = /^sha256:([0-9a-f]{64})$/;
const TOKEN_FORM = /^cs_[A-Za-z0-9_-]{43}$/;

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
