// The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677) as PostgreSQL speaks it: an agent proves that it knows its password.
// Bytes in, values out; the frames around these messages are startup's, the secret comes from identity/agents.ts.
import { timingSafeEqual } from 'node:crypto';
import { CountersignError } from '../base/errors.ts';
import { readClientFinal, readClientFirst, ScramMessageError } from './scram-message.ts';
import { decodeBase64, hmac, KEY_LENGTH, type ScramSecret, sha256 } from './scram-secret.ts';

/** Random bytes that an exchange wants for its nonce, on either side. PostgreSQL's number. */
export const NONCE_LENGTH = 18;

// What the client must repeat, by what it said first: base64 of `n,,` and `y,,`. SCRAM-SHA-256-PLUS adds a row for `p`.
const BINDING_REPEATED = { n: 'biws', y: 'eSws' } as const;

export interface ServerCredential {
  readonly secret: ScramSecret;
  /** The user does not exist: the exchange runs its course and fails at the end, as for a wrong password. */
  readonly mock: boolean;
}

export interface ServerStarted {
  readonly step: 'started';
  readonly credential: ServerCredential;
  readonly nonce: string;
}

export interface ServerChallenged {
  readonly step: 'challenged';
  readonly credential: ServerCredential;
  /** Base64 that the client must repeat. */
  readonly binding: string;
  /** The client's nonce and ours. */
  readonly nonce: string;
  /** What both sides sign, up to what the client has yet to send. */
  readonly transcript: string;
}

/** `nonce`: NONCE_LENGTH new random bytes. */
export function startServerExchange(credential: ServerCredential, nonce: Uint8Array): ServerStarted {
  return { step: 'started', credential, nonce: Buffer.from(nonce).toString('base64') };
}

/**
 * Takes client-first-message; `message` is the answer, for AuthenticationSASLContinue.
 * Throws CountersignError `protocol_violation`, or `feature_not_supported` for channel binding, an authorization identity
 * or a mandatory extension.
 */
export function serverFirst(
  state: ServerStarted,
  clientFirst: Uint8Array,
): { readonly state: ServerChallenged; readonly message: string } {
  const first = read(readClientFirst, clientFirst);
  const { secret } = state.credential;
  const nonce = first.nonce + state.nonce;
  const message = `r=${nonce},s=${secret.salt.toString('base64')},i=${secret.iterations}`;
  return {
    state: {
      step: 'challenged',
      credential: state.credential,
      binding: BINDING_REPEATED[first.binding],
      nonce,
      transcript: `${first.bare},${message}`,
    },
    message,
  };
}

/**
 * Takes client-final-message. `ok`: the client has the password; `message` is for AuthenticationSASLFinal.
 * Not ok: a wrong password or no such user; there is no telling which. Throws CountersignError `protocol_violation`
 * for a message that no honest client sends.
 */
export function serverFinal(
  state: ServerChallenged,
  clientFinal: Uint8Array,
): { readonly ok: true; readonly message: string } | { readonly ok: false } {
  const final = read(readClientFinal, clientFinal);
  if (final.binding !== state.binding) throw violation('the channel binding does not match');
  if (final.nonce !== state.nonce) throw violation('the nonce does not match');
  const proof = decodeBase64(final.proof);
  if (proof?.length !== KEY_LENGTH) throw violation('the proof is malformed');

  const { secret, mock } = state.credential;
  const signed = `${state.transcript},${final.withoutProof}`;
  const clientKey = xor(proof, hmac(secret.storedKey, signed));
  const proven = timingSafeEqual(sha256(clientKey), secret.storedKey);
  const serverSignature = hmac(secret.serverKey, signed);
  if (!proven || mock) return { ok: false };
  return { ok: true, message: `v=${serverSignature.toString('base64')}` };
}

/** Both of one length. */
export function xor(a: Uint8Array, b: Uint8Array): Buffer {
  return Buffer.from(a.map((byte, i) => byte ^ b[i]!));
}

function read<Message>(reader: (bytes: Uint8Array) => Message, bytes: Uint8Array): Message {
  try {
    return reader(bytes);
  } catch (error) {
    if (!(error instanceof ScramMessageError)) throw error;
    if (error.kind === 'unsupported')
      throw new CountersignError('feature_not_supported', `SCRAM: ${error.message}`);
    throw violation(error.message);
  }
}

const violation = (what: string) =>
  new CountersignError('protocol_violation', `invalid SCRAM message: ${what}`);
