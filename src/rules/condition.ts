// A rule's `when`: CEL, compiled and checked as far as can be at load, because a condition with a typing slip in it is
// a rule that never fires. Says where in the expression a fault is; load.ts says where in the file.
import {
  type ASTNode,
  type Environment,
  EvaluationError,
  ParseError,
  TypeError as TypeFault,
} from '@marcbachmann/cel-js';
import { suggestion } from '../base/nearest.ts';
import { STATEMENT_CLASSES } from '../sql/facts.ts';
import { patternFault } from './pattern.ts';
import { contradictsItself, demandsOf } from './proof.ts';
import { conditionEnvironment, FIELDS, VARIABLES, type Variables } from './variables.ts';

export interface Fault {
  readonly message: string;
  /** Index into the expression. */
  readonly index: number;
}

export interface Condition {
  /** What it looks at, as it is written: `statement.classes`, `session.agent`; a variable alone where the whole of it is. */
  readonly looksAt: ReadonlySet<string>;
  /** Says false whatever the statement and session are. */
  readonly neverTrue: boolean;
  /** What must be true for it to be; equal texts are equal expressions. */
  readonly demands: ReadonlySet<string>;
  /** true or false; a string, saying why, when it cannot be told. */
  matches(variables: Variables): boolean | string;
}

/** Fields whose values are words of a closed list, so that a misspelt word is found at load. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  classes: STATEMENT_CLASSES,
  where: ['absent', 'none', 'constant', 'real'],
  use: ['read', 'insert', 'update', 'delete', 'define', 'lock'],
  how: ['set', 'reset', 'set_config'],
};

const FIELD_NAMES = [...new Set(Object.values(FIELDS).flatMap((fields) => Object.keys(fields)))];

let environment: Environment | undefined;

export function compileCondition(source: string): Condition | Fault[] {
  environment ??= conditionEnvironment();
  const checked = environment.check(source);
  if (!checked.valid) return [faultOf(checked.error)];
  if (checked.type !== 'bool') {
    return [{ message: `must be true or false, but is of type ${checked.type ?? 'unknown'}`, index: 0 }];
  }
  const run = environment.parse(source);
  const nodes = [...walk(run.ast)];
  const faults = nodes.flatMap((node) => [...misspeltWords(node), ...unsafePattern(node)]);
  if (faults.length > 0) return faults;

  const matches = (variables: Variables): boolean | string => {
    try {
      const answer: unknown = run(variables);
      return typeof answer === 'boolean' ? answer : 'its answer is neither true nor false';
    } catch (error) {
      return error instanceof EvaluationError ? error.summary : 'it failed';
    }
  };
  return {
    looksAt: new Set(paths(run.ast)),
    neverTrue: isNeverTrue(run.ast, environment) || contradictsItself(run.ast),
    demands: demandsOf(run.ast),
    matches,
  };
}

function faultOf(error: unknown): Fault {
  if (!(error instanceof ParseError || error instanceof TypeFault))
    return { message: 'is not valid CEL', index: 0 };
  const index = error.range?.start ?? 0;
  const word = /^(?:No such key|Unknown variable): (\w+)$/.exec(error.summary)?.[1] ?? '';
  if (error.code === 'no_such_key') return { message: `no field "${word}"${otherField(word)}`, index };
  if (error.code === 'unknown_variable') {
    if (word === 'impact')
      return { message: 'impact is not known to this version: a rule cannot depend on it', index };
    return { message: `no variable "${word}"${suggestion(word, Object.keys(VARIABLES))}`, index };
  }
  return { message: error.summary, index };
}

/** A field of that name elsewhere, or the nearest name there is. */
function otherField(word: string): string {
  const owners = Object.entries(VARIABLES).filter(([, type]) => Object.hasOwn(FIELDS[type], word));
  if (owners.length === 0) return suggestion(word, FIELD_NAMES);
  return ` here, did you mean ${owners.map(([variable]) => `${variable}.${word}`).join(' or ')}?`;
}

function isNode(value: unknown): value is ASTNode {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value;
}

function* walk(value: unknown): Generator<ASTNode> {
  if (Array.isArray(value)) {
    for (const item of value) yield* walk(item);
  } else if (isNode(value)) {
    yield value;
    yield* walk(value.args);
  }
}

function* paths(value: unknown): Generator<string> {
  if (Array.isArray(value)) {
    for (const item of value) yield* paths(item);
  } else if (isNode(value)) {
    if (value.op === 'id') {
      if (Object.hasOwn(VARIABLES, value.args)) yield value.args;
    } else if (value.op === '.' && value.args[0].op === 'id') {
      const [of, field] = value.args;
      if (Object.hasOwn(VARIABLES, of.args)) yield `${of.args}.${field}`;
    } else yield* paths(value.args);
  }
}

/** The words that `node` may be compared with, when it reads a field that has a closed list of them. */
function wordsOf(node: ASTNode): readonly string[] | undefined {
  if (node.op !== '.') return undefined;
  const [of, field] = node.args;
  // Claims are the issuer's own words.
  if ([...walk(of)].some((inner) => inner.op === '.' && inner.args[1] === 'claims')) return undefined;
  return Object.hasOwn(WORDS, field) ? WORDS[field] : undefined;
}

function misspeltWords(node: ASTNode): Fault[] {
  let words: readonly string[] | undefined;
  let literals: readonly ASTNode[] = [];
  if (node.op === 'in') {
    const [left, right] = node.args;
    if (right.op === 'list') [words, literals] = [wordsOf(left), right.args];
    else [words, literals] = [wordsOf(right), [left]];
  } else if (node.op === '==' || node.op === '!=') {
    const [left, right] = node.args;
    words = wordsOf(left) ?? wordsOf(right);
    literals = [left, right];
  }
  if (words === undefined) return [];
  const known = words;
  return literals.flatMap((literal) => {
    if (literal.op !== 'value' || typeof literal.args !== 'string' || known.includes(literal.args)) return [];
    const word = literal.args;
    const hint = suggestion(word, known) || ` (${known.join(', ')})`;
    return [{ message: `can never be "${word}"${hint}`, index: literal.start }];
  });
}

/** Patterns are checked at load, so they must be there at load. */
function unsafePattern(node: ASTNode): Fault[] {
  if (node.op !== 'rcall' || node.args[0] !== 'matches') return [];
  const pattern = node.args[2][0];
  if (pattern === undefined) return [];
  const index = pattern.start;
  if (pattern.op !== 'value' || typeof pattern.args !== 'string') {
    return [{ message: 'the pattern of matches() must be written out', index }];
  }
  const fault = patternFault(pattern.args);
  return fault === null ? [] : [{ message: `the pattern of matches() ${fault}`, index }];
}

/** Whether `node` is false by its constants alone. Not complete; never wrong. */
function isNeverTrue(node: ASTNode, env: Environment): boolean {
  if (node.op === '&&') return node.args.some((side) => isNeverTrue(side, env));
  if (node.op === '||') return node.args.every((side) => isNeverTrue(side, env));
  for (const inner of walk(node)) {
    if (inner.op === 'id' || inner.op === 'call' || inner.op === 'rcall') return false;
  }
  try {
    return env.evaluate(node.input.slice(node.start, node.end)) === false;
  } catch {
    return false;
  }
}
