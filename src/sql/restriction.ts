// Does a condition limit the rows that it is asked about? As far as text alone can tell: a condition that names no
// column of them, or compares a column with itself, limits nothing. How many rows remain is for the plan to say.
// Written against someone who wants to look harmless: whatever is not plainly a limit is none.
import { CATALOG_RELATIONS } from './builtins.ts';
import { alwaysTrue, holds } from './condition.ts';
import type { Facts } from './facts.ts';
import { childOf, constantOf, eachChild, isSet, listOf, type Node, namesOf, textOf } from './tree.ts';

/** More rows than this in one statement are an export (rules/default.yaml says the same of LIMIT). */
const FEW_ROWS = 10_000;

/** The names of WITH queries that can be seen from here, innermost first. */
export interface Ctes {
  readonly name: string;
  readonly query: Node | null;
  readonly outer: Ctes | null;
  /** From where the query itself looks: itself when WITH RECURSIVE. */
  readonly seenFrom: Ctes | null;
}

export function cteNamed(ctes: Ctes | null, name: string): Ctes | null {
  for (let at = ctes; at !== null; at = at.outer) if (at.name === name) return at;
  return null;
}

/** The WITH of a statement added to what it can see. Each query sees those before it; with RECURSIVE, all of them. */
export function withCtes(statement: Node, outer: Ctes | null): Ctes | null {
  const clause = childOf(statement, 'withClause');
  if (clause === null) return outer;
  let all = outer;
  const added: { seenFrom: Ctes | null }[] = [];
  for (const cte of listOf(clause, 'ctes')) {
    const entry = {
      name: textOf(cte, 'ctename') ?? '',
      query: childOf(cte, 'ctequery'),
      outer: all,
      seenFrom: all,
    };
    added.push(entry);
    all = entry;
  }
  // A query that reads itself is found again, which `#asked` below ends.
  if (isSet(clause, 'recursive')) for (const entry of added) entry.seenFrom = all;
  return all;
}

/** What a condition is asked about. */
interface Scope {
  /** Alias or name → whether few rows come from it whatever the condition says. */
  readonly sources: ReadonlyMap<string, boolean>;
  /** Names of the statement around: comparing with those is a join, which limits nothing by itself. */
  readonly joined: ReadonlySet<string>;
  readonly ctes: Ctes | null;
}

/** A name that no alias can have: the grammar makes none empty. */
const UNQUALIFIED = '';
const NOTHING: ReadonlySet<string> = new Set();

function aliasOf(item: Node): string | null {
  const alias = childOf(item, 'alias');
  return (alias && textOf(alias, 'aliasname')) ?? (item.kind === 'RangeVar' ? textOf(item, 'relname') : null);
}

export function isCatalog(schema: string | null, name: string): boolean {
  if (schema === 'pg_catalog' || schema === 'information_schema') return true;
  return schema === null && CATALOG_RELATIONS.has(name);
}

class Asking {
  /** WITH queries being looked at, so that one that reads itself ends. */
  readonly #asked = new Set<Node>();

  sourcesOf(
    items: readonly Node[],
    ctes: Ctes | null,
  ): { sources: Map<string, boolean>; conditions: Node[] } {
    const sources = new Map<string, boolean>();
    const conditions: Node[] = [];
    const add = (item: Node): void => {
      if (item.kind === 'JoinExpr') {
        for (const side of ['larg', 'rarg']) {
          const part = childOf(item, side);
          if (part !== null) add(part);
        }
        const quals = childOf(item, 'quals');
        if (quals !== null && textOf(item, 'jointype') === 'JOIN_INNER') conditions.push(quals);
        return;
      }
      sources.set(aliasOf(item) ?? `?${sources.size}`, this.isSmall(item, ctes));
    };
    for (const item of items) add(item);
    return { sources, conditions };
  }

  /** Few rows, or none of a user's: a constant list, a function, a catalog, a query that is limited itself. */
  isSmall(item: Node, ctes: Ctes | null): boolean {
    switch (item.kind) {
      case 'RangeVar': {
        const schema = textOf(item, 'schemaname');
        const name = textOf(item, 'relname') ?? '';
        const cte = schema === null ? cteNamed(ctes, name) : null;
        if (cte?.query) return this.isLimited(cte.query, cte.seenFrom, NOTHING);
        return isCatalog(schema, name) && name !== 'pg_largeobject';
      }
      case 'RangeSubselect': {
        const query = childOf(item, 'subquery');
        return query !== null && this.isLimited(query, ctes, NOTHING);
      }
      case 'RangeFunction':
      case 'RangeTableFunc':
      case 'JsonTable':
        return true;
      default:
        return false;
    }
  }

  /** Whether a query gives few rows, or limits those that it reads. */
  isLimited(query: Node, outerCtes: Ctes | null, joined: ReadonlySet<string>): boolean {
    if (this.#asked.has(query)) return true;
    this.#asked.add(query);
    try {
      const ctes = withCtes(query, outerCtes);
      if (query.kind === 'UpdateStmt' || query.kind === 'DeleteStmt')
        return this.whereOf(query, ctes) === 'real';
      if (query.kind === 'InsertStmt') {
        const rows = childOf(query, 'selectStmt');
        return rows === null || this.isLimited(rows, ctes, NOTHING);
      }
      if (query.kind !== 'SelectStmt') return false;
      const limit = limitOf(query);
      if (limit !== null && limit <= FEW_ROWS) return true;
      const left = childOf(query, 'larg');
      const right = childOf(query, 'rarg');
      if (left !== null && right !== null) {
        return this.isLimited(left, ctes, joined) && this.isLimited(right, ctes, joined);
      }
      const { sources, conditions } = this.sourcesOf(listOf(query, 'fromClause'), ctes);
      if ([...sources.values()].every(Boolean)) return true;
      const where = childOf(query, 'whereClause');
      if (where !== null) conditions.push(where);
      const scope = { sources, joined, ctes };
      return conditions.some((condition) => holds(condition, (leaf) => this.#limits(leaf, scope) !== null));
    } finally {
      this.#asked.delete(query);
    }
  }

  /** For UPDATE, DELETE and MERGE. `ctes` includes the statement's own. */
  whereOf(statement: Node, ctes: Ctes | null): Facts['where'] {
    const relation = childOf(statement, 'relation');
    const target = relation === null ? UNQUALIFIED : (aliasOf(relation) ?? UNQUALIFIED);
    if (statement.kind === 'MergeStmt') return this.#mergeWhere(statement, target, ctes);
    const condition = childOf(statement, 'whereClause');
    if (condition === null) return 'none';
    if (condition.kind === 'CurrentOfExpr') return 'real';
    const others = listOf(statement, statement.kind === 'UpdateStmt' ? 'fromClause' : 'usingClause');
    return this.#limitsTarget(condition, target, others, ctes) ? 'real' : 'constant';
  }

  #limitsTarget(condition: Node, target: string, others: readonly Node[], ctes: Ctes | null): boolean {
    const { sources, conditions } = this.sourcesOf(others, ctes);
    const small = [...sources.values()].every(Boolean);
    sources.set(target, false);
    const scope: Scope = { sources, joined: NOTHING, ctes };
    if (holds(condition, (leaf) => this.#limits(leaf, scope) === target)) return true;
    // Otherwise it has to be tied to other rows, and those have to be few or limited.
    const tied = holds(condition, (leaf) => this.#ties(leaf, target, scope));
    if (!tied || others.length === 0) return false;
    return (
      small ||
      [condition, ...conditions].some((one) => holds(one, (leaf) => this.#limits(leaf, scope) !== null))
    );
  }

  #mergeWhere(statement: Node, target: string, ctes: Ctes | null): Facts['where'] {
    const source = childOf(statement, 'sourceRelation');
    const on = childOf(statement, 'joinCondition');
    let weakest: Facts['where'] = 'absent';
    for (const clause of listOf(statement, 'mergeWhenClauses')) {
      const command = textOf(clause, 'commandType');
      if (command !== 'CMD_UPDATE' && command !== 'CMD_DELETE') continue;
      const and = childOf(clause, 'condition');
      const scope: Scope = { sources: new Map([[target, false]]), joined: NOTHING, ctes };
      let limited =
        and !== null && holds(and, (leaf) => this.#limits(leaf, scope) === target && qualified(leaf));
      if (!limited && textOf(clause, 'matchKind') !== 'MERGE_WHEN_NOT_MATCHED_BY_SOURCE') {
        limited = source !== null && on !== null && this.#limitsTarget(on, target, [source], ctes);
      }
      if (!limited) weakest = 'none';
      else if (weakest === 'absent') weakest = 'real';
    }
    return weakest;
  }

  /** The one source whose rows this comparison limits, or null. */
  #limits(leaf: Node, scope: Scope): string | null {
    if (alwaysTrue(leaf)) return null;
    const columns = columnsOf(leaf);
    let limited: string | null = null;
    for (const qualifier of columns.qualifiers) {
      const only = scope.sources.size === 1 ? ([...scope.sources.keys()][0] ?? null) : null;
      const source = qualifier === UNQUALIFIED ? (only ?? UNQUALIFIED) : qualifier;
      if (scope.joined.has(source) && !scope.sources.has(source)) return null;
      if (source !== UNQUALIFIED && !scope.sources.has(source)) continue;
      if (limited !== null && limited !== source) return null;
      limited = source;
    }
    for (const sublink of columns.sublinks) {
      if (!this.#sublinkLimits(sublink, scope)) return null;
      // EXISTS (… WHERE o.user_id = users.id AND o.id = 5): tied inside.
      if (limited === null) {
        const inside = deepQualifiers(sublink);
        for (const source of scope.sources.keys()) if (inside.has(source)) limited = source;
      }
    }
    return limited;
  }

  #sublinkLimits(sublink: Node, scope: Scope): boolean {
    const type = textOf(sublink, 'subLinkType');
    if (type === 'EXPR_SUBLINK' || type === 'ARRAY_SUBLINK') return true;
    const query = childOf(sublink, 'subselect');
    const around = new Set([...scope.joined, ...scope.sources.keys()]);
    return query !== null && this.isLimited(query, scope.ctes, around);
  }

  /** Whether a comparison names the target at all, so that other rows decide which of it are meant. */
  #ties(leaf: Node, target: string, scope: Scope): boolean {
    if (alwaysTrue(leaf)) return false;
    const { qualifiers } = columnsOf(leaf);
    return qualifiers.has(target) && [...qualifiers].some((one) => one !== target && scope.sources.has(one));
  }
}

const qualified = (leaf: Node): boolean => !columnsOf(leaf).qualifiers.has(UNQUALIFIED);

/** Qualifiers of the columns in an expression, and the subqueries in it; not what is inside those. */
function columnsOf(node: Node): { qualifiers: Set<string>; sublinks: Node[] } {
  const qualifiers = new Set<string>();
  const sublinks: Node[] = [];
  const look = (at: Node, field: string): void => {
    if (at.kind === 'ColumnRef') qualifiers.add(qualifierOf(at));
    else if (at.kind === 'SubLink') sublinks.push(at);
    if (field !== 'subselect') eachChild(at, look);
  };
  look(node, '');
  return { qualifiers, sublinks };
}

/** `users.id` and `public.users.id` are of `users`; `id` could be of any. */
function qualifierOf(column: Node): string {
  return namesOf(column, 'fields').at(-2) ?? UNQUALIFIED;
}

function deepQualifiers(node: Node): Set<string> {
  const qualifiers = new Set<string>();
  const look = (at: Node): void => {
    if (at.kind === 'ColumnRef') qualifiers.add(qualifierOf(at));
    eachChild(at, look);
  };
  look(node);
  return qualifiers;
}

/** The constant LIMIT or FETCH FIRST of a query, or null. */
export function limitOf(query: Node): number | null {
  let count = childOf(query, 'limitCount');
  while (count?.kind === 'TypeCast') count = childOf(count, 'arg');
  const text = count === null ? undefined : constantOf(count);
  if (text === undefined || text === null || text.trim() === '') return null;
  const rows = Number(text);
  return Number.isFinite(rows) && rows >= 0 ? Math.ceil(rows) : null;
}

/** The weakest that can be said of the rows an UPDATE, DELETE or MERGE changes. */
export function whereOf(statement: Node, ctes: Ctes | null): Facts['where'] {
  return new Asking().whereOf(statement, ctes);
}

/** Whether the rows that a query reads are few or limited by a condition. `ctes`: those around it. */
export function isLimited(query: Node, ctes: Ctes | null): boolean {
  return new Asking().isLimited(query, ctes, NOTHING);
}

/** The same without its own LIMIT, which comes after aggregation. */
export function readsLimited(query: Node, ctes: Ctes | null): boolean {
  const { limitCount: _, ...fields } = query.fields;
  return isLimited({ kind: query.kind, fields }, ctes);
}

/** Aliases and names that a query's own FROM brings. */
export function namesInFrom(query: Node): Set<string> {
  return new Set(new Asking().sourcesOf(listOf(query, 'fromClause'), null).sources.keys());
}

/** Qualifiers in an expression; a bare name may be a whole row, so it counts as one. */
export function rowsNamedIn(node: Node): Set<string> {
  const names = new Set<string>();
  const look = (at: Node): void => {
    if (at.kind === 'ColumnRef') {
      const parts = namesOf(at, 'fields');
      names.add(parts.at(-2) ?? parts[0] ?? '');
    }
    eachChild(at, look);
  };
  look(node);
  return names;
}
