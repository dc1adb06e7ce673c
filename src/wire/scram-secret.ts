// What a SCRAM server keeps of a password, in PostgreSQL's own form: `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.
// It cannot log in by itself, but it can be guessed against: treat it as a secret. scram.ts and scram-client.ts use the keys.
import { createHash, createHmac, pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';
import { CountersignError } from '../base/errors.ts';
import { randomSecret } from '../base/ids.ts';
import { saslprep } from './saslprep.ts';

export const SCRAM_SHA_256 = 'SCRAM-SHA-256';
/** PostgreSQL's default, and the least that RFC 7677 allows. */
export const DEFAULT_ITERATIONS = 4096;
/** Above this a login costs whole seconds of processor time: a mistake, or a hostile server. */
export const MAX_ITERATIONS = 10_000_000;
export const KEY_LENGTH = 32;
const SALT_LENGTH = 16;

export interface ScramSecret {
  readonly iterations: number;
  readonly salt: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

const FORM = /^SCRAM-SHA-256\$([1-9][0-9]{0,7}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$/;

/** Throws CountersignError `config` whose text never repeats the secret. */
export function parseScramSecret(text: string): ScramSecret {
  const parts = FORM.exec(text);
  if (parts === null) {
    throw new CountersignError('config', 'not a SCRAM secret', {
      hint: 'It has the form SCRAM-SHA-256$4096:salt$StoredKey:ServerKey. `countersign secret` makes one; so does a CREATE ROLE … PASSWORD, in pg_authid.rolpassword.',
    });
  }
  const iterations = Number(parts[1]);
  const salt = decodeBase64(parts[2]!);
  const storedKey = decodeBase64(parts[3]!);
  const serverKey = decodeBase64(parts[4]!);
  if (iterations > MAX_ITERATIONS) {
    throw new CountersignError('config', `a SCRAM secret with more than ${MAX_ITERATIONS} iterations`);
  }
  if (salt === null || salt.length === 0) {
    throw new CountersignError('config', 'the salt of a SCRAM secret is not base64');
  }
  if (storedKey?.length !== KEY_LENGTH || serverKey?.length !== KEY_LENGTH) {
    throw new CountersignError('config', `the keys of a SCRAM secret must be ${KEY_LENGTH} bytes in base64`);
  }
  return { iterations, salt, storedKey, serverKey };
}

export function formatScramSecret(secret: ScramSecret): string {
  const { iterations, salt, storedKey, serverKey } = secret;
  return `${SCRAM_SHA_256}$${iterations}:${salt.toString('base64')}$${storedKey.toString('base64')}:${serverKey.toString('base64')}`;
}

/** The secret for `password`, with a new random salt unless one is given. */
export async function makeScramSecret(
  password: string,
  options: { readonly iterations?: number; readonly salt?: Buffer } = {},
): Promise<ScramSecret> {
  const { iterations = DEFAULT_ITERATIONS, salt = randomSecret(SALT_LENGTH) } = options;
  const { clientKey, serverKey } = await deriveKeys(password, salt, iterations);
  return { iterations, salt, storedKey: sha256(clientKey), serverKey };
}

const pbkdf2Async = promisify(pbkdf2);

/** RFC 5802 section 3: both keys from the password. Asynchronous, because it is meant to be slow. */
export async function deriveKeys(
  password: string,
  salt: Uint8Array,
  iterations: number,
): Promise<{ readonly clientKey: Buffer; readonly serverKey: Buffer }> {
  const salted = await pbkdf2Async(saslprep(password), salt, iterations, KEY_LENGTH, 'sha256');
  return { clientKey: hmac(salted, 'Client Key'), serverKey: hmac(salted, 'Server Key') };
}

export function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text, 'utf8').digest();
}

export function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

/** Strictly canonical base64, or null: Node alone would skip whatever is not base64. */
export function decodeBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : null;
}
