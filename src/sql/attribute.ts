// `(x).f` may be the field f of a composite value, or the call f(x) in other words (manual, "Composite Type Usage").
// Which of the two, only the catalog knows; what cannot be a field, or would be harmful as a call, counts as a call.
import { BUILTIN_TYPES } from './builtins.ts';
import { isDangerous } from './functions.ts';
import { qualifiedName } from './query.ts';
import { childOf, listOf, type Node, namesOf, textOf } from './tree.ts';

/** Names that an A_Indirection or a ColumnRef may call as functions. */
export function calledByDot(node: Node): string[] {
  if (node.kind === 'ColumnRef') return namesOf(node, 'fields').slice(1).filter(isDangerous);
  const of = childOf(node, 'arg');
  const names = listOf(node, 'indirection').map((part) =>
    part.kind === 'String' ? (textOf(part, 'sval') ?? '') : null,
  );
  return names.filter((name, i): name is string => {
    if (name === null) return false;
    return isDangerous(name) || (i === 0 && of !== null && !mayHaveField(of, name));
  });
}

/** Every name behind a dot, whatever it may be. */
export function partsOf(node: Node): string[] {
  const names =
    node.kind === 'ColumnRef'
      ? namesOf(node, 'fields').slice(1)
      : listOf(node, 'indirection').map((part) =>
          part.kind === 'String' ? (textOf(part, 'sval') ?? '') : '*',
        );
  return names.filter((name) => name !== '*');
}

/** Expressions whose value is never composite, whatever is in them. */
const SCALARS: ReadonlySet<string> = new Set([
  'A_Const',
  'A_Expr',
  'A_ArrayExpr',
  'BoolExpr',
  'BooleanTest',
  'NullTest',
  'ParamRef',
  'SQLValueFunction',
]);

function mayHaveField(value: Node, field: string): boolean {
  if (SCALARS.has(value.kind)) return false;
  switch (value.kind) {
    case 'RowExpr':
      return /^f\d+$/.test(field);
    case 'TypeCast': {
      const type = childOf(value, 'typeName');
      if (type === null) return true;
      if (listOf(type, 'arrayBounds').length > 0) return false;
      const [schema, name] = qualifiedName(namesOf(type, 'names'));
      return !((schema === null || schema === 'pg_catalog') && BUILTIN_TYPES.has(name));
    }
    case 'SubLink': {
      if (textOf(value, 'subLinkType') !== 'EXPR_SUBLINK') return false;
      const query = childOf(value, 'subselect');
      const [target] = query === null ? [] : listOf(query, 'targetList');
      const selected = target === undefined ? null : childOf(target, 'val');
      return selected === null || mayHaveField(selected, field);
    }
    default:
      return true;
  }
}
