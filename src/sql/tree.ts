// The parse tree as values: a node is its kind and its fields. Every field of every node is reachable by `eachChild`,
// and what has not the shape that grammar.ts says is an error, never skipped.
import { NODE_KINDS, TYPED_FIELDS } from './grammar.ts';

export type Fields = Readonly<Record<string, unknown>>;

export interface Node {
  readonly kind: string;
  readonly fields: Fields;
}

/** The grammar gave us something that our tables do not know: the statement is Unknown. */
export class UnknownNode extends Error {}

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** `{ Kind: fields }` to a node. */
export function nodeOf(value: unknown): Node {
  if (!isFields(value)) throw new UnknownNode('something that is not a node');
  const kinds = Object.keys(value);
  const kind = kinds[0];
  if (kinds.length !== 1 || kind === undefined || !NODE_KINDS.has(kind)) {
    throw new UnknownNode(`node ${kinds.join(', ').slice(0, 80)} is not in the table`);
  }
  const fields = value[kind];
  if (!isFields(fields)) throw new UnknownNode(`node ${kind} has no fields`);
  return { kind, fields };
}

/** The node in a field of its own, or null. */
export function childOf(node: Node, field: string): Node | null {
  const value = node.fields[field];
  if (value === undefined || value === null) return null;
  const kind = TYPED_FIELDS[node.kind]?.[field];
  if (kind === undefined) return nodeOf(value);
  if (!isFields(value)) throw new UnknownNode(`${node.kind}.${field} is not a node`);
  return { kind, fields: value };
}

/** The nodes of a list field; `{}` stands for a null in the list and is left out. */
export function listOf(node: Node, field: string): Node[] {
  const value = node.fields[field];
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new UnknownNode(`${node.kind}.${field} is not a list`);
  const nodes: Node[] = [];
  for (const item of value as unknown[]) if (!isEmpty(item)) nodes.push(nodeOf(item));
  return nodes;
}

const isEmpty = (value: unknown): boolean => isFields(value) && Object.keys(value).length === 0;

export function textOf(node: Node, field: string): string | null {
  const value = node.fields[field];
  return typeof value === 'string' ? value : null;
}

export const isSet = (node: Node, field: string): boolean => node.fields[field] === true;

/** Strings of a list such as a qualified name; a `*` becomes `*`. */
export function namesOf(node: Node, field: string): string[] {
  return listOf(node, field).map((part) => (part.kind === 'String' ? (textOf(part, 'sval') ?? '') : '*'));
}

/** Every node directly under this one, with the field that it stands in. */
export function eachChild(node: Node, visit: (child: Node, field: string) => void): void {
  const typed = TYPED_FIELDS[node.kind];
  for (const field of Object.keys(node.fields)) {
    const value = node.fields[field];
    if (typeof value !== 'object' || value === null) continue;
    const kind = typed?.[field];
    if (Array.isArray(value)) {
      for (const item of value as unknown[]) {
        // bigint lists of a few analysed nodes aside, lists hold nodes.
        if (typeof item === 'object' && item !== null && !isEmpty(item)) visit(nodeOf(item), field);
      }
    } else if (kind !== undefined) visit({ kind, fields: value as Fields }, field);
    else if (!isEmpty(value)) visit(nodeOf(value), field);
  }
}

/** The constant in an A_Const as text, null for NULL, undefined where the node is not a constant. */
export function constantOf(node: Node): string | null | undefined {
  if (node.kind !== 'A_Const') return undefined;
  if (isSet(node, 'isnull')) return null;
  const { ival, fval, boolval, sval, bsval } = node.fields as Record<string, Fields | undefined>;
  if (ival !== undefined) return String(ival['ival'] ?? 0);
  if (boolval !== undefined) return String(boolval['boolval'] ?? false);
  const text = fval?.['fval'] ?? sval?.['sval'] ?? bsval?.['bsval'];
  return typeof text === 'string' ? text : sval === undefined ? undefined : '';
}

const POSITIONS = new Set(['location', 'list_start', 'list_end', 'rexpr_list_start', 'rexpr_list_end']);

/** Two subtrees with the same meaning in the same place have the same key. */
export function keyOf(node: Node | null): string {
  return JSON.stringify(node, (field, value: unknown) => (POSITIONS.has(field) ? undefined : value));
}
