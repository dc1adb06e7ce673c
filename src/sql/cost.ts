// What a text would cost to read, before it is read: the parser takes as long as it takes, and the proxy has one thread.

// The lexer takes a whole run of operator characters, then hands most of it back: quadratic for `/*/*/*…` or `++++…`.
// The proxy has one thread, so such a text is refused before it is read. The bound is about half a second.
const LEXING_STEPS_MAX = 5e7;
/** The tree of a list of constants is some fifty times its text; about a second and a gigabyte at this many. */
const PUNCTUATION_MAX = 500_000;

/** The same for names and keywords, which need nothing between them: two for each part of `a AND a AND …`. */
const WORDS_MAX = 300_000;

const OPERATOR = new Uint8Array(128);
for (const character of '~!@#^&|`?+-*/%<>=') OPERATOR[character.charCodeAt(0)] = 1;
const PUNCTUATION = new Uint8Array(128);
for (const character of ',;()[].+-*/%<>=|') PUNCTUATION[character.charCodeAt(0)] = 1;

/**
 * Why reading this text would take too long, or null. Operators and punctuation count inside literals too: it has to be
 * cheap, not exact. Words do not, because a long text in prose is what literals are for.
 */
export function tooCostly(sql: string): string | null {
  let run = 0;
  let steps = 0;
  let punctuation = 0;
  if (sql.length < 5000) return null;
  for (let at = 0; at < sql.length; at++) {
    const code = sql.charCodeAt(at);
    if (code < 128 && PUNCTUATION[code] === 1) punctuation++;
    if (code < 128 && OPERATOR[code] === 1) run++;
    else if (run > 0) {
      steps += run * run;
      run = 0;
    }
  }
  steps += run * run;
  if (steps > LEXING_STEPS_MAX) return 'runs of operator characters too long to read in reasonable time';
  if (punctuation > PUNCTUATION_MAX) return `more than ${PUNCTUATION_MAX} punctuation characters in one text`;
  if (sql.length > WORDS_MAX && wordsOf(sql) > WORDS_MAX) return `more than ${WORDS_MAX} words in one text`;
  return null;
}

const WORD = new Uint8Array(128);
for (const character of 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$')
  WORD[character.charCodeAt(0)] = 1;
const isWord = (code: number): boolean => code >= 128 || WORD[code] === 1;

/** Names, keywords and numbers outside literals, quoted names and comments, as far as it matters. */
function wordsOf(sql: string): number {
  let words = 0;
  let at = 0;
  while (at < sql.length && words <= WORDS_MAX) {
    const code = sql.charCodeAt(at);
    if (code === QUOTE) at = endOfString(sql, at + 1, false);
    else if (code === DOUBLE_QUOTE) at = after(sql, '"', at + 1);
    else if (code === DOLLAR) {
      DOLLAR_TAG.lastIndex = at;
      const tag = DOLLAR_TAG.exec(sql)?.[0];
      at = tag === undefined ? at + 1 : after(sql, tag, at + tag.length);
    } else if (code === DASH && sql.charCodeAt(at + 1) === DASH) at = after(sql, '\n', at);
    else if (code === SLASH && sql.charCodeAt(at + 1) === STAR) at = endOfComment(sql, at + 2);
    else if (isWord(code)) {
      const start = at;
      while (at < sql.length && isWord(sql.charCodeAt(at))) at++;
      words++;
      // E'…': a backslash takes the next character with it.
      const isEscape = at - start === 1 && (code | 0x20) === SMALL_E && sql.charCodeAt(at) === QUOTE;
      if (isEscape) at = endOfString(sql, at + 1, true);
    } else at++;
  }
  return words;
}

const [QUOTE, DOUBLE_QUOTE, DOLLAR, DASH, SLASH, STAR, SMALL_E, BACKSLASH] = [...'\'"$-/*e\\'].map(
  (character) => character.charCodeAt(0),
) as [number, number, number, number, number, number, number, number];
const DOLLAR_TAG = /\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/y;

/** Behind the next `end`; the end of the text where there is none. */
function after(sql: string, end: string, from: number): number {
  const found = sql.indexOf(end, from);
  return found === -1 ? sql.length : found + end.length;
}

function endOfString(sql: string, from: number, escapes: boolean): number {
  if (!escapes) return after(sql, "'", from);
  for (let at = from; at < sql.length; at++) {
    const code = sql.charCodeAt(at);
    if (code === BACKSLASH) at++;
    else if (code === QUOTE) return at + 1;
  }
  return sql.length;
}

/** Comments nest. */
function endOfComment(sql: string, from: number): number {
  let depth = 1;
  for (let at = from; at < sql.length; at++) {
    const code = sql.charCodeAt(at);
    if (code === SLASH && sql.charCodeAt(at + 1) === STAR) {
      depth++;
      at++;
    } else if (code === STAR && sql.charCodeAt(at + 1) === SLASH) {
      depth--;
      at++;
      if (depth === 0) return at + 1;
    }
  }
  return sql.length;
}
