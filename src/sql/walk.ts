// From one statement's tree to its facts. Every node is visited: those with a meaning of their own have a reader here or
// in definitions.ts, every other one is walked through to whatever stands in it.

import { calledByDot, partsOf } from './attribute.ts';
import { dependsOnConstants } from './condition.ts';
import { readDefinition } from './definitions.ts';
import { Draft } from './draft.ts';
import type { Facts, RelationUse } from './facts.ts';
import { gathers, meaningOfCall } from './functions.ts';
import { isStatement, mayBeOn, NOT_STATEMENTS, STATEMENTS } from './nodes.ts';
import { constantText, leftmost, qualifiedName, rangesIn, returnsManyRows, usesOf } from './query.ts';
import {
  type Ctes,
  cteNamed,
  isCatalog,
  isLimited,
  limitOf,
  namesInFrom,
  readsLimited,
  rowsNamedIn,
  whereOf,
  withCtes,
} from './restriction.ts';
import { readSession } from './session.ts';
import { addSetting } from './settings.ts';
import { operatorsOf } from './symbols.ts';
import { childOf, eachChild, isSet, listOf, type Node, namesOf, textOf, UnknownNode } from './tree.ts';

/** A SELECT that we are in, for what its aggregates gather. */
interface Query {
  readonly node: Node;
  /** WITH queries that are seen from outside of it. */
  readonly ctes: Ctes | null;
  readonly outer: Query | null;
}

export interface Place {
  readonly ctes: Ctes | null;
  readonly query: Query | null;
  /** What is selected here is sent to the client. */
  readonly sent: boolean;
}

const OUTSIDE: Place = { ctes: null, query: null, sent: true };

/** The facts of a statement; throws UnknownNode. `text` is its own text. */
export function factsOf(statement: Node, text: string): Facts {
  const walk = new Walk(text);
  walk.statement(statement, OUTSIDE);
  return walk.draft.finish(text);
}

/** The facts of parts of a statement, such as the actions of a rule or the body of a function. */
export function factsOfParts(parts: readonly Node[], text: string): Facts {
  const walk = new Walk(text);
  for (const part of parts) walk.node(part, OUTSIDE);
  return walk.draft.finish(text);
}

export class Walk {
  readonly draft = new Draft();
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** A statement that runs here, or is kept to run: its tag and classes count. */
  statement(node: Node, place: Place): void {
    if (!isStatement(node.kind)) throw new UnknownNode(`statement ${node.kind} is not in the table`);
    const row = STATEMENTS[node.kind];
    if (row === undefined) throw new UnknownNode(`statement ${node.kind} is not in the table`);
    const tag = typeof row.tag === 'string' ? row.tag : row.tag(node);
    this.draft.tag(
      node.kind === 'SelectStmt' && childOf(leftmost(node), 'intoClause') !== null ? 'SELECT INTO' : tag,
    );
    this.draft.classes(row.classes, row.reason === undefined ? null : `${tag} ${row.reason}`);
    switch (node.kind) {
      case 'SelectStmt': {
        const limit = place.sent ? limitOf(node) : null;
        if (limit !== null && returnsManyRows(node)) this.draft.limit = limit;
        this.#select(node, place);
        return;
      }
      case 'InsertStmt':
      case 'UpdateStmt':
      case 'DeleteStmt':
      case 'MergeStmt':
        this.#write(node, place);
        return;
      case 'CopyStmt':
        this.#copy(node, place);
        return;
      case 'ExplainStmt':
        this.#explain(node, place);
        return;
      case 'CallStmt':
        this.#call(node, place);
        return;
      default:
        this.draft.dependsOnLiterals = true;
        if (readSession(node, place, this) || readDefinition(node, place, this)) return;
        this.children(node, place);
    }
  }

  /** Any other node, and statements in expressions, FROM and WITH. */
  readonly node = (node: Node, place: Place): void => {
    for (const symbol of operatorsOf(node)) this.draft.operator(...symbol);
    switch (node.kind) {
      case 'SelectStmt':
        this.#select(node, place);
        return;
      case 'RangeVar':
        this.relation(node, 'read', place);
        return;
      case 'FuncCall':
        this.#functionCall(node, place);
        return;
      case 'A_Expr':
        this.#operator(node);
        break;
      case 'A_Indirection':
      case 'ColumnRef':
        for (const name of calledByDot(node)) this.functionUse(null, name);
        for (const name of partsOf(node)) this.draft.attribute(name);
        break;
      case 'TypeName':
        this.draft.type(...qualifiedName(namesOf(node, 'names')));
        break;
      case 'RangeSubselect':
        // Only LATERAL sees the query around it.
        this.children(node, isSet(node, 'lateral') ? place : { ...place, query: null });
        return;
      case 'RangeTableSample':
        this.#sample(node);
        break;
      case 'SubLink':
        if (textOf(node, 'subLinkType') === 'ARRAY_SUBLINK')
          this.#gatheredQuery(childOf(node, 'subselect'), place);
        break;
      case 'JsonArrayQueryConstructor':
        this.#gatheredQuery(childOf(node, 'query'), place);
        break;
      case 'JsonArrayAgg':
      case 'JsonObjectAgg':
        this.#gathered(node, place);
        break;
      case 'VariableSetStmt':
        // As an option of ALTER ROLE, ALTER DATABASE, CREATE FUNCTION, …: that statement's own tag says it.
        readSession(node, place, this);
        return;
      default:
        if (isStatement(node.kind)) {
          this.statement(node, place);
          return;
        }
        if (NOT_STATEMENTS.has(node.kind) && node.kind !== 'ReturnStmt') {
          throw new UnknownNode(`${node.kind} does not stand in a statement`);
        }
    }
    this.children(node, place);
  };

  children(node: Node, place: Place, except: readonly string[] = []): void {
    eachChild(node, (child, field) => {
      if (!except.includes(field)) this.node(child, place);
    });
  }

  /** A RangeVar. WITH queries hide relations from readers, never from writers. */
  relation(range: Node, use: RelationUse['use'], place: Place): void {
    const schema = textOf(range, 'schemaname');
    const name = textOf(range, 'relname') ?? '';
    if (use === 'read' && schema === null && cteNamed(place.ctes, name) !== null) return;
    this.draft.relation(schema, name, use);
  }

  #select(node: Node, outside: Place): void {
    const ctes = withCtes(node, outside.ctes);
    const query: Query = { node, ctes: outside.ctes, outer: outside.query };
    const place: Place = { ...outside, ctes, query };
    if (childOf(node, 'limitCount') !== null) this.draft.dependsOnLiterals = true;
    for (const locking of listOf(node, 'lockingClause')) {
      const locked = listOf(locking, 'lockedRels').map((range) => textOf(range, 'relname'));
      for (const range of listOf(node, 'fromClause').flatMap(rangesIn)) {
        const alias = childOf(range, 'alias');
        const name = (alias && textOf(alias, 'aliasname')) ?? textOf(range, 'relname');
        if (locked.length > 0 && !locked.includes(name)) continue;
        if (textOf(range, 'schemaname') !== null || cteNamed(ctes, textOf(range, 'relname') ?? '') === null) {
          this.relation(range, 'lock', place);
        }
      }
    }
    const into = childOf(node, 'intoClause');
    if (into !== null) {
      this.draft.classes(['ddl']);
      readDefinition(into, place, this);
    }
    const kept = into === null ? place : { ...place, sent: false };
    this.#withClause(node, outside, kept);
    this.children(node, kept, ['withClause', 'intoClause', 'lockingClause']);
  }

  /** Each WITH query sees those before it, or all of them when RECURSIVE. */
  #withClause(node: Node, outside: Place, inside: Place): void {
    const clause = childOf(node, 'withClause');
    if (clause === null) return;
    const added: Ctes[] = [];
    for (let at = inside.ctes; at !== null && at !== outside.ctes; at = at.outer) added.unshift(at);
    listOf(clause, 'ctes').forEach((cte, index) => {
      const entry = added[index];
      this.children(cte, {
        ...inside,
        ctes: entry === undefined ? inside.ctes : entry.seenFrom,
        query: null,
      });
    });
  }

  #write(node: Node, outside: Place): void {
    const ctes = withCtes(node, outside.ctes);
    const returns = childOf(node, 'returningClause') !== null;
    const place: Place = { ctes, query: null, sent: outside.sent && returns };
    this.#withClause(node, outside, place);
    const target = childOf(node, 'relation');
    if (target !== null) {
      for (const use of usesOf(node)) this.relation(target, use, place);
      this.changesRows(target);
    }
    if (node.kind !== 'InsertStmt') {
      this.draft.where(whereOf(node, ctes));
      const condition = childOf(node, 'whereClause');
      if (node.kind === 'MergeStmt' || (condition !== null && dependsOnConstants(condition))) {
        this.draft.dependsOnLiterals = true;
      }
    }
    this.children(node, place, ['withClause', 'relation']);
  }

  /** Rows of the catalog decide who may do what and what runs. */
  changesRows(target: Node): void {
    const schema = textOf(target, 'schemaname');
    const name = textOf(target, 'relname') ?? '';
    if (!isCatalog(schema, name)) return;
    this.draft.classes(['privilege'], `writes to the catalog (${name})`);
    // An UPDATE of this view calls set_config for every row.
    if (name === 'pg_settings')
      addSetting(this.draft, { name: null, value: null, how: 'set_config', dynamic: true });
  }

  #copy(node: Node, place: Place): void {
    const program = isSet(node, 'is_program');
    const file = textOf(node, 'filename');
    const from = isSet(node, 'is_from');
    this.draft.dependsOnLiterals = true;
    this.draft.classes(from ? ['import', 'write'] : ['export']);
    if (program) this.draft.classes(['code'], 'COPY runs a program on the server');
    else if (file !== null)
      this.draft.classes(['code'], `COPY ${from ? 'reads' : 'writes'} a file on the server`);
    const relation = childOf(node, 'relation');
    if (relation !== null) {
      this.relation(relation, from ? 'insert' : 'read', place);
      if (from) this.changesRows(relation);
    }
    const query = childOf(node, 'query');
    if (query !== null) this.statement(query, { ...place, sent: false });
    this.children(node, { ...place, sent: false }, ['relation', 'query']);
  }

  #explain(node: Node, place: Place): void {
    this.draft.dependsOnLiterals = true;
    const query = childOf(node, 'query');
    if (query === null) return;
    const inside = { ...place, sent: false };
    // No cursor is made: what follows under that name is whatever stood there before.
    const explained = query.kind === 'DeclareCursorStmt' ? (childOf(query, 'query') ?? query) : query;
    if (mayBeOn(node, 'options', 'analyze')) {
      this.statement(explained, inside);
      return;
    }
    // Nothing runs but what planning evaluates: functions that claim to be steady. Relations are only looked at.
    const inner = new Walk(this.text);
    inner.statement(explained, inside);
    const facts = inner.draft.finish(this.text);
    // Planning is of what that name stands for, which this text does not show.
    for (const use of facts.names) if (use.kind === 'execute') this.draft.name(use);
    for (const { schema, name, use } of facts.relations) {
      if (use !== 'define') this.draft.relation(schema, name, 'read');
    }
    for (const { schema, name } of facts.functions) this.functionUse(schema, name);
    for (const { schema, name } of facts.open.operators) this.draft.operator(schema, name);
    for (const { schema, name } of facts.open.types) this.draft.type(schema, name);
    for (const name of facts.open.attributes) this.draft.attribute(name);
  }

  #call(node: Node, place: Place): void {
    this.draft.dependsOnLiterals = true;
    const call = childOf(node, 'funccall');
    if (call === null) return;
    const [schema, name] = qualifiedName(namesOf(call, 'funcname'));
    this.draft.function(schema, name);
    this.children(call, place);
  }

  functionUse(schema: string | null, name: string): void {
    this.draft.function(schema, name);
    const { classes, reason, foreign } = meaningOfCall(schema, name);
    if (foreign) this.draft.foreign(classes, reason);
    else this.draft.classes(classes, reason);
  }

  #functionCall(node: Node, place: Place): void {
    const [schema, name] = qualifiedName(namesOf(node, 'funcname'));
    this.functionUse(schema, name);
    const builtIn = schema === null || schema === 'pg_catalog';
    if (builtIn && name === 'set_config') this.#setConfig(node);
    if (builtIn && gathers(name)) this.#gathered(node, place);
    this.children(node, place);
  }

  #setConfig(node: Node): void {
    const [name, value] = listOf(node, 'args').map(constantText);
    const known = typeof name === 'string';
    addSetting(this.draft, {
      name: known ? name : null,
      value: typeof value === 'string' ? value : null,
      how: 'set_config',
      dynamic: !known || value === undefined,
    });
  }

  #operator(node: Node): void {
    const names = namesOf(node, 'name');
    const schema = names.length > 1 ? (names.at(-2) ?? '') : 'pg_catalog';
    if (schema === 'pg_catalog') return;
    const name = names.at(-1) ?? '';
    this.draft.function(schema, name);
    this.draft.foreign(['code'], `operator ${schema}.${name} is not a built-in one`);
  }

  #sample(node: Node): void {
    const [schema, name] = qualifiedName(namesOf(node, 'method'));
    this.functionUse(schema, name);
  }

  /** ARRAY(SELECT …), JSON_ARRAY(SELECT …): the subquery's rows become one value. */
  #gatheredQuery(query: Node | null, place: Place): void {
    if (place.sent && query !== null && !isLimited(query, place.ctes)) this.draft.collects = true;
    this.draft.dependsOnLiterals = true;
  }

  /** An aggregate that gathers the rows of the query that it belongs to. */
  #gathered(node: Node, place: Place): void {
    this.draft.dependsOnLiterals = true;
    if (!place.sent) return;
    const named = rowsNamedIn(node);
    for (let query = place.query; query !== null; query = query.outer) {
      if (!readsLimited(query.node, query.ctes)) {
        this.draft.collects = true;
        return;
      }
      // It belongs to the innermost query of which it names a row; where that cannot be told, to any around it.
      const own = namesInFrom(query.node);
      if ([...named].some((name) => own.has(name))) return;
    }
  }
}
