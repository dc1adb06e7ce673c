// The only place that makes random values. An id is a short prefix that says what it names, then 80 random bits
// in Crockford base 32: no vowels to spell words with, safe in URLs, one case, easy to read over a telephone.
import { randomBytes } from 'node:crypto';

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

export type HoldId = Branded<'HoldId'>;
export type SessionId = Branded<'SessionId'>;

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const ID_BYTES = 10;

function randomName(): string {
  let bits = 0n;
  for (const byte of randomBytes(ID_BYTES)) bits = (bits << 8n) | BigInt(byte);
  let name = '';
  for (let i = 0; i < (ID_BYTES * 8) / 5; i++) {
    name = ALPHABET[Number(bits & 31n)] + name;
    bits >>= 5n;
  }
  return name;
}

export const newHoldId = (): HoldId => `h_${randomName()}` as HoldId;
export const newSessionId = (): SessionId => `s_${randomName()}` as SessionId;

const HOLD_ID = /^h_[0-9a-hjkmnp-tv-z]{16}$/;

/** A hold id from untrusted input, or null when it has not the form of one. */
export function parseHoldId(text: string): HoldId | null {
  return HOLD_ID.test(text) ? (text as HoldId) : null;
}

/** `byteCount` random bytes from the operating system. */
export function randomSecret(byteCount: number): Buffer {
  return randomBytes(byteCount);
}
