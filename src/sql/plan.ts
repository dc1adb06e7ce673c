// Reads the answer of EXPLAIN (FORMAT JSON, VERBOSE) of PostgreSQL 13 to 18: rows that each ModifyTable writes, each scan
// gives, aggregates gather and the client gets. An estimate per node; what has not the shape expected is unknown.
import { gathers } from './functions.ts';
import type { Rows, RowsRead, RowsWritten, UnknownRows } from './impact.ts';

const SCANS_SHOWN = 5;
const WRITES_SHOWN = 20;

type PlanNode = Readonly<Record<string, unknown>>;

const KINDS: Readonly<Record<string, RowsWritten['kind']>> = {
  Insert: 'insert',
  Update: 'update',
  Delete: 'delete',
  Merge: 'merge',
};

/** `answer`: the value of the one column of the one row. `generic`: it was planned without the parameters' values. */
export function rowsOfPlan(answer: unknown, generic: boolean): Rows | UnknownRows {
  try {
    if (!Array.isArray(answer) || answer.length === 0) throw new Shape('the plan is not a list');
    const reading = new Reading();
    let returns = 0;
    // A rewrite rule may make several plans of one statement.
    for (const entry of answer as unknown[]) {
      const plan = isNode(entry) ? entry['Plan'] : undefined;
      if (!isNode(plan)) throw new Shape('the server plans nothing for this statement');
      const written = reading.node(plan, 1);
      returns += written === null ? rowsOf(plan) : returnsRows(plan) ? written : 0;
    }
    return {
      known: true,
      writes: reading.writes.slice(0, WRITES_SHOWN),
      scans: reading.scans.sort((a, b) => b.rows - a.rows).slice(0, SCANS_SHOWN),
      returns,
      gathers: reading.gathered,
      generic,
    };
  } catch (error) {
    if (error instanceof Shape) return { known: false, why: error.message };
    throw error;
  }
}

class Shape extends Error {}

const isNode = (value: unknown): value is PlanNode =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

class Reading {
  readonly writes: RowsWritten[] = [];
  readonly scans: RowsRead[] = [];
  gathered = 0;

  /** `factor`: how many times the rows that the node states, where it states those of one parallel worker. */
  node(node: PlanNode, factor: number): number | null {
    const type = textOf(node, 'Node Type');
    const children = childrenOf(node);
    const below = type === 'Gather' || type === 'Gather Merge' ? factor * divisor(node) : factor;
    for (const child of children) this.node(child, below);
    if (type === 'ModifyTable') return this.#write(node, children, factor);
    const relation = relationOf(node);
    if (relation !== null && type.endsWith('Scan')) {
      this.scans.push({ relation, scan: type, rows: Math.round(rowsOf(node) * factor) });
    }
    // The final step of an aggregate in parallel takes in what its partial steps have gathered.
    if (node['Partial Mode'] !== 'Finalize' && gathersRows(node)) {
      const inputs = children.filter(isInput).map((child) => Math.round(rowsOf(child) * below));
      this.gathered += inputs.reduce((sum, rows) => sum + rows, 0);
    }
    return null;
  }

  #write(node: PlanNode, children: readonly PlanNode[], factor: number): number {
    const kind = KINDS[textOf(node, 'Operation')];
    if (kind === undefined) throw new Shape(`the plan has an operation that is not known here`);
    // What it states itself are the rows that it returns. Up to PostgreSQL 13 each partition had an input of its own.
    const inputs = children.filter(isInput);
    if (inputs.length === 0) throw new Shape('the plan does not say what it writes');
    const rows = inputs.reduce((sum, child) => sum + Math.round(rowsOf(child) * factor), 0);
    this.writes.push({ kind, relation: relationOf(node) ?? '', rows });
    return rows;
  }
}

/** Its rows come in through these; InitPlan and SubPlan stand beside. */
function isInput(child: PlanNode): boolean {
  return child['Parent Relationship'] === 'Outer' || child['Parent Relationship'] === 'Member';
}

function childrenOf(node: PlanNode): PlanNode[] {
  const plans = node['Plans'];
  return Array.isArray(plans) ? (plans as unknown[]).filter(isNode) : [];
}

function textOf(node: PlanNode, name: string): string {
  const value = node[name];
  return typeof value === 'string' ? value : '';
}

function rowsOf(node: PlanNode): number {
  const rows = node['Plan Rows'];
  if (typeof rows !== 'number' || !(rows >= 0)) throw new Shape('the plan states no number of rows');
  return Math.min(rows, Number.MAX_SAFE_INTEGER);
}

function relationOf(node: PlanNode): string | null {
  const name = textOf(node, 'Relation Name');
  if (name === '') return null;
  const schema = textOf(node, 'Schema');
  return schema === '' ? name : `${schema}.${name}`;
}

function returnsRows(node: PlanNode): boolean {
  const output = node['Output'];
  return Array.isArray(output) && output.length > 0;
}

/** As get_parallel_divisor does it: the leader helps less the more workers there are. */
function divisor(gather: PlanNode): number {
  const planned = gather['Workers Planned'];
  const workers = typeof planned === 'number' ? planned : 0;
  return workers + Math.max(0, 1 - 0.3 * workers);
}

function gathersRows(node: PlanNode): boolean {
  const type = textOf(node, 'Node Type');
  const output = node['Output'];
  if ((type !== 'Aggregate' && type !== 'WindowAgg') || !Array.isArray(output)) return false;
  return (output as unknown[]).some(
    (expression) =>
      typeof expression === 'string' &&
      [...expression.matchAll(/\b([a-z_]+)\(/gi)].some(([, name = '']) => gathers(name.toLowerCase())),
  );
}
