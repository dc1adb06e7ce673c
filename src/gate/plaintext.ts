// Who may start a session without TLS. libpq asks for TLS and takes no for an answer, so where TLS is offered it is the
// listener that has to insist. CancelRequests are not sessions: most clients send them in the clear whatever they use.
import type { TlsOptions } from 'node:tls';
import ipaddr from 'ipaddr.js';
import { CountersignError } from '../base/errors.ts';

/** `this machine`: whoever connects from a loopback address. */
export type Plaintext = 'anybody' | 'this machine' | 'nobody';

/** `tls` null: it is not offered, and the configuration has had its say about that. */
export function plaintextFor(tls: TlsOptions | null, allowed: boolean): Plaintext {
  if (tls === null) return 'anybody';
  // Without TLS there is no certificate to look at.
  if (tls.requestCert === true) return 'nobody';
  return allowed ? 'anybody' : 'this machine';
}

/** Throws CountersignError `authorization`. */
export function requireTls(plaintext: Plaintext, address: string): void {
  if (plaintext === 'anybody' || (plaintext === 'this machine' && isLoopback(address))) return;
  throw new CountersignError('authorization', 'connections without TLS are not accepted', {
    hint: 'Connect with sslmode=verify-full, or at least sslmode=require.',
  });
}

function isLoopback(address: string): boolean {
  return ipaddr.isValid(address) && ipaddr.process(address).range() === 'loopback';
}
