// The logic of a condition: what AND, OR and NOT make of its comparisons, and comparisons that hold of every row.
// restriction.ts asks it which rows a comparison limits.
import { childOf, constantOf, keyOf, listOf, type Node, namesOf, textOf } from './tree.ts';

/** AND: one part is enough. OR: every part has to. NOT turns that around. */
export function holds(node: Node, leaf: (node: Node) => boolean, positive = true): boolean {
  if (node.kind === 'BoolExpr') {
    const parts = listOf(node, 'args');
    const kind = textOf(node, 'boolop');
    if (kind === 'NOT_EXPR') return parts.every((part) => holds(part, leaf, !positive));
    const and = (kind === 'AND_EXPR') === positive;
    if (!and && coversAll(parts)) return false;
    return and
      ? parts.some((part) => holds(part, leaf, positive))
      : parts.every((part) => holds(part, leaf, positive));
  }
  if (node.kind === 'TypeCast') {
    const inner = childOf(node, 'arg');
    return inner !== null && holds(inner, leaf, positive);
  }
  if (node.kind === 'BooleanTest') {
    const inner = childOf(node, 'arg');
    return inner !== null && textOf(node, 'booltesttype') === 'IS_TRUE' && holds(inner, leaf, positive);
  }
  // CASE or COALESCE as a whole condition may say anything: COALESCE(true, id = 1).
  if (node.kind === 'CaseExpr') return false;
  if (node.kind === 'CoalesceExpr') return listOf(node, 'args')[0]?.kind === 'ColumnRef' && leaf(node);
  return leaf(node);
}

const OPPOSITES: Readonly<Record<string, string>> = { '<>': '=', '!=': '=', '>=': '<', '>': '<=' };

/** `a OR NOT a`, `id = 5 OR id <> 5`, `id IS NULL OR id IS NOT NULL`. */
function coversAll(parts: readonly Node[]): boolean {
  const seen = new Map<string, boolean>();
  for (const part of parts) {
    const [key, positive] = polarityOf(part);
    const before = seen.get(key);
    if (before !== undefined && before !== positive) return true;
    seen.set(key, positive);
  }
  return false;
}

function polarityOf(node: Node): [key: string, positive: boolean] {
  if (node.kind === 'BoolExpr' && textOf(node, 'boolop') === 'NOT_EXPR') {
    const inner = listOf(node, 'args')[0];
    if (inner !== undefined) {
      const [key, positive] = polarityOf(inner);
      return [key, !positive];
    }
  }
  if (node.kind === 'NullTest') {
    return [`null ${keyOf(childOf(node, 'arg'))}`, textOf(node, 'nulltesttype') === 'IS_NULL'];
  }
  if (node.kind === 'A_Expr') {
    const operator = namesOf(node, 'name').at(-1) ?? '';
    const opposite = Object.hasOwn(OPPOSITES, operator) ? OPPOSITES[operator] : undefined;
    const sides = `${keyOf(childOf(node, 'lexpr'))} ${keyOf(childOf(node, 'rexpr'))}`;
    return [`${opposite ?? operator} ${textOf(node, 'kind')} ${sides}`, opposite === undefined];
  }
  return [keyOf(node), true];
}

const REFLEXIVE = new Set(['=', '>=', '<=', '~~', '~~*', '~', '~*', '@>', '<@', '&&']);
/** Never null, so IS NOT NULL says nothing of them. */
const SYSTEM_COLUMNS = new Set(['ctid', 'tableoid', 'xmin', 'xmax', 'cmin', 'cmax']);

/** Comparisons that hold of every row, as people and attackers write them. */
export function alwaysTrue(leaf: Node): boolean {
  if (leaf.kind === 'NullTest' && textOf(leaf, 'nulltesttype') === 'IS_NOT_NULL') {
    const column = childOf(leaf, 'arg');
    return column?.kind === 'ColumnRef' && SYSTEM_COLUMNS.has(namesOf(column, 'fields').at(-1) ?? '');
  }
  if (leaf.kind !== 'A_Expr') return false;
  const left = childOf(leaf, 'lexpr');
  const right = childOf(leaf, 'rexpr');
  if (left === null || right === null) return false;
  const same = keyOf(left);
  const operator = namesOf(leaf, 'name').at(-1) ?? '';
  const kind = textOf(leaf, 'kind') ?? '';
  if (kind === 'AEXPR_LIKE' || kind === 'AEXPR_ILIKE') {
    if (/^%+$/.test(constantOf(right) ?? '')) return true;
  }
  if (kind === 'AEXPR_NOT_DISTINCT' || kind === 'AEXPR_LIKE' || kind === 'AEXPR_ILIKE')
    return same === keyOf(right);
  if (kind === 'AEXPR_IN' || kind.startsWith('AEXPR_BETWEEN') || kind === 'AEXPR_OP_ANY') {
    const list =
      right.kind === 'List'
        ? listOf(right, 'items')
        : right.kind === 'A_ArrayExpr'
          ? listOf(right, 'elements')
          : [];
    return list.some((item) => keyOf(item) === same);
  }
  return kind === 'AEXPR_OP' && REFLEXIVE.has(operator) && same === keyOf(right);
}

/** Whether what restriction.ts says could differ for the same text with other constants. Cautious: only `a = 1 AND b = $1` not. */
export function dependsOnConstants(condition: Node): boolean {
  if (condition.kind === 'CurrentOfExpr') return false;
  if (condition.kind === 'BoolExpr' && textOf(condition, 'boolop') === 'AND_EXPR') {
    return listOf(condition, 'args').some(dependsOnConstants);
  }
  const kind = textOf(condition, 'kind');
  if (condition.kind !== 'A_Expr' || (kind !== 'AEXPR_OP' && kind !== 'AEXPR_IN')) return true;
  const left = childOf(condition, 'lexpr');
  const right = childOf(condition, 'rexpr');
  if (left?.kind !== 'ColumnRef' || right === null) return true;
  return right.kind === 'List' ? !listOf(right, 'items').every(isValue) : !isValue(right);
}

function isValue(node: Node): boolean {
  if (node.kind !== 'TypeCast') return node.kind === 'A_Const' || node.kind === 'ParamRef';
  const inner = childOf(node, 'arg');
  return inner !== null && isValue(inner);
}
