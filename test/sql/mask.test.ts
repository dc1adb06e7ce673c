// A statement without its values, by the server's own lexer.
import { beforeAll, describe, expect, test } from 'vitest';
import { withoutConstants } from '../../src/sql/mask.ts';
import { scan } from '../../src/sql/parse.ts';
import { loadParser } from '../../src/sql/understand.ts';
import { allCases } from './vectors.ts';

beforeAll(loadParser);

describe('what is left', () => {
  test.each([
    ["SELECT name FROM users WHERE ssn = '123-45'", 'SELECT name FROM users WHERE ssn = …'],
    ['UPDATE t SET a = 4711, b = -1.5e3 WHERE id = $1', 'UPDATE t SET a = …, b = - … WHERE id = $1'],
    [
      "SELECT E'a\\'b', $$x$$, $q$ ' $q$, B'01', X'ff', U&'d\\0061t', N'x', 0xff, 1_000",
      'SELECT …, …, …, …, …, …, N …, …, …',
    ],
    ['SELECT 1 -- secret\n/* secret /* secret */ */ FROM t', 'SELECT … FROM t'],
    ["SELECT 'one'\n'two'", 'SELECT …'],
    ["ALTER ROLE bob PASSWORD 'secret'", 'ALTER ROLE bob PASSWORD …'],
    ['SELECT j->>\'key\' FROM "Ü b".t', 'SELECT j ->> … FROM "Ü b".t'],
    ['DO $$ BEGIN PERFORM secret; END $$', 'DO …'],
    ["SELECT 1; SELECT 'x'", 'SELECT …; SELECT …'],
  ])('%s', (sql, masked) => expect(withoutConstants(sql)).toBe(masked));

  test('nothing where the lexer ends in an error', () => {
    expect(withoutConstants("SELECT 'secret")).toBeNull();
    expect(withoutConstants('SELECT /* secret')).toBeNull();
  });
});

test('of no statement of the corpus is a constant or a comment left', () => {
  let seen = 0;
  for (const { sql } of allCases()) {
    const masked = withoutConstants(sql);
    if (masked === null) continue;
    seen++;
    const left = (scan(masked) ?? ['nothing']).filter((token) =>
      /^(?:\.?[0-9]|\$[^0-9]|--|\/\*|[^"]*')/.test(token),
    );
    expect(left, sql).toEqual([]);
  }
  expect(seen).toBeGreaterThan(500);
});
