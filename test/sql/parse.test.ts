// The parser under texts made to hurt it: it answers, quickly, and what it answers next is still right.
import { beforeAll, describe, expect, test } from 'vitest';
import { tooCostly } from '../../src/sql/cost.ts';
import { loadParser, parse } from '../../src/sql/parse.ts';
import { understand } from '../../src/sql/understand.ts';

beforeAll(loadParser);

let probe = 0;
/** Ever-new text, so that no cache answers for the parser. */
function expectHealthy(): void {
  const result = parse(`SELECT 'é€😀${probe++}' AS a; DROP TABLE "t${probe}"`);
  expect(result.ok && result.statements.map(({ text }) => text)).toEqual([
    `SELECT 'é€😀${probe - 1}' AS a`,
    `DROP TABLE "t${probe}"`,
  ]);
}

const nested = (open: string, close: string, count: number): string =>
  `SELECT ${open.repeat(count)}1${close.repeat(count)}`;

describe('hostile texts', () => {
  test.each([
    ['parentheses', nested('(', ')', 100_000)],
    ['subqueries', nested('(SELECT ', ')', 3000)],
    ['more subqueries', nested('(SELECT ', ')', 100_000)],
    ['additions', `SELECT 1${'+1'.repeat(100_000)}`],
    ['unions', `SELECT 1${' UNION SELECT 1'.repeat(20_000)}`],
    ['arrays', nested('ARRAY[', ']', 100_000)],
    ['negations', `SELECT ${'NOT '.repeat(100_000)}a`],
    ['joins', `SELECT * FROM a${' JOIN b ON true'.repeat(20_000)}`],
    ['open comments', '/*'.repeat(1_000_000)],
    ['operators', `SELECT ${'+'.repeat(100_000)}1`],
    ['constants', `SELECT 1 IN (1${',1'.repeat(1_000_000)})`],
    ['statements', 'SELECT 1;'.repeat(50_000)],
  ])('%s are refused as too much', (_name, sql) => {
    const understanding = understand(sql);
    expect(understanding).toMatchObject({ known: false, reason: 'limit' });
    expectHealthy();
  });

  test('a large literal and a long condition are understood', () => {
    expect(understand(`SELECT '${'x'.repeat(10_000_000)}'`).known).toBe(true);
    const understanding = understand(`DELETE FROM a WHERE id = 1${' AND b = 2'.repeat(20_000)}`);
    expect(understanding.known && understanding.statements[0]?.where).toBe('real');
    expectHealthy();
  });

  test('overflows do not add up', async () => {
    // An instance that is kept after each of these answers nothing any more from about the fiftieth on.
    for (let i = 0; i < 150; i++) {
      parse(nested('(SELECT ', ')', 2000));
      await new Promise((resume) => setImmediate(resume));
      expectHealthy();
    }
  });

  test('a stack that overflows inside the parser costs that text only', async () => {
    // Called from ever deeper, until the parser itself runs out of stack: the worst place for it to stop.
    const results: ReturnType<typeof parse>[] = [];
    const descend = (): void => {
      try {
        descend();
      } catch {
        // The edge of the stack.
      }
      if (results.length < 40) results.push(parse(`SELECT a, b FROM t WHERE c = ${results.length}`));
    };
    descend();
    expect(results.some((result) => !result.ok)).toBe(true);
    for (const result of results) if (!result.ok) expect(['limit', 'parser']).toContain(result.reason);
    await expect.poll(() => parse('SELECT 1').ok, { timeout: 10_000 }).toBe(true);
    for (let i = 0; i < 300; i++) expectHealthy();
  });

  test('lexing cost counts runs of operators, not their number', () => {
    expect(tooCostly(`SELECT ${'a + b * c, '.repeat(10_000)}1`)).toBeNull();
    expect(tooCostly('*/'.repeat(10_000))).toContain('operator characters');
    expect(tooCostly(`${'+'.repeat(3000)} `.repeat(6))).toContain('operator characters');
    expect(tooCostly(','.repeat(600_000))).toContain('punctuation');
  });

  test('words count where they are words, and not in literals, quoted names and comments', () => {
    const words = 'a '.repeat(310_000);
    expect(tooCostly(`SELECT ${words}`)).toContain('words');
    for (const [open, close] of [
      ["'", "'"],
      ["'''", "'"],
      ["E'\\'", "'"],
      ["e'\\\\\\'", "'"],
      ['"', '"'],
      ['$$', '$$'],
      ['$ü1$ $$', '$ü1$'],
      ['-- ', '\n'],
      ['/* /* */', '*/'],
    ] as const) {
      expect(tooCostly(`SELECT ${open}${words}${close}`), open).toBeNull();
      // What looks like the end of it, or like more of it, hides nothing behind it.
      expect(tooCostly(`SELECT ${open} ${close} ${words}`), open).toContain('words');
    }
    // Escapes are those of E'…' alone; a dollar within a name begins nothing; the name E is not the prefix.
    for (const lie of [
      `'\\' ${words} '`,
      `a$$ ${words} $$`,
      `E '\\' ${words} '`,
      `nE'\\' ${words} '`,
      `"'" ${words} "'"`,
    ])
      expect(tooCostly(`SELECT ${lie}`), lie.slice(0, 8)).toContain('words');
  });
});

describe('statements of a text', () => {
  const textsOf = (sql: string): readonly string[] => {
    const result = parse(sql);
    return result.ok ? result.statements.map(({ text }) => text) : [];
  };

  test('are cut at bytes, not characters', () => {
    expect(textsOf('SELECT \'é€😀\'; DELETE FROM "naïve" ;; SELECT 3 ')).toEqual([
      "SELECT 'é€😀'",
      'DELETE FROM "naïve"',
      'SELECT 3',
    ]);
  });

  test('are none in an empty text', () => {
    for (const sql of ['', ' ', ';;', '-- x', '/* x */'])
      expect(parse(sql)).toEqual({ ok: true, statements: [] });
  });

  test('a syntax error says where, and not at any length', () => {
    expect(parse('SELEC 1')).toEqual({
      ok: false,
      reason: 'syntax',
      detail: 'syntax error at or near "SELEC" at character 1',
    });
    const long = parse(`SELECT 1 '${'x'.repeat(5000)}'`);
    expect(!long.ok && long.detail.length).toBeLessThan(300);
  });
});
