// Whatever is done to a statement's text, it is understood or it is not: nothing is thrown and the parser stays well.
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import type { Understanding } from '../../src/sql/facts.ts';
import { loadParser, understand } from '../../src/sql/understand.ts';
import { allCases } from './vectors.ts';

beforeAll(loadParser);

const texts = allCases().map(({ sql }) => sql);
const fragment = fc.oneof(
  fc.constantFrom(
    "'",
    '"',
    '$$',
    '/*',
    '*/',
    '--',
    ';',
    '(',
    ')',
    '\0',
    '\ud800',
    '\\',
    'U&',
    "E'",
    '::',
    '$1',
    '\n',
  ),
  fc.string({ maxLength: 5, unit: 'binary' }),
);

const mutated = fc
  .tuple(fc.constantFrom(...texts), fc.nat(), fc.nat(20), fragment)
  .map(([sql, at, cut, put]) => {
    const start = at % (sql.length + 1);
    return sql.slice(0, start) + put + sql.slice(start + cut);
  });

function check(understanding: Understanding): void {
  if (!understanding.known) {
    expect(understanding.reason).not.toBe('parser');
    return;
  }
  for (const facts of understanding.statements) {
    expect(facts.classes.length).toBeGreaterThan(0);
    expect(facts.tags.length).toBeGreaterThan(0);
    expect(understanding.sql).toContain(facts.text);
  }
}

test('mutated statements', () => {
  fc.assert(
    fc.property(mutated, (sql) => check(understand(sql))),
    { numRuns: 3000 },
  );
});

test('two statements in one text are those two', () => {
  const good = texts.filter((sql) => {
    const understanding = understand(sql);
    return understanding.known && understanding.statements.length === 1 && !sql.includes('--');
  });
  expect(good.length).toBeGreaterThan(300);
  fc.assert(
    fc.property(fc.constantFrom(...good), fc.constantFrom(...good), (first, second) => {
      const both = understand(`${first};${second}`);
      const apart = [understand(first), understand(second)];
      const classes = (one: Understanding) => (one.known ? one.statements.map((facts) => facts.classes) : []);
      expect(classes(both)).toEqual(apart.flatMap(classes));
    }),
    { numRuns: 500 },
  );
});
