// The answer to AuthenticationMD5Password (manual, "Message Flow"): only for upstream servers whose roles still have md5
// passwords. We never ask it of an agent.
import { createHash } from 'node:crypto';

/** `salt`: the four bytes of the request. */
export function md5Password(user: string, password: string, salt: Uint8Array): string {
  const inner = createHash('md5').update(password, 'utf8').update(user, 'utf8').digest('hex');
  return `md5${createHash('md5').update(inner, 'utf8').update(salt).digest('hex')}`;
}
