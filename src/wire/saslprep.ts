// SASLprep (RFC 4013), the way a password is written down before it is hashed: one form for all ways of typing it.
// As in PostgreSQL, a password that may not be prepared is used as it came.

// RFC 3454 B.1, what is mapped to nothing, and C.1.2, the spaces that are not ASCII.
const MAPPED_TO_NOTHING = /\u034F|[\u180B-\u180D]|[\uFE00-\uFE0F]|[\u00AD\u1806\u200B-\u200D\u2060\uFEFF]/gu;
const NON_ASCII_SPACE = /[\u00A0\u1680\u2000-\u200B\u202F\u205F\u3000]/gu;

// RFC 3454 C.2 to C.9 in order: controls, private use, non-characters, surrogates, unfit for plain text,
// unfit for canonical form, display controls, tags.
const PROHIBITED = new RegExp(
  [
    '[\\u0000-\\u001F\\u007F-\\u009F\\u06DD\\u070F\\u180E\\u200C\\u200D\\u2028\\u2029\\u2060-\\u2063\\u206A-\\u206F\\uFEFF\\uFFF9-\\uFFFC\\u{1D173}-\\u{1D17A}]',
    '\\p{Co}',
    '\\p{Noncharacter_Code_Point}',
    '\\p{Cs}',
    '[\\uFFF9-\\uFFFD]',
    '[\\u2FF0-\\u2FFB]',
    '[\\u0340\\u0341\\u200E\\u200F\\u202A-\\u202E]',
    '[\\u{E0001}\\u{E0020}-\\u{E007F}]',
  ].join('|'),
  'u',
);

// RFC 3454 D.1: characters written from right to left.
const RIGHT_TO_LEFT =
  /[\u05BE\u05C0\u05C3\u05D0-\u05EA\u05F0-\u05F4\u061B\u061F\u0621-\u063A\u0640-\u064A\u066D-\u066F\u0671-\u06D5\u06DD\u06E5\u06E6\u06FA-\u06FE\u0700-\u070D\u0710\u0712-\u072C\u0780-\u07A5\u07B1\u200F\uFB1D\uFB1F-\uFB28\uFB2A-\uFB36\uFB38-\uFB3C\uFB3E\uFB40\uFB41\uFB43\uFB44\uFB46-\uFBB1\uFBD3-\uFD3D\uFD50-\uFD8F\uFD92-\uFDC7\uFDF0-\uFDFC\uFE70-\uFE74\uFE76-\uFEFC]/u;

// Near enough RFC 3454 D.2, once those above are taken out: letters, letter-like numbers and marks with a width.
const LEFT_TO_RIGHT = /[\p{L}\p{Nl}\p{Mc}\u249C-\u24E9]/u;

const ASCII_TEXT = /^[\x20-\x7E]*$/;

/**
 * `password` prepared by RFC 4013, or unchanged where it may not be prepared (PostgreSQL does the same on both sides).
 * Two tables of RFC 3454 are approximated, there being no smaller way to have them: what Unicode 3.2 had not assigned
 * (A.1) is taken as assigned, and D.2 (left to right) by general category. It matters only to a password that has
 * such a character *and* another that preparation changes.
 */
export function saslprep(password: string): string {
  if (ASCII_TEXT.test(password)) return password;
  const mapped = password.replace(NON_ASCII_SPACE, ' ').replace(MAPPED_TO_NOTHING, '');
  // The RFC checks what normalisation made; PostgreSQL checks what went in, and it is PostgreSQL that we must agree with.
  if (mapped === '' || PROHIBITED.test(mapped) || mixesDirections(mapped)) return password;
  return mapped.normalize('NFKC');
}

/** RFC 3454 section 6: with any right-to-left character there is no left-to-right one, and it stands first and last. */
function mixesDirections(text: string): boolean {
  if (!RIGHT_TO_LEFT.test(text)) return false;
  const characters = [...text];
  if (!RIGHT_TO_LEFT.test(characters[0]!) || !RIGHT_TO_LEFT.test(characters.at(-1)!)) return true;
  return characters.some((character) => LEFT_TO_RIGHT.test(character) && !RIGHT_TO_LEFT.test(character));
}
