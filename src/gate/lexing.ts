// What the parser assumes of the server's lexer. A text that the two would read differently is not understood here,
// whatever facts could be had from it: neither when it runs nor when it is kept under a name to run later.
import type { Unknown } from '../sql/facts.ts';
import type { Work } from './work.ts';

const ASSUMED: ReadonlyMap<string, readonly string[]> = new Map([
  // The server keeps this one other name of it as it was given.
  ['client_encoding', ['UTF8', 'UNICODE']],
  // Elsewhere names fold and are cut differently: two that are one to us may be two to the server.
  ['server_encoding', ['UTF8']],
  ['standard_conforming_strings', ['on']],
]);

/** Why the server may read a text otherwise than we do, by the settings that it has reported; null: it does not. */
export function misreadingOf(reported: ReadonlyMap<string, string>): string | null {
  for (const [name, values] of ASSUMED) {
    const now = reported.get(name) ?? '';
    if (values.includes(now)) continue;
    return `the server reports ${name} = "${now}", under which it may read this text differently`;
  }
  return null;
}

/** Of what stands behind a statement that may have hidden a SET: servers from 14 on report a change no sooner than ReadyForQuery. */
export const UNREPORTED =
  'a statement before it ran code, which may have changed how the server reads this text; wait for its answer';

/** What is known of a text that the server may read otherwise than we do. */
export function unread(sql: string | Buffer, detail: string): Unknown {
  return { known: false, text: sql.toString('utf8'), reason: 'encoding', detail };
}

/** Whether it may change a setting without saying so in its text. */
export function mayHideASetting({ statements }: Work): boolean {
  return statements.some(
    (statement) => !statement.known || statement.classes.includes('code') || statement.settings.length > 0,
  );
}
