// Which operators an expression uses, by their symbols: those that are written, and those that the server puts in for
// IN, BETWEEN, CASE, USING and the like. Somebody may have defined one of the same name that runs code.
import { qualifiedName } from './query.ts';
import { childOf, isSet, listOf, type Node, namesOf, textOf } from './tree.ts';

type Symbol = readonly [schema: string | null, name: string];

const EQUALS: Symbol = [null, '='];
const ORDER: readonly Symbol[] = [
  [null, '<'],
  [null, '<='],
  [null, '>'],
  [null, '>='],
];

export function operatorsOf(node: Node): readonly Symbol[] {
  switch (node.kind) {
    case 'A_Expr':
      // Its name is the keyword.
      if (/BETWEEN/.test(textOf(node, 'kind') ?? '')) return ORDER;
      return [qualifiedName(namesOf(node, 'name'))];
    case 'SubLink': {
      const written = namesOf(node, 'operName');
      if (written.length > 0) return [qualifiedName(written)];
      return childOf(node, 'testexpr') === null ? [] : [EQUALS];
    }
    case 'CaseExpr':
      return childOf(node, 'arg') === null ? [] : [EQUALS];
    case 'JoinExpr':
      return isSet(node, 'isNatural') || listOf(node, 'usingClause').length > 0 ? [EQUALS] : [];
    case 'SortBy': {
      const written = namesOf(node, 'useOp');
      return written.length > 0 ? [qualifiedName(written)] : [];
    }
    default:
      return [];
  }
}
