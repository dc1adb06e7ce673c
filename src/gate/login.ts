// An agent proves who it is: one SASL exchange, or a token as a password under TLS. Every failure looks the same from
// outside: the same words, late, whether the name, the password or the token was wrong.

import type { Duplex } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { Cursor, decodeUtf8, ShortRead } from '../base/bytes.ts';
import { CountersignError } from '../base/errors.ts';
import { randomSecret } from '../base/ids.ts';
import type { AgentIdentity } from '../identity/agent-identity.ts';
import type { Agents, Challenge } from '../identity/agents.ts';
import { MAX_TOKEN_BYTES } from '../identity/jwt.ts';
import type { FailedLogins } from '../identity/throttle.ts';
import {
  encodeAuthenticationCleartextPassword,
  encodeAuthenticationSasl,
  encodeAuthenticationSaslContinue,
  encodeAuthenticationSaslFinal,
} from '../wire/backend.ts';
import { HEADER_LENGTH } from '../wire/frames.ts';
import { FRONTEND } from '../wire/frontend.ts';
import { NONCE_LENGTH, serverFinal, serverFirst, startServerExchange } from '../wire/scram.ts';
import { SCRAM_SHA_256 } from '../wire/scram-secret.ts';
import { readFrame } from './source.ts';

/** Room for a token and its frame. */
const ANSWER_MAX_LENGTH = MAX_TOKEN_BYTES + 1024;

export interface LoginOptions {
  readonly agents: Agents;
  readonly failures: FailedLogins;
  readonly address: string;
  readonly encrypted: boolean;
  /** Told why, in words for the log, before the client is told that it failed. */
  readonly onFailure: (because: string) => void;
}

/** Who `user` has proved to be. Rejects with CountersignError `authentication`, or what the exchange violated. */
export async function logIn(socket: Duplex, user: string, options: LoginOptions): Promise<AgentIdentity> {
  const challenge = options.agents.challengeFor(user, { encrypted: options.encrypted });
  if (challenge.method === 'refused') {
    options.onFailure(challenge.message);
    throw new CountersignError('authorization', challenge.message, { hint: challenge.hint });
  }
  const proof =
    challenge.method === 'scram' ? await scram(socket, challenge) : await token(socket, options.agents);
  if (proof.identity !== null) return proof.identity;
  options.failures.record(options.address);
  options.onFailure(proof.because);
  await wait(options.failures.delayMs(options.address));
  throw new CountersignError('authentication', `password authentication failed for user "${user}"`);
}

type Proof = { readonly identity: AgentIdentity } | { readonly identity: null; readonly because: string };

async function scram(socket: Duplex, challenge: Extract<Challenge, { method: 'scram' }>): Promise<Proof> {
  socket.write(encodeAuthenticationSasl([SCRAM_SHA_256]));
  const started = startServerExchange(challenge.credential, randomSecret(NONCE_LENGTH));
  const first = serverFirst(started, readInitialResponse(await readAnswer(socket)));
  socket.write(encodeAuthenticationSaslContinue(first.message));
  const final = serverFinal(first.state, await readAnswer(socket));
  if (!final.ok || challenge.identity === null) {
    return { identity: null, because: challenge.identity === null ? 'unknown user' : 'wrong password' };
  }
  socket.write(encodeAuthenticationSaslFinal(final.message));
  return { identity: challenge.identity };
}

async function token(socket: Duplex, agents: Agents): Promise<Proof> {
  socket.write(encodeAuthenticationCleartextPassword());
  const answer = await readAnswer(socket);
  const text = decodeUtf8(answer.subarray(0, Math.max(0, answer.length - 1)));
  const verdict = await agents.verifyToken(text ?? '');
  return verdict.ok ? { identity: verdict.identity } : { identity: null, because: verdict.because };
}

/** The body of a message with tag `p`, which is all that may come while authenticating. */
async function readAnswer(socket: Duplex): Promise<Buffer> {
  const { tag, bytes } = await readFrame(socket, ANSWER_MAX_LENGTH);
  if (tag !== FRONTEND.Password) throw violation('expected an authentication response');
  return bytes.subarray(HEADER_LENGTH);
}

/** SASLInitialResponse: the mechanism's name, then Int32 length and the mechanism's own first message. */
function readInitialResponse(body: Buffer): Buffer {
  const cursor = new Cursor(body);
  try {
    const mechanism = cursor.readCStringBytes().toString('latin1');
    if (mechanism !== SCRAM_SHA_256)
      throw violation('client selected an invalid SASL authentication mechanism');
    const length = cursor.readInt32();
    if (length === cursor.remaining) return cursor.readBytes(length);
  } catch (error) {
    if (!(error instanceof ShortRead)) throw error;
  }
  throw violation('malformed SASLInitialResponse');
}

function violation(message: string): CountersignError {
  return new CountersignError('protocol_violation', message);
}
