// Who may start a session without TLS, by what the listener offers and asks for.
import { expect, test } from 'vitest';
import { plaintextFor, requireTls } from '../../src/gate/plaintext.ts';

const HERE = ['127.0.0.1', '127.1.2.3', '::1', '::ffff:127.0.0.1'];
const ELSEWHERE = ['10.0.0.1', '192.0.2.7', '::ffff:192.0.2.7', 'fe80::1', '0.0.0.0', 'unknown', ''];
const certified = { requestCert: true };
const plain = { requestCert: false };

const letsIn = (tls: typeof plain | null, allowed: boolean, address: string): boolean => {
  try {
    requireTls(plaintextFor(tls, allowed), address);
    return true;
  } catch {
    return false;
  }
};

test.each([
  ['no TLS: whoever the configuration lets connect', null, false, true, true],
  ['TLS: this machine', plain, false, true, false],
  ['TLS, and plaintext allowed: everybody', plain, true, true, true],
  ['TLS with client certificates: nobody', certified, false, false, false],
  ['TLS with client certificates, and plaintext allowed: nobody all the same', certified, true, false, false],
])('%s', (_, tls, allowed, here, elsewhere) => {
  for (const address of HERE) expect(letsIn(tls, allowed, address), address).toBe(here);
  for (const address of ELSEWHERE) expect(letsIn(tls, allowed, address), address).toBe(elsewhere);
});
