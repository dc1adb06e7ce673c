// Each row of the protocol's description has its test, named after it (test/vectors/protocol/rows.json): this fails when
// a row has none, or when a test that stood for one is gone. Titles are read from the text of the test files.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PROJECT } from '../services/places.ts';

interface Row {
  readonly section: string;
  /** As the description has it. */
  readonly row: string;
  /** What the paths of the test files begin with, from the project's folder. */
  readonly in: string;
  /** What one title in them must contain. */
  readonly title: string;
}

const { rows, awaited } = JSON.parse(
  readFileSync(new URL('../vectors/protocol/rows.json', import.meta.url), 'utf8'),
) as { readonly rows: readonly Row[]; readonly awaited: readonly string[] };

const files = readdirSync(join(PROJECT, 'test'), { recursive: true, encoding: 'utf8' })
  .map((name) => `test/${name.replaceAll('\\', '/')}`)
  .filter((name) => name.endsWith('.test.ts'));

const plain = (text: string): string =>
  text.replaceAll('\\', '').replaceAll('`', '').replaceAll('’', "'").replace(/\s+/g, ' ').toLowerCase();

/** The file's own name, `test('…'`, `describe('…'`, `test.each(…)('…'`, and the keys of tables that such a test goes through. */
function titlesIn(file: string): string[] {
  const text = readFileSync(join(PROJECT, file), 'utf8');
  const called = text.matchAll(/(?:\b(?:test|it|describe)|\)|>)\(\s*(['"`])((?:\\.|(?!\1).)*)\1/g);
  const keys = text.matchAll(/^\s*(['"])((?:\\.|(?!\1).)*)\1:/gm);
  return [file, ...[...called, ...keys].map(([, , title = '']) => plain(title))];
}

const titlesUnder = (prefix: string): string[] =>
  files.filter((file) => file.startsWith(prefix)).flatMap(titlesIn);

test.each(rows.filter((row) => !awaited.includes(row.in)))('$section: $row', ({ in: prefix, title }) => {
  const titles = titlesUnder(prefix);
  expect(
    titles.some((one) => one.includes(plain(title))),
    `a test in ${prefix} named "${title}"`,
  ).toBe(true);
});

test('nothing is awaited that is there', () => {
  for (const prefix of awaited) {
    expect(rows.some((row) => row.in === prefix)).toBe(true);
    expect(files.filter((file) => file.startsWith(prefix))).toEqual([]);
  }
});
