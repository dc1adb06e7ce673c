// Our tables against the parser library's own description of its tree: a new grammar cannot slip in.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { beforeAll, expect, test } from 'vitest';
import { undecidedFunctions } from '../../src/sql/functions.ts';
import { NODE_KINDS, TYPED_FIELDS } from '../../src/sql/grammar.ts';
import { NOT_STATEMENTS, STATEMENTS } from '../../src/sql/nodes.ts';
import { nodeOf, UnknownNode } from '../../src/sql/tree.ts';
import { loadParser, understand } from '../../src/sql/understand.ts';
import { factsOf } from '../../src/sql/walk.ts';

beforeAll(loadParser);

/** Parts of the library's messages that are not nodes of a parse tree. */
const NOT_NODES = new Set([
  'Node',
  'ParseResult',
  'ScanResult',
  'ScanToken',
  'SummaryResult',
  'Table',
  'Function',
  'FilterColumn',
]);

const types = readFileSync(
  createRequire(createRequire(import.meta.url).resolve('libpg-query'))
    .resolve('@pgsql/types')
    .replace(/index\.js$/, 'types.d.ts'),
  'utf8',
);

const interfaces = new Map(
  [...types.matchAll(/^export interface (\w+) \{\n(.*?)^\}/gms)]
    .map((match): [string, string] => [match[1] ?? '', match[2] ?? ''])
    .filter(([name]) => !NOT_NODES.has(name)),
);

test('every node of the grammar is known, and no other', () => {
  const union = types.slice(types.indexOf('export type Node ='), types.indexOf('export interface'));
  const kinds = [...union.matchAll(/^\s+(\w+): \1;/gm)].map((match) => match[1] ?? '');
  expect(kinds.length).toBeGreaterThan(250);
  expect([...NODE_KINDS].sort()).toEqual(kinds.filter((kind) => !NOT_NODES.has(kind)).sort());
});

test('every field that holds a node without its wrapper is known, and no other', () => {
  const fields: Record<string, Record<string, string>> = {};
  for (const [name, body] of interfaces) {
    for (const [, field = '', type = ''] of body.matchAll(/^\s+(\w+)\?: (\w+);/gm)) {
      if (!interfaces.has(type)) continue;
      const known = fields[name] ?? {};
      fields[name] = known;
      known[field] = type;
    }
  }
  expect(Object.keys(fields).length).toBeGreaterThan(70);
  expect(TYPED_FIELDS).toEqual(fields);
});

test('every statement of the grammar has a row', () => {
  const statements = [...interfaces.keys()].filter((name) => name.endsWith('Stmt')).sort();
  expect([...Object.keys(STATEMENTS), ...NOT_STATEMENTS].sort()).toEqual(statements);
});

test('a node that is not in the table makes the statement unknown, wherever it stands', () => {
  expect(() => nodeOf({ BrandNewStmt: {} })).toThrow(UnknownNode);
  const select = { SelectStmt: { targetList: [{ ResTarget: { val: { BrandNewExpr: {} } } }] } };
  expect(() => factsOf(nodeOf(select), '')).toThrow('BrandNewExpr');
  expect(() => factsOf(nodeOf({ PLAssignStmt: {} }), '')).toThrow(UnknownNode);
});

test('every volatile built-in has been decided on', () => {
  expect(undecidedFunctions()).toEqual([]);
});

test('tags are those of Postgres', () => {
  const tagsOf = (sql: string): readonly string[] => {
    const understanding = understand(sql);
    return understanding.known ? understanding.statements.flatMap((facts) => facts.tags) : [];
  };
  const expected: Record<string, string[]> = {
    'DROP MATERIALIZED VIEW m': ['DROP MATERIALIZED VIEW'],
    'DROP FOREIGN DATA WRAPPER w': ['DROP FOREIGN DATA WRAPPER'],
    'DROP SERVER s': ['DROP SERVER'],
    'DROP OPERATOR CLASS c USING btree': ['DROP OPERATOR CLASS'],
    'DROP TEXT SEARCH PARSER p': ['DROP TEXT SEARCH PARSER'],
    'ALTER TABLE t RENAME COLUMN a TO b': ['ALTER TABLE'],
    'ALTER VIEW v RENAME TO w': ['ALTER VIEW'],
    'ALTER TYPE t RENAME ATTRIBUTE a TO b': ['ALTER TYPE'],
    'ALTER INDEX i SET (fillfactor = 10)': ['ALTER INDEX'],
    'ALTER MATERIALIZED VIEW m OWNER TO x': ['ALTER MATERIALIZED VIEW'],
    'CREATE USER u': ['CREATE ROLE'],
    'CREATE TEXT SEARCH DICTIONARY d (template = simple)': ['CREATE TEXT SEARCH DICTIONARY'],
    'SELECT 1 INTO t': ['SELECT INTO'],
    'CREATE TABLE t AS SELECT 1': ['CREATE TABLE AS'],
    'START TRANSACTION': ['START TRANSACTION'],
    'DISCARD TEMP': ['DISCARD TEMP'],
    'CLOSE ALL': ['CLOSE CURSOR ALL'],
    'RESET ALL': ['RESET'],
    'ANALYZE t': ['ANALYZE'],
    'EXPLAIN DELETE FROM t': ['EXPLAIN'],
    'EXPLAIN ANALYZE DELETE FROM t': ['EXPLAIN', 'DELETE'],
    'COPY (DELETE FROM t RETURNING 1) TO STDOUT': ['COPY', 'DELETE'],
    'WITH a AS (INSERT INTO t VALUES (1)) DELETE FROM u': ['DELETE', 'INSERT'],
    'CREATE RULE r AS ON INSERT TO t DO (DELETE FROM u; NOTIFY x)': ['CREATE RULE', 'DELETE', 'NOTIFY'],
    'CREATE SCHEMA s CREATE VIEW v AS SELECT 1': ['CREATE SCHEMA', 'CREATE VIEW'],
  };
  for (const [sql, tags] of Object.entries(expected)) expect([sql, tagsOf(sql)]).toEqual([sql, tags]);
});
