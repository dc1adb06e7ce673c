// Text that came from an agent, made safe to look at: nothing in it moves the cursor, hides, or reorders what an
// approver reads. What cannot be seen is written out as <U+202E>.

/**
 * Controls, format characters (bidirectional overrides, zero width), surrogates, private and unassigned code points,
 * separators other than a plain space, and whatever Unicode says may be drawn as nothing.
 */
const UNSEEN = /(?! )[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}]/gu;

/** Characters that take two columns in a terminal: East Asian wide forms and pictographs. */
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;

function spellOut(character: string): string {
  return `<U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}>`;
}

/** One line: a line break or tab is written out too. */
export function visibleLine(text: string): string {
  return text.replace(UNSEEN, spellOut);
}

/** The lines of `text`, broken to fit `columns`, so that no line of it can pass for one of ours further left. */
export function visibleLines(text: string, columns: number): readonly string[] {
  return text
    .replaceAll('\r\n', '\n')
    .split('\n')
    .flatMap((line) => broken(visibleLine(line.replaceAll('\t', '    ')), columns));
}

/** As `visibleLines`, for sentences: a line ends at a space where it can. */
export function proseLines(text: string, columns: number): readonly string[] {
  return text.split('\n').flatMap((line) => {
    const lines: string[] = [];
    let current = '';
    for (const word of visibleLine(line).split(' ')) {
      const longer = current === '' ? word : `${current} ${word}`;
      if (widthOf(longer) <= columns) {
        current = longer;
        continue;
      }
      if (current !== '') lines.push(current);
      const pieces = broken(word, columns);
      lines.push(...pieces.slice(0, -1));
      current = pieces.at(-1) ?? '';
    }
    return [...lines, current];
  });
}

/** `text` on one line of at most `columns`, with … where it was cut. */
export function clipped(text: string, columns: number): string {
  const [first = '', ...more] = broken(visibleLine(text.replace(/\s+/g, ' ').trim()), columns);
  if (more.length === 0) return first;
  return `${(broken(first, Math.max(1, columns - 1))[0] ?? '').trimEnd()}…`;
}

/** JSON that is safe on a terminal: the same value, with unseen characters as \u escapes. */
export function visibleJson(value: unknown, indent?: number): string {
  const json = JSON.stringify(value, null, indent);
  return json.replace(UNSEEN, (character) =>
    character === '\n' ? character : character.split('').map(jsonEscape).join(''),
  );
}

function jsonEscape(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

export function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += WIDE.test(character) ? 2 : 1;
  return width;
}

function broken(line: string, columns: number): string[] {
  const lines: string[] = [];
  let current = '';
  let width = 0;
  // A spelled-out character stays in one piece.
  for (const [piece] of line.matchAll(/<U\+[0-9A-F]{4,6}>|./gsu)) {
    const added = widthOf(piece);
    if (width + added > columns && current !== '') {
      lines.push(current);
      current = '';
      width = 0;
    }
    current += piece;
    width += added;
  }
  lines.push(current);
  return lines;
}
