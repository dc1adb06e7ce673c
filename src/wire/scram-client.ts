// The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677): we prove ourselves to the database server, and it to us.
// Bytes in, values out. scram.ts is the other side.
import { timingSafeEqual } from 'node:crypto';
import { CountersignError } from '../base/errors.ts';
import { xor } from './scram.ts';
import { readServerFinal, readServerFirst, ScramMessageError } from './scram-message.ts';
import { decodeBase64, deriveKeys, hmac, MAX_ITERATIONS, sha256 } from './scram-secret.ts';

// No channel binding yet. With it, both become the `p=tls-server-end-point` forms.
const GS2_HEADER = 'n,,';
const BINDING_REPEATED = 'biws';

export interface ClientStarted {
  readonly step: 'started';
  readonly nonce: string;
  readonly bare: string;
  /** client-first-message, for SASLInitialResponse. */
  readonly message: string;
}

export interface ClientProved {
  readonly step: 'proved';
  readonly serverSignature: Buffer;
  /** client-final-message, for SASLResponse. */
  readonly message: string;
}

/** `nonce`: NONCE_LENGTH new random bytes. The user's name is left out: PostgreSQL takes that of the startup message. */
export function startClientExchange(nonce: Uint8Array): ClientStarted {
  const text = Buffer.from(nonce).toString('base64');
  const bare = `n=,r=${text}`;
  return { step: 'started', nonce: text, bare, message: GS2_HEADER + bare };
}

/** Takes server-first-message. Rejects with CountersignError `upstream_unavailable`. */
export async function clientFinal(
  state: ClientStarted,
  password: string,
  serverFirst: Uint8Array,
): Promise<ClientProved> {
  const first = read(readServerFirst, serverFirst);
  // A nonce that does not begin with ours, or adds nothing, is a replay of somebody else's exchange.
  if (!first.nonce.startsWith(state.nonce) || first.nonce.length === state.nonce.length) {
    throw refused('its nonce is not an answer to ours');
  }
  const salt = decodeBase64(first.salt);
  if (salt === null || salt.length === 0) throw refused('its salt is malformed');
  if (first.iterations > MAX_ITERATIONS) throw refused('it asks for too many iterations');

  const { clientKey, serverKey } = await deriveKeys(password, salt, first.iterations);
  const withoutProof = `c=${BINDING_REPEATED},r=${first.nonce}`;
  const signed = `${state.bare},${first.text},${withoutProof}`;
  const proof = xor(clientKey, hmac(sha256(clientKey), signed));
  return {
    step: 'proved',
    serverSignature: hmac(serverKey, signed),
    message: `${withoutProof},p=${proof.toString('base64')}`,
  };
}

/**
 * Takes server-final-message and returns if the server knows the password too; otherwise throws CountersignError
 * `upstream_unavailable`, and nothing more may be said to that server. AuthenticationOk without this message is no login.
 */
export function verifyServerFinal(state: ClientProved, serverFinal: Uint8Array): void {
  const final = read(readServerFinal, serverFinal);
  if ('error' in final) throw refused('it refused the login');
  const signature = decodeBase64(final.signature);
  if (
    signature?.length !== state.serverSignature.length ||
    !timingSafeEqual(signature, state.serverSignature)
  ) {
    throw refused('it could not prove that it knows the password');
  }
}

function read<Message>(reader: (bytes: Uint8Array) => Message, bytes: Uint8Array): Message {
  try {
    return reader(bytes);
  } catch (error) {
    if (error instanceof ScramMessageError) throw refused(error.message);
    throw error;
  }
}

const refused = (what: string) =>
  new CountersignError('upstream_unavailable', `SCRAM with the database server failed: ${what}`);
