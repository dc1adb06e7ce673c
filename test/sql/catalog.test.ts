// What a catalog adds to the facts of a statement and takes away, from rows made by hand: no server.
import { beforeAll, describe, expect, test } from 'vitest';
import { Catalog, type SearchPath } from '../../src/sql/catalog.ts';
import type { Facts } from '../../src/sql/facts.ts';
import { atWorst, type Resolution, resolve, unknownNames } from '../../src/sql/resolve.ts';
import type { FunctionRow, RelationRow, Snapshot } from '../../src/sql/snapshot.ts';
import { loadParser, understand } from '../../src/sql/understand.ts';

beforeAll(loadParser);

let oid = 20_000;

function sql(name: string, body: string, changes: Partial<FunctionRow> = {}): FunctionRow {
  return {
    oid: oid++,
    schema: 'public',
    name,
    kind: 'function',
    volatility: 'stable',
    definer: false,
    language: 'sql',
    extension: false,
    body,
    form: 'text',
    defaults: null,
    takesRow: false,
    results: [23],
    rowsOf: 0,
    ...changes,
  };
}

const plpgsql = (name: string, changes: Partial<FunctionRow> = {}): FunctionRow =>
  sql(name, '', { language: 'plpgsql', body: null, ...changes });

const view = (name: string, definition: string | null): RelationRow => ({
  oid: oid++,
  schema: 'public',
  name,
  kind: 'view',
  definition,
});

const table = (name: string): RelationRow => ({ ...view(name, null), kind: 'table' });

function catalog(rows: Partial<Snapshot>): Catalog {
  return new Catalog({
    functions: [],
    relations: [],
    rules: [],
    operators: [],
    casts: [],
    types: [],
    dependencies: [],
    aggregates: [],
    columns: [],
    triggers: [],
    children: [],
    ...rows,
  });
}

function factsOf(text: string): Facts {
  const understanding = understand(text);
  if (!understanding.known) throw new Error(understanding.detail);
  return understanding.statements[0] as Facts;
}

const resolved = (text: string, rows: Partial<Snapshot>, path: SearchPath = null): Resolution =>
  resolve(factsOf(text), catalog(rows), path);

const isHeld = (text: string, rows: Partial<Snapshot>, path: SearchPath = null): boolean =>
  resolved(text, rows, path).facts.classes.includes('code');

describe('the facts of the text', () => {
  test('are the very same where the catalog has nothing to say', () => {
    const facts = factsOf("SELECT lower(name) FROM users WHERE id = 1 AND name LIKE 'x%'");
    expect(resolve(facts, catalog({ relations: [table('users')] }), null).facts).toBe(facts);
  });

  test('lose what was there for the name alone, and nothing else', () => {
    const rows = { functions: [sql('harmless', 'SELECT 1')] };
    expect(resolved('SELECT harmless()', rows).facts).toMatchObject({ classes: ['read'], reasons: [] });
    expect(resolved("SELECT harmless(), lo_import('x')", rows).facts.classes).toContain('code');
    expect(resolved('CALL harmless()', rows).facts.classes).toContain('code');
    expect(resolved('SELECT pg_catalog.no_built_in(), harmless()', rows).facts.classes).toContain('code');
    expect(resolved('CREATE FUNCTION x() RETURNS int RETURN harmless()', rows).facts.classes).toContain(
      'code',
    );
  });

  test('keep it where one of several names is not known', () => {
    expect(isHeld('SELECT harmless(), other()', { functions: [sql('harmless', 'SELECT 1')] })).toBe(true);
  });

  test('count as well where the catalog may be old', () => {
    const facts = factsOf('SELECT harmless()');
    const resolution = resolve(facts, catalog({ functions: [sql('harmless', 'SELECT 1')] }), null);
    expect(atWorst(facts, resolution).classes).toContain('code');
    const danger = resolve(factsOf('TABLE v'), catalog({ relations: [view('v', 'SELECT f()')] }), null);
    expect(atWorst(factsOf('TABLE v'), danger).classes).toEqual(['read', 'code']);
  });
});

describe('search_path', () => {
  const rows = {
    functions: [sql('f', 'SELECT 1', { schema: 'a' }), plpgsql('f', { schema: 'b', volatility: 'volatile' })],
  };
  test.each<[string, SearchPath, boolean]>([
    ['SELECT f()', null, true],
    ['SELECT f()', ['a'], false],
    ['SELECT f()', ['b'], true],
    ['SELECT f()', ['c'], true],
    ['SELECT a.f()', null, false],
    ['SELECT a.f()', ['b'], false],
    ['SELECT b.f()', ['a'], true],
  ])('%s under %j: held %s', (text, path, held) => {
    expect(isHeld(text, rows, path)).toBe(held);
  });
});

test('who calls one another in a circle is harmless, unless one of them is not', () => {
  const even = sql('even', 'SELECT odd()');
  const odd = sql('odd', 'SELECT even()');
  const bad = sql('odd', 'SELECT even(), bad()');
  expect(isHeld('SELECT even()', { functions: [even, odd] })).toBe(false);
  const rows = { functions: [even, bad, plpgsql('bad', { volatility: 'volatile' })] };
  expect(isHeld('SELECT even()', rows)).toBe(true);
  expect(isHeld('SELECT odd()', rows)).toBe(true);
});

test('views deeper than anybody looks are held, and take no longer for it', () => {
  const relations = Array.from({ length: 3000 }, (_, i) => view(`v${i}`, `SELECT * FROM public.v${i + 1}`));
  expect(isHeld('SELECT * FROM v0', { relations })).toBe(true);
  expect(isHeld('SELECT * FROM v2990', { relations })).toBe(false);
  const wide = [view('all', relations.map(({ name }) => `SELECT * FROM public.${name}`).join(' UNION ALL '))];
  expect(isHeld('SELECT * FROM "all"', { relations: [...wide, ...relations] })).toBe(true);
});

test('what cannot be understood is held', () => {
  expect(isHeld('TABLE v', { relations: [view('v', null)] })).toBe(true);
  expect(isHeld('TABLE v', { relations: [view('v', 'SELEC 1')] })).toBe(true);
  expect(isHeld('SELECT f()', { functions: [sql('f', 'no SQL')] })).toBe(true);
  expect(isHeld('SELECT f()', { functions: [sql('f', '', { body: null })] })).toBe(true);
});

test('a view is what its parts are, whatever they are called by now', () => {
  const called = plpgsql('renamed', { volatility: 'volatile' });
  const inner = view('renamed_too', null);
  const outer = view('outer', 'SELECT 1');
  const rule = { oid: 1, relation: outer.oid, name: '_RETURN', event: 'select', definition: null } as const;
  expect(
    isHeld('TABLE "outer"', {
      functions: [called],
      relations: [outer],
      rules: [rule],
      dependencies: [{ kind: 'rule', of: 1, on: called.oid }],
    }),
  ).toBe(true);
  expect(
    isHeld('TABLE "outer"', {
      relations: [outer, inner],
      rules: [rule],
      dependencies: [{ kind: 'rule reads', of: 1, on: inner.oid }],
    }),
  ).toBe(true);
});

test('an extension is trusted in what is steady, and in what is known to be ordinary', () => {
  const extension = { extension: true, language: 'c', body: null } as const;
  const rows = {
    functions: [
      sql('steady', '', extension),
      sql('moody', '', { ...extension, volatility: 'volatile' }),
      sql('uuid_generate_v4', '', { ...extension, volatility: 'volatile' }),
      sql('dblink', '', { ...extension, volatility: 'volatile' }),
      sql('normal_rand', '', { volatility: 'volatile' }),
    ],
  };
  expect(isHeld('SELECT steady()', rows)).toBe(false);
  expect(isHeld('SELECT moody()', rows)).toBe(true);
  expect(isHeld('SELECT public.uuid_generate_v4()', rows)).toBe(false);
  expect(isHeld("SELECT public.dblink('')", rows)).toBe(true);
  // Its name is an extension's, and it is somebody's own.
  expect(isHeld('SELECT normal_rand(1, 2, 3)', rows)).toBe(true);
});

test('a rule’s actions are the statement’s too', () => {
  const inbox = table('inbox');
  const rows = {
    relations: [inbox, table('notes')],
    rules: [
      {
        oid: 1,
        relation: inbox.oid,
        name: 'empties',
        event: 'insert',
        definition: 'CREATE RULE empties AS ON INSERT TO public.inbox DO ALSO DELETE FROM public.notes;',
      },
    ],
  } as const;
  expect(resolved('INSERT INTO inbox VALUES (1)', rows).facts).toMatchObject({
    where: 'none',
    tags: ['INSERT', 'DELETE'],
    relations: [{ name: 'inbox' }, { name: 'notes', use: 'delete' }],
    reasons: ['rule empties on public.inbox: also runs DELETE'],
  });
  const facts = factsOf('DELETE FROM inbox WHERE id = 1');
  expect(resolve(facts, catalog(rows), null).facts).toBe(facts);
});

test('whoever decides is told what a table does besides, and nobody else is', () => {
  const users = table('users');
  const rows = {
    relations: [users],
    triggers: [{ relation: users.oid, name: 'audit', function: 'public.note' }],
  };
  expect(resolved('DELETE FROM users', rows).facts.reasons).toEqual([
    'public.users has triggers: audit (public.note)',
  ]);
  const facts = factsOf('DELETE FROM users WHERE id = 1');
  expect(resolve(facts, catalog(rows), null).facts).toBe(facts);
});

test('the reason says through what, and why', () => {
  const rows = {
    functions: [plpgsql('deep', { volatility: 'immutable' }), sql('middle', 'SELECT public.deep()')],
    relations: [view('v', 'SELECT public.middle() AS m')],
  };
  expect(resolved('TABLE v', rows).facts.reasons).toEqual([
    'view public.v: public.middle calls public.deep, which is written in plpgsql, where being marked immutable proves nothing of what it does',
  ]);
});

describe('planning', () => {
  const peek = plpgsql('peek', { volatility: 'immutable' });
  const purge = plpgsql('purge', { volatility: 'volatile' });
  const functions = [
    peek,
    purge,
    sql('steady_purge', 'SELECT purge()'),
    sql('harmless', 'SELECT 1'),
    sql('inlined', 'SELECT peek()', { volatility: 'volatile' }),
  ];
  test.each([
    ['SELECT peek()', true],
    ['SELECT purge()', false],
    ['SELECT steady_purge()', true],
    ['SELECT purge(), steady_purge()', true],
    ['SELECT steady_purge(), purge()', true],
    ['SELECT inlined()', true],
    ['SELECT harmless()', false],
    ['SELECT unheard_of()', true],
    ['SELECT 1', false],
  ])('of %s runs what is held: %s', (text, expected) => {
    expect(resolved(text, { functions }).inPlanning).toBe(expected);
  });
});

test('names that are nowhere: those that a newer snapshot might have', () => {
  const known = catalog({ relations: [table('users')], functions: [sql('f', 'SELECT 1')] });
  const names = (text: string): string[] => unknownNames(factsOf(text), known);
  expect(names('SELECT f(), lower(x) FROM users, pg_class, pg_catalog.pg_proc')).toEqual([]);
  expect(names('WITH w AS (SELECT 1) TABLE w')).toEqual([]);
  expect(names('CREATE TABLE made (a int)')).toEqual([]);
  expect(names('SELECT g() FROM nowhere')).toEqual(['["relation",null,"nowhere"]', '["function",null,"g"]']);
  expect(names('SELECT other.f() FROM other.users')).toHaveLength(2);
});
