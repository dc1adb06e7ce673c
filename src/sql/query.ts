// Small questions about queries and writes that need nothing but their own node: names, constants, which relations.
import type { RelationUse } from './facts.ts';
import { childOf, constantOf, listOf, type Node, namesOf, textOf } from './tree.ts';

export function qualifiedName(names: readonly string[]): [schema: string | null, name: string] {
  return [names.length > 1 ? (names.at(-2) ?? null) : null, names.at(-1) ?? ''];
}

/** undefined where the argument is not a plain constant: a cast may change it, unless it is one to text. */
export function constantText(node: Node): string | null | undefined {
  if (node.kind !== 'TypeCast') return constantOf(node);
  const type = childOf(node, 'typeName');
  const inner = childOf(node, 'arg');
  if (
    type === null ||
    inner === null ||
    listOf(type, 'typmods').length > 0 ||
    listOf(type, 'arrayBounds').length > 0
  ) {
    return undefined;
  }
  const [schema, name] = qualifiedName(namesOf(type, 'names'));
  const isText = (name === 'text' || name === 'varchar') && (schema === null || schema === 'pg_catalog');
  return isText ? constantText(inner) : undefined;
}

export function usesOf(node: Node): RelationUse['use'][] {
  if (node.kind === 'UpdateStmt') return ['update'];
  if (node.kind === 'DeleteStmt') return ['delete'];
  if (node.kind === 'InsertStmt') {
    const conflict = childOf(node, 'onConflictClause');
    return conflict !== null && textOf(conflict, 'action') === 'ONCONFLICT_UPDATE'
      ? ['insert', 'update']
      : ['insert'];
  }
  const uses = listOf(node, 'mergeWhenClauses').map(
    (clause) => MERGE_USES[textOf(clause, 'commandType') ?? ''],
  );
  return uses.filter((use) => use !== undefined);
}

const MERGE_USES: Readonly<Record<string, RelationUse['use']>> = {
  CMD_INSERT: 'insert',
  CMD_UPDATE: 'update',
  CMD_DELETE: 'delete',
};

export function leftmost(select: Node): Node {
  const left = childOf(select, 'larg');
  return left === null ? select : leftmost(left);
}

export function rangesIn(item: Node): Node[] {
  if (item.kind === 'RangeVar') return [item];
  if (item.kind !== 'JoinExpr') return [];
  return ['larg', 'rarg'].flatMap((side) => {
    const part = childOf(item, side);
    return part === null ? [] : rangesIn(part);
  });
}

const ONE_ROW = new Set(['count', 'sum', 'min', 'max', 'avg']);

/** A LIMIT on one row of totals, or on nothing that is read, asks for nothing large. */
export function returnsManyRows(select: Node): boolean {
  if (childOf(select, 'larg') !== null) return true;
  if (listOf(select, 'fromClause').length === 0) return false;
  if (listOf(select, 'groupClause').length > 0) return true;
  return !listOf(select, 'targetList').every((target) => {
    const value = childOf(target, 'val');
    if (value?.kind !== 'FuncCall' || childOf(value, 'over') !== null) return false;
    const [schema, name] = qualifiedName(namesOf(value, 'funcname'));
    return (schema === null || schema === 'pg_catalog') && ONE_ROW.has(name);
  });
}
