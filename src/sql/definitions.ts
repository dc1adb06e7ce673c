// Statements that define, change or drop objects: which relation, whether only this session sees it, and the kinds of
// ALTER and DROP that change privileges or code. walk.ts calls this after session.ts.
import { CATALOG_RELATIONS } from './builtins.ts';
import { isCodeObject, STATEMENTS } from './nodes.ts';
import { qualifiedName } from './query.ts';
import { childOf, listOf, type Node, namesOf, textOf } from './tree.ts';
import type { Place, Walk } from './walk.ts';

/** The field that holds the RangeVar of what the statement is about. */
const SUBJECTS: Readonly<Record<string, string>> = {
  CreateStmt: 'relation',
  IntoClause: 'rel',
  ViewStmt: 'view',
  IndexStmt: 'relation',
  CreateSeqStmt: 'sequence',
  AlterSeqStmt: 'sequence',
  AlterTableStmt: 'relation',
  CompositeTypeStmt: 'typevar',
  RefreshMatViewStmt: 'relation',
  ClusterStmt: 'relation',
  ReindexStmt: 'relation',
  RenameStmt: 'relation',
  AlterObjectSchemaStmt: 'relation',
  AlterObjectDependsStmt: 'relation',
  AlterOwnerStmt: 'relation',
  CreateTrigStmt: 'relation',
  RuleStmt: 'relation',
  CreatePolicyStmt: 'table',
  AlterPolicyStmt: 'table',
};

/** What can be local to a session: what is created so, or stands in the session's own schema. */
const MAY_BE_TEMPORARY = new Set([
  'CreateStmt',
  'IntoClause',
  'ViewStmt',
  'IndexStmt',
  'CreateSeqStmt',
  'AlterSeqStmt',
  'AlterTableStmt',
  'CompositeTypeStmt',
  'ClusterStmt',
  'ReindexStmt',
  'RenameStmt',
]);

const RELATION_OBJECTS = new Set([
  'OBJECT_TABLE',
  'OBJECT_VIEW',
  'OBJECT_MATVIEW',
  'OBJECT_INDEX',
  'OBJECT_SEQUENCE',
  'OBJECT_FOREIGN_TABLE',
]);

const isTemporary = (range: Node): boolean =>
  textOf(range, 'relpersistence') === 't' || textOf(range, 'schemaname') === 'pg_temp';

const PRIVILEGE_CHANGES = new Set([
  'AT_ChangeOwner',
  'AT_EnableRowSecurity',
  'AT_DisableRowSecurity',
  'AT_ForceRowSecurity',
  'AT_NoForceRowSecurity',
]);

/** CREATE of these by DefineStmt names functions that are run later. */
const DEFINED_CODE = new Set([
  'OBJECT_AGGREGATE',
  'OBJECT_OPERATOR',
  'OBJECT_TYPE',
  'OBJECT_TSPARSER',
  'OBJECT_TSTEMPLATE',
]);

/** Adds what is known of a definition and walks through the rest of it. False: it is none. */
export function readDefinition(node: Node, place: Place, walk: Walk): boolean {
  const inside: Place = { ...place, query: null, sent: false };
  const subject = SUBJECTS[node.kind];
  const classes = STATEMENTS[node.kind]?.classes ?? [];
  if (node.kind !== 'IntoClause' && !classes.includes('ddl') && !classes.includes('privilege')) return false;
  switch (node.kind) {
    case 'DropStmt':
      drop(node, walk);
      walk.children(node, inside, ['objects']);
      return true;
    case 'TruncateStmt':
      for (const range of listOf(node, 'relations')) define(range, true, inside, walk);
      return true;
    case 'CreateTableAsStmt':
      createTableAs(node, inside, walk);
      return true;
    case 'CreateForeignTableStmt':
      walk.draft.defines(false);
      walk.children(node, inside, ['base']);
      readParts(childOf(node, 'base'), inside, walk);
      return true;
    case 'AlterTableStmt':
      for (const command of listOf(node, 'cmds')) {
        const subtype = textOf(command, 'subtype') ?? '';
        if (PRIVILEGE_CHANGES.has(subtype)) {
          walk.draft.classes(['privilege'], 'changes who owns a table or which of its rows may be seen');
        }
      }
      break;
    case 'DefineStmt':
      if (DEFINED_CODE.has(textOf(node, 'kind') ?? '') && definesFunctions(node)) {
        walk.draft.classes(['code'], 'names functions that are run later');
      }
      break;
    case 'GrantStmt':
      for (const object of listOf(node, 'objects')) {
        if (object.kind === 'RangeVar') walk.relation(object, 'define', inside);
      }
      walk.children(node, inside, ['objects']);
      return true;
    case 'CreateEnumStmt':
    case 'CreateRangeStmt':
      walk.draft.defines(qualifiedName(namesOf(node, 'typeName'))[0] === 'pg_temp');
      walk.children(node, inside);
      return true;
    case 'CommentStmt':
    case 'SecLabelStmt':
      commentedRelation(node, walk);
      walk.draft.defines(false);
      return true;
    default:
  }
  const range = subject === undefined ? null : childOf(node, subject);
  if (range === null) {
    if (classes.includes('ddl')) walk.draft.defines(false);
  } else define(range, MAY_BE_TEMPORARY.has(node.kind), inside, walk);
  walk.children(node, inside, subject === undefined ? [] : [subject]);
  return true;
}

/** A relation that is defined, changed or dropped. */
function define(range: Node, mayBeTemporary: boolean, place: Place, walk: Walk): void {
  walk.relation(range, 'define', place);
  const temporary = mayBeTemporary && isTemporary(range);
  walk.draft.defines(temporary);
  const name = textOf(range, 'relname') ?? '';
  if (temporary && CATALOG_RELATIONS.has(name)) {
    walk.draft.classes(['privilege'], `a temporary ${name} hides the catalog's own from this session`);
  }
}

function readParts(base: Node | null, place: Place, walk: Walk): void {
  const range = base === null ? null : childOf(base, 'relation');
  if (base === null) return;
  if (range !== null) walk.relation(range, 'define', place);
  walk.children(base, place, ['relation']);
}

function createTableAs(node: Node, place: Place, walk: Walk): void {
  const into = childOf(node, 'into');
  const range = into === null ? null : childOf(into, 'rel');
  if (range !== null) define(range, true, place, walk);
  if (into !== null) walk.children(into, place, ['rel']);
  const query = childOf(node, 'query');
  // EXECUTE has a statement's facts of its own; a SELECT is part of this one.
  if (query !== null) walk.node(query, place);
}

function drop(node: Node, walk: Walk): void {
  const type = textOf(node, 'removeType') ?? '';
  for (const object of listOf(node, 'objects')) {
    const names = object.kind === 'List' ? namesOf(object, 'items') : [];
    const [schema, name] = qualifiedName(names);
    if (RELATION_OBJECTS.has(type)) walk.draft.relation(schema, name, 'define');
    walk.draft.defines(RELATION_OBJECTS.has(type) && schema === 'pg_temp');
  }
  if (type === 'OBJECT_POLICY') walk.draft.classes(['privilege'], 'a policy decides which rows may be seen');
  if (isCodeObject(type)) walk.draft.classes(['code'], 'drops code that others may call');
}

/** COMMENT ON TABLE a.b, COMMENT ON COLUMN a.b.c. */
function commentedRelation(node: Node, walk: Walk): void {
  const object = childOf(node, 'object');
  const type = textOf(node, 'objtype') ?? '';
  if (object?.kind !== 'List') return;
  const names = namesOf(object, 'items');
  if (type === 'OBJECT_COLUMN') names.pop();
  else if (!RELATION_OBJECTS.has(type)) return;
  const [schema, name] = qualifiedName(names);
  walk.draft.relation(schema, name, 'define');
}

/** CREATE TYPE x; alone is a shell, and text search and collations name no functions of a user's. */
const definesFunctions = (node: Node): boolean => listOf(node, 'definition').length > 0;
