// What of a statement's impact its text tells, and what is to be asked of the server for the rest: one reading of its
// tree for the person who decides. Of a statement that facts know, so it parses; what does not is left out, and said.
import type { Facts } from './facts.ts';
import type { Body } from './impact.ts';
import { type LockTarget, locksOf } from './locks.ts';
import { parse } from './parse.ts';
import { type NotPlannable, type Plannable, plannableOf } from './plannable.ts';
import { bodyOf } from './plpgsql.ts';
import { qualifiedName } from './query.ts';
import { childOf, listOf, type Node, namesOf, nodeOf, textOf } from './tree.ts';

export interface Outline {
  readonly plan: Plannable | NotPlannable | null;
  readonly locks: readonly LockTarget[];
  readonly events: readonly RelationEvent[];
  readonly drops: readonly Dropped[];
  /** A DROP or TRUNCATE takes with it what depends on its objects. */
  readonly cascade: boolean;
  readonly body: Body | null;
}

/** What makes triggers fire and foreign keys act. */
export interface RelationEvent {
  readonly schema: string | null;
  readonly name: string;
  readonly event: 'insert' | 'update' | 'delete' | 'truncate';
  /** Columns that an UPDATE sets; null where that cannot be told. */
  readonly columns: readonly string[] | null;
}

export interface Dropped {
  readonly kind: 'relation' | 'type' | 'schema' | 'function' | 'column';
  readonly schema: string | null;
  readonly name: string;
  readonly column: string | null;
}

export function outlineOf(facts: Facts): Outline | null {
  const parsed = parse(facts.text);
  const [only] = parsed.ok ? parsed.statements : [];
  if (only === undefined || (parsed.ok && parsed.statements.length !== 1)) return null;
  const statement = nodeOf(only.tree);
  return {
    plan: plannableOf(statement, facts.text),
    locks: locksOf(statement, facts),
    events: eventsOf(statement, facts),
    drops: dropsOf(statement),
    cascade:
      textOf(statement, 'behavior') === 'DROP_CASCADE' ||
      dropsOf(statement).some(({ kind }) => kind === 'column'),
    body: bodyOf(statement, facts.text),
  };
}

function eventsOf(statement: Node, facts: Facts): RelationEvent[] {
  if (statement.kind === 'TruncateStmt') {
    return listOf(statement, 'relations').map((range) => ({
      schema: textOf(range, 'schemaname'),
      name: textOf(range, 'relname') ?? '',
      event: 'truncate',
      columns: null,
    }));
  }
  return facts.relations.flatMap(({ schema, name, use }): RelationEvent[] =>
    use === 'insert' || use === 'update' || use === 'delete'
      ? [{ schema, name, event: use, columns: use === 'update' ? columnsSet(statement) : null }]
      : [],
  );
}

/** Only where the one UPDATE is the statement itself; WITH may hold others. */
function columnsSet(statement: Node): string[] | null {
  if (statement.kind !== 'UpdateStmt' || childOf(statement, 'withClause') !== null) return null;
  return listOf(statement, 'targetList').map((target) => textOf(target, 'name') ?? '');
}

const DROPPED: Readonly<Record<string, Dropped['kind']>> = {
  OBJECT_TABLE: 'relation',
  OBJECT_VIEW: 'relation',
  OBJECT_MATVIEW: 'relation',
  OBJECT_INDEX: 'relation',
  OBJECT_SEQUENCE: 'relation',
  OBJECT_FOREIGN_TABLE: 'relation',
  OBJECT_TYPE: 'type',
  OBJECT_DOMAIN: 'type',
  OBJECT_SCHEMA: 'schema',
  OBJECT_FUNCTION: 'function',
  OBJECT_PROCEDURE: 'function',
  OBJECT_ROUTINE: 'function',
  OBJECT_AGGREGATE: 'function',
};

/** Objects of a DROP, and columns that ALTER TABLE drops with CASCADE. */
function dropsOf(statement: Node): Dropped[] {
  if (statement.kind === 'AlterTableStmt') {
    const range = childOf(statement, 'relation');
    return listOf(statement, 'cmds').flatMap((command): Dropped[] =>
      range !== null &&
      textOf(command, 'subtype') === 'AT_DropColumn' &&
      textOf(command, 'behavior') === 'DROP_CASCADE'
        ? [
            {
              kind: 'column',
              schema: textOf(range, 'schemaname'),
              name: textOf(range, 'relname') ?? '',
              column: textOf(command, 'name'),
            },
          ]
        : [],
    );
  }
  if (statement.kind !== 'DropStmt') return [];
  const kind = DROPPED[textOf(statement, 'removeType') ?? ''];
  if (kind === undefined) return [];
  return listOf(statement, 'objects').map((object): Dropped => {
    const [schema, name] = qualifiedName(partsOf(object));
    return { kind, schema, name, column: null };
  });
}

function partsOf(object: Node): string[] {
  switch (object.kind) {
    case 'String':
      return [textOf(object, 'sval') ?? ''];
    case 'List':
      return namesOf(object, 'items');
    case 'TypeName':
      return namesOf(object, 'names');
    case 'ObjectWithArgs':
      return namesOf(object, 'objname');
    default:
      return [];
  }
}
