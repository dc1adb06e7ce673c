// What can be proved of a condition from how it is written: that it contradicts itself, and what it demands at least. Never
// wrong and far from complete: a warning that is not true teaches people to read none.
import type { ASTNode } from '@marcbachmann/cel-js';
import { FIELDS, VARIABLES } from './variables.ts';

/** Everything that must be true for `node` to be: the sides of its &&, each as a text that is equal for equal expressions. */
export function demandsOf(node: ASTNode): ReadonlySet<string> {
  return new Set(
    sides(node)
      .map(canonical)
      .filter((demand) => demand !== TRUE),
  );
}

/** Whether its demands exclude each other. Only where none of them can fail: what fails counts as matched. */
export function contradictsItself(node: ASTNode): boolean {
  const parts = sides(node);
  if (parts.length < 2 || !parts.every(cannotFail)) return false;
  const demands = new Set(parts.map(canonical));
  if (parts.some((part) => part.op === '!_' && demands.has(canonical(part.args)))) return true;
  const values = new Map<string, string>();
  for (const part of parts) {
    if (part.op !== '==') continue;
    const [left, right] = part.args;
    const [read, value] = right.op === 'value' ? [left, right] : [right, left];
    if (value.op !== 'value' || read.op === 'value') continue;
    const [field, wanted] = [canonical(read), canonical(value)];
    if (values.has(field) && values.get(field) !== wanted) return true;
    values.set(field, wanted);
  }
  return false;
}

function sides(node: ASTNode): readonly ASTNode[] {
  return node.op === '&&' ? node.args.flatMap(sides) : [node];
}

const TRUE = '(value true)';

function canonical(node: unknown): string {
  if (Array.isArray(node)) return `[${node.map(canonical).join(' ')}]`;
  if (typeof node === 'object' && node !== null && 'op' in node && 'args' in node)
    return `(${String(node.op)} ${canonical(node.args)})`;
  return typeof node === 'bigint' ? `${node}n` : (JSON.stringify(node) ?? String(node));
}

const SAFE = new Set(['==', '!=', 'in', '&&', '||', '!_', '<', '<=', '>', '>=', 'list']);

/** Its evaluation always has an answer: fields that every statement and session has, compared. */
function cannotFail(node: ASTNode): boolean {
  if (node.op === 'value') return true;
  if (node.op === '.') {
    const [of, field] = node.args;
    if (of.op !== 'id' || !Object.hasOwn(VARIABLES, of.args)) return false;
    const fields: Readonly<Record<string, string>> = FIELDS[VARIABLES[of.args as keyof typeof VARIABLES]];
    return Object.hasOwn(fields, field);
  }
  const args: unknown = node.args;
  if (!SAFE.has(node.op)) return false;
  return (Array.isArray(args) ? args : [args]).every((arg: ASTNode) => cannotFail(arg));
}
