// A statement without its values: what an approver may see of one whose rule has them kept from being written. What stays
// is listed, and everything else goes, so that a kind of constant that nobody thought of goes too.
import { scan } from './parse.ts';

const KEPT = [
  // Keywords and names.
  /^[\p{L}_][\p{L}\p{N}\p{M}_$]*$/u,
  /^"(?:[^"]|"")*"$/,
  // Parameters.
  /^\$[0-9]+$/,
  // Operators and punctuation.
  /^[-+*/<>=~!@#%^&|`?,;:()[\].]+$/,
];
const MASK = '…';
const COMMENT = /^(?:--|\/\*)/;

/** `sql` with … for every constant, without its comments; null where its tokens cannot be told apart. */
export function withoutConstants(sql: string): string | null {
  const tokens = scan(sql);
  if (tokens === null) return null;
  return spaced(
    tokens
      .filter((token) => !COMMENT.test(token))
      .map((token) => (KEPT.some((kept) => kept.test(token)) ? token : MASK)),
  );
}

const NO_SPACE_BEFORE = new Set([',', ';', ')', ']', '.', '::', '(', '[']);
const NO_SPACE_AFTER = new Set(['(', '[', '.', '::']);

function spaced(tokens: readonly string[]): string {
  let text = '';
  let last = '(';
  for (const token of tokens) {
    // A call and an IN list look the same to a lexer; a space too few is still SQL.
    const apart = !NO_SPACE_AFTER.has(last) && !NO_SPACE_BEFORE.has(token);
    text += apart ? ` ${token}` : token;
    last = token;
  }
  return text;
}
