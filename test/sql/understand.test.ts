// Each fact by itself, on small statements.
import { beforeAll, describe, expect, test } from 'vitest';
import type { Facts } from '../../src/sql/facts.ts';
import { meaningOfCall } from '../../src/sql/functions.ts';
import { loadParser, understand } from '../../src/sql/understand.ts';

beforeAll(loadParser);

function factsOf(sql: string): Facts {
  const understanding = understand(sql);
  const facts = understanding.known ? understanding.statements[0] : undefined;
  if (facts === undefined) throw new Error(`not understood: ${sql}`);
  return facts;
}

const relationsOf = (sql: string): string[] =>
  factsOf(sql).relations.map(
    ({ schema, name, use }) => `${use} ${schema === null ? '' : `${schema}.`}${name}`,
  );

describe('relations', () => {
  test.each([
    ['SELECT * FROM a, S.b JOIN "C" ON true', ['read a', 'read s.b', 'read C']],
    ['WITH x AS (SELECT * FROM a) SELECT * FROM x, public.x', ['read a', 'read public.x']],
    ['WITH x AS (SELECT * FROM x) SELECT 1', ['read x']],
    ['WITH RECURSIVE x AS (SELECT 1 UNION SELECT * FROM x) SELECT * FROM x', []],
    ['WITH x AS (SELECT 1), y AS (SELECT * FROM x) SELECT * FROM y', []],
    ['SELECT (WITH x AS (SELECT 1) SELECT * FROM x) FROM x', ['read x']],
    ['WITH t AS (SELECT 1) DELETE FROM t', ['delete t']],
    ['INSERT INTO a SELECT * FROM b', ['insert a', 'read b']],
    ['INSERT INTO a VALUES (1) ON CONFLICT (x) DO UPDATE SET y = 1', ['insert a', 'update a']],
    ['INSERT INTO a VALUES (1) ON CONFLICT DO NOTHING', ['insert a']],
    ['UPDATE a SET x = (SELECT 1 FROM b)', ['update a', 'read b']],
    [
      'MERGE INTO a USING b ON true WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (1)',
      ['delete a', 'insert a', 'read b'],
    ],
    ['SELECT * FROM a x JOIN b ON true FOR UPDATE OF x', ['lock a', 'read a', 'read b']],
    ['LOCK a, b', ['lock a', 'lock b']],
    ['COPY a FROM STDIN', ['insert a']],
    ['COPY (SELECT * FROM a) TO STDOUT', ['read a']],
    ['DROP TABLE a, s.b', ['define a', 'define s.b']],
    ['TRUNCATE a', ['define a']],
    ['CREATE VIEW v AS SELECT * FROM a', ['define v', 'read a']],
    ['CREATE TABLE t AS SELECT * FROM a', ['define t', 'read a']],
    ['GRANT SELECT ON a TO b', ['define a']],
    ['EXPLAIN DELETE FROM a', ['read a']],
    ['COMMENT ON COLUMN s.a.b IS NULL', ['define s.a']],
    ['VACUUM FULL a', ['define a']],
    ['ALTER TABLE a ADD FOREIGN KEY (x) REFERENCES b', ['define a', 'read b']],
  ])('%s', (sql, expected) => {
    expect(relationsOf(sql)).toEqual(expected);
  });
});

describe('names', () => {
  const namesOf = (sql: string): unknown[] =>
    factsOf(sql).names.map(({ kind, name, ...rest }) => [kind, name, ...('hold' in rest ? [rest.hold] : [])]);
  test.each([
    ['EXECUTE p', [['execute', 'p']]],
    ['EXPLAIN ANALYZE EXECUTE p', [['execute', 'p']]],
    // Planning alone may run functions, and which is not in this text.
    ['EXPLAIN EXECUTE p', [['execute', 'p']]],
    ['EXPLAIN CREATE TEMP TABLE t AS EXECUTE p', [['execute', 'p']]],
    // It makes no cursor.
    ['EXPLAIN DECLARE c CURSOR FOR SELECT 1', []],
    ['EXPLAIN ANALYZE DECLARE c CURSOR FOR SELECT 1', []],
    ['CREATE TEMP TABLE t AS EXECUTE "P"(1)', [['execute', 'P']]],
    ['PREPARE p AS SELECT 1', [['prepare', 'p']]],
    ['DEALLOCATE p', [['deallocate', 'p']]],
    ['DEALLOCATE ALL', [['deallocate', null]]],
    [
      'DISCARD ALL',
      [
        ['close', null],
        ['deallocate', null],
      ],
    ],
    ['DISCARD PLANS', []],
    ['DECLARE c CURSOR FOR SELECT 1', [['declare', 'c', false]]],
    ['DECLARE c CURSOR WITH HOLD FOR SELECT 1', [['declare', 'c', true]]],
    ['FETCH 5 FROM c', [['fetch', 'c']]],
    ['MOVE c', [['fetch', 'c']]],
    ['CLOSE c', [['close', 'c']]],
    ['CLOSE ALL', [['close', null]]],
  ])('%s', (sql, expected) => {
    expect(namesOf(sql)).toEqual(expected);
  });

  test('a prepared body has facts of its own', () => {
    const [use] = factsOf('PREPARE p AS DELETE FROM a').names;
    expect(use?.kind === 'prepare' && use.body).toMatchObject({
      tags: ['DELETE'],
      classes: ['write'],
      where: 'none',
    });
  });
});

describe('limit', () => {
  test.each([
    ['SELECT * FROM a LIMIT 5', 5],
    ['SELECT * FROM a LIMIT 20000', 20_000],
    ["SELECT * FROM a LIMIT '20000'", 20_000],
    ['SELECT * FROM a LIMIT 1e6', 1_000_000],
    ['SELECT * FROM a FETCH FIRST ROW ONLY', 1],
    ['SELECT * FROM a LIMIT ALL', null],
    ['SELECT * FROM a LIMIT $1', null],
    ['SELECT count(*) FROM a LIMIT 50000', null],
    ['SELECT count(*) FROM a GROUP BY b LIMIT 50000', 50_000],
    ['SELECT * FROM (SELECT * FROM a LIMIT 5) b', null],
    ['EXPLAIN ANALYZE SELECT * FROM a LIMIT 50000', null],
    ['DECLARE c CURSOR FOR SELECT * FROM a LIMIT 50000', null],
    ['PREPARE p AS SELECT * FROM a LIMIT 50000', 50_000],
    ['FETCH 50000 FROM c', 50_000],
    ['FETCH ALL FROM c', null],
    ['FETCH ABSOLUTE 50000 FROM c', null],
    ['MOVE 50000 FROM c', null],
  ])('%s', (sql, expected) => {
    expect(factsOf(sql).limit).toBe(expected);
  });
});

describe('temporary', () => {
  test.each([
    ['CREATE TEMP TABLE t (a int)', true],
    ['CREATE TABLE pg_temp.t (a int)', true],
    ['CREATE TABLE t (a int)', false],
    ['SELECT 1', false],
    ['DROP TABLE pg_temp.a', true],
    ['DROP TABLE pg_temp.a, b', false],
    ['DROP FUNCTION pg_temp.f()', false],
    ['CREATE SCHEMA s CREATE TABLE t (a int)', false],
    ['ALTER TABLE pg_temp.a SET SCHEMA public', false],
    ['CREATE TEMP VIEW v AS SELECT 1', true],
    ['CREATE TYPE pg_temp.t AS ENUM ()', true],
  ])('%s', (sql, expected) => {
    expect(factsOf(sql).temporary).toBe(expected);
  });
});

describe('dependsOnLiterals', () => {
  test.each([
    ['SELECT * FROM a WHERE id = 1', false],
    ['INSERT INTO a VALUES (1)', false],
    ['UPDATE a SET x = 1 WHERE id = 1', false],
    ['DELETE FROM a WHERE id = 1 AND b IN (1, 2)', false],
    ['SELECT * FROM a LIMIT 5', true],
    ["SELECT set_config('a.b', 'c', false)", true],
    ['DELETE FROM a WHERE id = 1 OR b = 2', true],
    ["DELETE FROM a WHERE b LIKE '%'", true],
    ['SELECT json_agg(x) FROM a WHERE id = 1', true],
    ['SET a.b = 1', true],
    ['EXPLAIN (ANALYZE 0) DELETE FROM a', true],
  ])('%s', (sql, expected) => {
    expect(factsOf(sql).dependsOnLiterals).toBe(expected);
  });
});

describe('functions', () => {
  test('are listed once, as written', () => {
    expect(factsOf('SELECT lower(x), pg_catalog.upper(x), "F"(lower(y)) FROM a').functions).toEqual([
      { schema: null, name: 'lower' },
      { schema: 'pg_catalog', name: 'upper' },
      { schema: null, name: 'F' },
    ]);
  });

  test('reasons are for a person', () => {
    expect(factsOf("SELECT pg_read_file('x')").reasons).toEqual(['pg_read_file reads server files']);
    expect(factsOf('SELECT full_name(u) FROM users u').reasons).toEqual([
      'full_name is not a built-in function',
    ]);
  });

  test('a built-in’s name elsewhere is somebody’s own function', () => {
    expect(meaningOfCall('evil', 'lower').classes).toEqual(['code']);
    expect(meaningOfCall('pg_catalog', 'similarity').classes).toEqual(['code']);
    expect(meaningOfCall(null, 'similarity').classes).toEqual([]);
    expect(meaningOfCall(null, 'constructor').classes).toEqual(['code']);
    expect(meaningOfCall('public', 'dblink_exec').classes).toEqual(['code']);
  });
});

describe('what cannot be understood', () => {
  test.each([
    ['encoding', 'SELECT 1\0; DROP TABLE a'],
    ['encoding', "SELECT '\ud800'"],
    ['syntax', 'SELEC 1'],
    ['syntax', 'SELECT 1; garbage here'],
    ['limit', 'SELECT 1;'.repeat(1001)],
  ])('%s', (reason, sql) => {
    expect(understand(sql)).toMatchObject({ known: false, reason, text: sql });
  });

  test('bytes that are not UTF-8', () => {
    expect(understand(Buffer.from([0x53, 0xff]))).toMatchObject({ known: false, reason: 'encoding' });
    expect(understand(Buffer.from('SELECT 1')).known).toBe(true);
  });

  test('limits are the caller’s, and the cache does not mix them up', () => {
    const sql = 'SELECT 11; SELECT 12';
    expect(understand(sql, { statementsMax: 1 }).known).toBe(false);
    expect(understand(sql).known).toBe(true);
    expect(understand(sql, { statementsMax: 1 }).known).toBe(false);
    expect(understand(`SELECT '${'é'.repeat(100)}'`, { bytesMax: 150 })).toMatchObject({ reason: 'limit' });
  });
});

test('the same text gives the very same facts, and nobody can change them', () => {
  const facts = factsOf('SELECT 1 AS cached');
  expect(factsOf('SELECT 1 AS cached')).toBe(facts);
  expect(Object.isFrozen(facts) && Object.isFrozen(facts.classes)).toBe(true);
});
