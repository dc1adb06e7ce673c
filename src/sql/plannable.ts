// What the server may be asked to plan, and what it would run in doing so. Planning evaluates functions that claim to be
// steady, so every name that may stand for one is listed: gate/impact-catalog.ts asks whether any of them is a user's own.
import { runsInPlanning } from './functions.ts';
import { mayBeOn } from './nodes.ts';
import { parse } from './parse.ts';
import { childOf, eachChild, isSet, keyOf, listOf, type Node, namesOf, nodeOf, textOf } from './tree.ts';

export interface Plannable {
  /** One SELECT, INSERT, UPDATE, DELETE or MERGE, in the very words of the statement. */
  readonly text: string;
  readonly functions: readonly string[];
  /** Names behind a dot or alone, which may be a column's or, of a composite value, a function's. */
  readonly columns: readonly string[];
  readonly operators: readonly string[];
  readonly types: readonly string[];
  /** Highest $n in it. */
  readonly parameters: number;
}

/** A statement that has a plan, and may not be planned. */
export interface NotPlannable {
  readonly why: string;
}

const PLANNED: ReadonlySet<string> = new Set([
  'SelectStmt',
  'InsertStmt',
  'UpdateStmt',
  'DeleteStmt',
  'MergeStmt',
]);

/** null: it has no plan. */
export function plannableOf(statement: Node, text: string): Plannable | NotPlannable | null {
  const planned = plannedIn(statement);
  if (planned === null) return writesUnplanned(statement);
  const own = planned === statement ? text : textWithin(text, planned);
  if (own === null) return { why: 'the query in it could not be taken out of its text' };
  const names = new Names();
  names.visit(planned);
  const runs = [...names.functions].find(runsInPlanning);
  if (runs !== undefined) return { why: `planning it would run ${runs}` };
  const { functions, columns, operators, types, parameters } = names;
  return {
    text: own,
    functions: [...functions],
    columns: [...columns],
    operators: [...operators],
    types: [...types],
    parameters,
  };
}

/** What moves rows without a plan that could be seen beforehand: how many is unknown, not none. */
function writesUnplanned(statement: Node): NotPlannable | null {
  switch (statement.kind) {
    case 'DoStmt':
    case 'CallStmt':
      return { why: 'what it runs is planned only while it runs' };
    case 'CopyStmt':
      return {
        why: isSet(statement, 'is_from')
          ? 'they come from whoever sends them'
          : 'it is a copy of the whole relation',
      };
    default:
      return null;
  }
}

/** The query that the statement runs or keeps. */
function plannedIn(statement: Node): Node | null {
  if (PLANNED.has(statement.kind)) return statement;
  switch (statement.kind) {
    case 'ExplainStmt':
      if (!mayBeOn(statement, 'options', 'analyze')) return null;
      break;
    case 'PrepareStmt':
    case 'DeclareCursorStmt':
    case 'CopyStmt':
    case 'CreateTableAsStmt':
      break;
    default:
      return null;
  }
  const query = childOf(statement, 'query');
  return query === null ? null : plannedIn(query);
}

const BEGINNING = /\b(?:select|with|insert|update|delete|merge|values|table)\b|\(/gi;
/** A twentieth of a second for the longest text that comes here. */
const PARSES_MAX = 24;

/** A part of `text` that says `query` and nothing else: proved by reading it again. */
function textWithin(text: string, query: Node): string | null {
  const key = keyOf(query);
  const ends = [text.length];
  for (let at = text.lastIndexOf(')'); at > 0 && ends.length < 8; at = text.lastIndexOf(')', at - 1)) {
    ends.push(at);
  }
  let parses = 0;
  for (const { index } of text.matchAll(BEGINNING)) {
    for (const end of ends) {
      if (end <= index) continue;
      if (++parses > PARSES_MAX) return null;
      const part = text.slice(index, end);
      if (onlyStatementOf(part, key)) return part;
    }
  }
  return null;
}

function onlyStatementOf(text: string, key: string): boolean {
  const parsed = parse(text);
  if (!parsed.ok || parsed.statements.length !== 1) return false;
  return keyOf(nodeOf(parsed.statements[0]?.tree)) === key;
}

/** Whether the server reads `text` as EXPLAIN of exactly what `planned` says. Asked of every text before it is sent. */
export function explainsOnly(text: string, planned: string): boolean {
  const [whole, part] = [parse(text), parse(planned)];
  if (!whole.ok || !part.ok || whole.statements.length !== 1 || part.statements.length !== 1) return false;
  const explain = nodeOf(whole.statements[0]?.tree);
  const query = explain.kind === 'ExplainStmt' ? childOf(explain, 'query') : null;
  if (query === null || mayBeOn(explain, 'options', 'analyze')) return false;
  return PLANNED.has(query.kind) && keyOf(query) === keyOf(nodeOf(part.statements[0]?.tree));
}

/** The same of PREPARE, which plans nothing yet. */
export function preparesOnly(text: string, planned: string): boolean {
  const [whole, part] = [parse(text), parse(planned)];
  if (!whole.ok || !part.ok || whole.statements.length !== 1 || part.statements.length !== 1) return false;
  const prepare = nodeOf(whole.statements[0]?.tree);
  const query = prepare.kind === 'PrepareStmt' ? childOf(prepare, 'query') : null;
  return (
    query !== null && PLANNED.has(query.kind) && keyOf(query) === keyOf(nodeOf(part.statements[0]?.tree))
  );
}

/** Stand for operators that the text does not show: BETWEEN, IN, CASE, USING, DISTINCT and others compare. */
const COMPARISONS = ['=', '<>', '<', '<=', '>', '>='];

class Names {
  readonly functions = new Set<string>();
  readonly columns = new Set<string>();
  readonly operators = new Set<string>(COMPARISONS);
  readonly types = new Set<string>();
  parameters = 0;

  readonly visit = (node: Node): void => {
    switch (node.kind) {
      case 'FuncCall':
        this.#last(this.functions, namesOf(node, 'funcname'));
        break;
      case 'RangeTableSample':
        this.#last(this.functions, namesOf(node, 'method'));
        break;
      case 'A_Expr':
        this.#last(this.operators, namesOf(node, 'name'));
        break;
      case 'SubLink':
        this.#last(this.operators, namesOf(node, 'operName'));
        break;
      case 'SortBy':
        this.#last(this.operators, namesOf(node, 'useOp'));
        break;
      case 'TypeName':
        this.#last(this.types, namesOf(node, 'names'));
        break;
      case 'ColumnRef':
        for (const name of namesOf(node, 'fields')) this.columns.add(name);
        break;
      case 'A_Indirection':
        for (const part of listOf(node, 'indirection')) {
          if (part.kind === 'String') this.columns.add(textOf(part, 'sval') ?? '');
        }
        break;
      case 'ParamRef':
        this.parameters = Math.max(this.parameters, Number(node.fields['number'] ?? 0));
        break;
      default:
    }
    eachChild(node, this.visit);
  };

  #last(set: Set<string>, names: readonly string[]): void {
    const name = names.at(-1);
    if (name !== undefined) set.add(name);
  }
}
