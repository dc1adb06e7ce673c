// A second parser that shares no code with ours (pgsql-ast-parser) on every statement that both read: the kind of each
// statement and the relations named must agree. Differences are explained one by one in the vector file.
import { readFileSync } from 'node:fs';
import { astVisitor, parse, type Statement } from 'pgsql-ast-parser';
import { beforeAll, expect, test } from 'vitest';
import { loadParser, understand } from '../../src/sql/understand.ts';
import { allCases } from './vectors.ts';

beforeAll(loadParser);

const differences = JSON.parse(
  readFileSync(new URL('../vectors/second-opinion/differences.json', import.meta.url), 'utf8'),
) as { kinds: Record<string, string[]>; relations: Record<string, string> };

/** Its name for a statement, ours where the two spell the same thing differently. */
function sameKind(theirs: string, tag: string): boolean {
  const spelled = theirs.toUpperCase();
  return spelled === tag || (differences.kinds[theirs] ?? []).includes(tag);
}

type Named = {
  readonly name?: unknown;
  readonly table?: unknown;
  readonly names?: unknown;
  readonly tables?: unknown;
  readonly index?: unknown;
};

/** What its visitor does not count as a reference: the object that a definition is about. */
function definedBy(statement: Statement): string[] {
  if (!/^(create|drop|alter|truncate|comment|refresh)/.test(statement.type)) return [];
  if (/(schema|extension|function|type|enum|domain)$/.test(statement.type)) return [];
  const found: string[] = [];
  const look = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(look);
    else if (typeof value === 'object' && value !== null && 'name' in value) {
      if (typeof value.name === 'string') found.push(value.name);
      else look(value.name);
    }
  };
  const { name, table, names, tables, index } = statement as Named;
  if (statement.type === 'create index') look(table);
  else for (const value of [name, table, names, tables, index]) look(value);
  if (statement.type === 'comment') look('on' in statement.on ? statement.on.on : statement.on);
  return found;
}

function secondOpinion(sql: string): { kinds: string[]; relations: Set<string> } | null {
  let statements: Statement[];
  try {
    statements = parse(sql);
  } catch {
    return null;
  }
  const relations = new Set(statements.flatMap(definedBy));
  const ctes = new Set<string>();
  const visitor = astVisitor((map) => ({
    tableRef: (table) => {
      relations.add(table.name);
      map.super().tableRef(table);
    },
    with: (statement) => {
      for (const { alias } of statement.bind) ctes.add(alias.name);
      map.super().with(statement);
    },
    withRecursive: (statement) => {
      ctes.add(statement.alias.name);
      map.super().withRecursive(statement);
    },
  }));
  for (const statement of statements) visitor.statement(statement);
  for (const name of ctes) relations.delete(name);
  return { kinds: statements.map(({ type }) => type), relations };
}

const both = allCases().flatMap((one) => {
  const opinion = secondOpinion(one.sql);
  return opinion === null ? [] : [{ ...one, opinion }];
});

test('enough statements are read by both', () => {
  const understood = both.filter(({ sql }) => understand(sql).known);
  expect(understood.length).toBeGreaterThan(300);
});

test('every explained difference is still one', () => {
  const ids = new Set(both.map(({ id }) => id));
  for (const id of Object.keys(differences.relations)) expect(ids).toContain(id);
});

test.each(both)('$id: $sql', ({ id, sql, opinion }) => {
  const understanding = understand(sql);
  // What ours does not read is held, whatever the other makes of it.
  if (!understanding.known) return;
  const tags = understanding.statements.map((facts) => facts.tags[0] ?? '');
  expect(tags).toHaveLength(opinion.kinds.length);
  opinion.kinds.forEach((kind, index) => {
    expect([kind, tags[index], sameKind(kind, tags[index] ?? '')]).toEqual([kind, tags[index], true]);
  });
  const ours = new Set(understanding.statements.flatMap((facts) => facts.relations.map(({ name }) => name)));
  const agree = [...ours].sort().join() === [...opinion.relations].sort().join();
  expect([agree, [...ours].sort(), [...opinion.relations].sort()]).toEqual([
    !Object.hasOwn(differences.relations, id),
    expect.anything(),
    expect.anything(),
  ]);
});
