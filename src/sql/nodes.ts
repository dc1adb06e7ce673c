// Every statement of the grammar, its class and its command tag. What the walk finds inside (functions, settings,
// relations, nested statements) adds to it. A statement that is not in this table is Unknown; test/sql/grammar.test.ts
// compares the table with the parser's own list.
import type { StatementClass } from './facts.ts';
import { childOf, isSet, listOf, type Node, textOf } from './tree.ts';

export interface StatementRow {
  readonly classes: readonly StatementClass[];
  readonly tag: string | ((node: Node) => string);
  /** In a person's words, where the class is not plain from the tag. */
  readonly reason?: string;
}

const DDL: readonly StatementClass[] = ['ddl'];
const CODE: readonly StatementClass[] = ['ddl', 'code'];
const PRIVILEGE: readonly StatementClass[] = ['ddl', 'privilege'];
const SERVER: readonly StatementClass[] = ['ddl', 'admin'];
const SESSION: readonly StatementClass[] = ['session'];

/** ObjectType → how tags spell it, where that is not the name itself without OBJECT_ and underscores. */
const OBJECTS: Readonly<Record<string, string>> = {
  MATVIEW: 'MATERIALIZED VIEW',
  FDW: 'FOREIGN DATA WRAPPER',
  FOREIGN_SERVER: 'SERVER',
  OPCLASS: 'OPERATOR CLASS',
  OPFAMILY: 'OPERATOR FAMILY',
  TSPARSER: 'TEXT SEARCH PARSER',
  TSDICTIONARY: 'TEXT SEARCH DICTIONARY',
  TSTEMPLATE: 'TEXT SEARCH TEMPLATE',
  TSCONFIGURATION: 'TEXT SEARCH CONFIGURATION',
  STATISTIC_EXT: 'STATISTICS',
  LARGEOBJECT: 'LARGE OBJECT',
  DOMCONSTRAINT: 'DOMAIN',
  TABCONSTRAINT: 'TABLE',
  ATTRIBUTE: 'TYPE',
};

function objectName(type: string | null): string {
  const bare = (type ?? '').replace('OBJECT_', '');
  return OBJECTS[bare] ?? bare.replaceAll('_', ' ');
}

const alterOf =
  (field: string) =>
  (node: Node): string =>
    `ALTER ${objectName(textOf(node, field))}`;

function renameTag(node: Node): string {
  const type = textOf(node, 'renameType');
  return `ALTER ${objectName(type === 'OBJECT_COLUMN' ? textOf(node, 'relationType') : type)}`;
}

const TRANSACTION_TAGS: Readonly<Record<string, string>> = {
  TRANS_STMT_BEGIN: 'BEGIN',
  TRANS_STMT_START: 'START TRANSACTION',
  TRANS_STMT_COMMIT: 'COMMIT',
  TRANS_STMT_ROLLBACK: 'ROLLBACK',
  TRANS_STMT_ROLLBACK_TO: 'ROLLBACK',
  TRANS_STMT_SAVEPOINT: 'SAVEPOINT',
  TRANS_STMT_RELEASE: 'RELEASE',
  TRANS_STMT_PREPARE: 'PREPARE TRANSACTION',
  TRANS_STMT_COMMIT_PREPARED: 'COMMIT PREPARED',
  TRANS_STMT_ROLLBACK_PREPARED: 'ROLLBACK PREPARED',
};

/** Functions, not tables: what changes them changes what runs. */
const RUNS: ReadonlySet<string> = new Set([
  'OBJECT_FUNCTION',
  'OBJECT_PROCEDURE',
  'OBJECT_ROUTINE',
  'OBJECT_AGGREGATE',
  'OBJECT_TRIGGER',
  'OBJECT_EVENT_TRIGGER',
  'OBJECT_RULE',
  'OBJECT_OPERATOR',
  'OBJECT_CAST',
  'OBJECT_EXTENSION',
  'OBJECT_LANGUAGE',
]);
export const isCodeObject = (type: string | null): boolean => type !== null && RUNS.has(type);

export const STATEMENTS: Readonly<Record<string, StatementRow>> = {
  // Queries and writes.
  SelectStmt: { classes: ['read'], tag: 'SELECT' },
  InsertStmt: { classes: ['write'], tag: 'INSERT' },
  UpdateStmt: { classes: ['write'], tag: 'UPDATE' },
  DeleteStmt: { classes: ['write'], tag: 'DELETE' },
  MergeStmt: { classes: ['write'], tag: 'MERGE' },
  // The walk decides: a file, a program, in or out.
  CopyStmt: { classes: [], tag: 'COPY' },
  ExplainStmt: { classes: ['read'], tag: 'EXPLAIN' },
  VariableShowStmt: { classes: ['read'], tag: 'SHOW' },

  // The session's own names and settings.
  PrepareStmt: { classes: SESSION, tag: 'PREPARE' },
  ExecuteStmt: { classes: SESSION, tag: 'EXECUTE' },
  DeallocateStmt: {
    classes: SESSION,
    tag: (node) => (isSet(node, 'isall') ? 'DEALLOCATE ALL' : 'DEALLOCATE'),
  },
  DeclareCursorStmt: { classes: SESSION, tag: 'DECLARE CURSOR' },
  FetchStmt: { classes: ['read'], tag: (node) => (isSet(node, 'ismove') ? 'MOVE' : 'FETCH') },
  ClosePortalStmt: {
    classes: SESSION,
    tag: (node) => (textOf(node, 'portalname') === null ? 'CLOSE CURSOR ALL' : 'CLOSE CURSOR'),
  },
  VariableSetStmt: {
    classes: SESSION,
    tag: (node) => (/^VAR_RESET/.test(textOf(node, 'kind') ?? '') ? 'RESET' : 'SET'),
  },
  DiscardStmt: {
    classes: SESSION,
    tag: (node) => (textOf(node, 'target') ?? '').replace('_', ' '),
  },
  ConstraintsSetStmt: { classes: ['transaction'], tag: 'SET CONSTRAINTS' },
  TransactionStmt: {
    classes: ['transaction'],
    tag: (node) => TRANSACTION_TAGS[textOf(node, 'kind') ?? ''] ?? 'TRANSACTION',
  },
  LockStmt: { classes: ['transaction'], tag: 'LOCK TABLE' },
  ListenStmt: { classes: ['notify'], tag: 'LISTEN' },
  UnlistenStmt: { classes: ['notify'], tag: 'UNLISTEN' },
  NotifyStmt: { classes: ['notify'], tag: 'NOTIFY' },

  // Upkeep. VACUUM FULL is the walk's to see.
  VacuumStmt: {
    classes: ['maintenance'],
    tag: (node) => (isSet(node, 'is_vacuumcmd') ? 'VACUUM' : 'ANALYZE'),
  },
  CheckPointStmt: { classes: ['admin'], tag: 'CHECKPOINT' },
  ClusterStmt: { classes: DDL, tag: 'CLUSTER' },
  ReindexStmt: { classes: DDL, tag: 'REINDEX' },
  RefreshMatViewStmt: { classes: DDL, tag: 'REFRESH MATERIALIZED VIEW' },
  TruncateStmt: { classes: DDL, tag: 'TRUNCATE TABLE' },

  // Tables and what belongs to them.
  CreateStmt: { classes: DDL, tag: 'CREATE TABLE' },
  CreateForeignTableStmt: { classes: DDL, tag: 'CREATE FOREIGN TABLE' },
  CreateTableAsStmt: {
    classes: DDL,
    tag: (node) =>
      textOf(node, 'objtype') === 'OBJECT_MATVIEW'
        ? 'CREATE MATERIALIZED VIEW'
        : isSet(node, 'is_select_into')
          ? 'SELECT INTO'
          : 'CREATE TABLE AS',
  },
  ViewStmt: { classes: DDL, tag: 'CREATE VIEW' },
  IndexStmt: { classes: DDL, tag: 'CREATE INDEX' },
  CreateSeqStmt: { classes: DDL, tag: 'CREATE SEQUENCE' },
  CreateStatsStmt: { classes: DDL, tag: 'CREATE STATISTICS' },
  AlterTableStmt: { classes: DDL, tag: alterOf('objtype') },
  AlterTableMoveAllStmt: { classes: DDL, tag: alterOf('objtype') },
  ReplicaIdentityStmt: { classes: DDL, tag: 'ALTER TABLE' },
  AlterSeqStmt: { classes: DDL, tag: 'ALTER SEQUENCE' },
  AlterStatsStmt: { classes: DDL, tag: 'ALTER STATISTICS' },
  ImportForeignSchemaStmt: { classes: DDL, tag: 'IMPORT FOREIGN SCHEMA' },

  // Any object.
  DropStmt: { classes: DDL, tag: (node) => `DROP ${objectName(textOf(node, 'removeType'))}` },
  RenameStmt: { classes: DDL, tag: renameTag },
  AlterObjectSchemaStmt: { classes: DDL, tag: alterOf('objectType') },
  AlterObjectDependsStmt: { classes: DDL, tag: alterOf('objectType') },
  AlterOwnerStmt: { classes: PRIVILEGE, tag: alterOf('objectType') },
  CommentStmt: { classes: DDL, tag: 'COMMENT' },
  SecLabelStmt: { classes: PRIVILEGE, tag: 'SECURITY LABEL' },
  CreateSchemaStmt: { classes: DDL, tag: 'CREATE SCHEMA' },

  // Types and text search.
  CompositeTypeStmt: { classes: DDL, tag: 'CREATE TYPE' },
  CreateEnumStmt: { classes: DDL, tag: 'CREATE TYPE' },
  CreateRangeStmt: { classes: DDL, tag: 'CREATE TYPE' },
  CreateDomainStmt: { classes: DDL, tag: 'CREATE DOMAIN' },
  AlterEnumStmt: { classes: DDL, tag: 'ALTER TYPE' },
  AlterTypeStmt: { classes: CODE, tag: 'ALTER TYPE', reason: 'may change the functions that a type calls' },
  AlterDomainStmt: { classes: DDL, tag: 'ALTER DOMAIN' },
  AlterCollationStmt: { classes: DDL, tag: 'ALTER COLLATION' },
  AlterTSDictionaryStmt: { classes: DDL, tag: 'ALTER TEXT SEARCH DICTIONARY' },
  AlterTSConfigurationStmt: { classes: DDL, tag: 'ALTER TEXT SEARCH CONFIGURATION' },
  // Aggregates, operators, base types, text search, collations: the walk tells them apart.
  DefineStmt: { classes: DDL, tag: (node) => `CREATE ${objectName(textOf(node, 'kind'))}` },

  // Code.
  DoStmt: { classes: ['code'], tag: 'DO', reason: 'runs code' },
  CallStmt: { classes: ['code'], tag: 'CALL', reason: 'runs a procedure' },
  LoadStmt: { classes: ['code'], tag: 'LOAD', reason: 'loads a library into the server' },
  CreateFunctionStmt: {
    classes: CODE,
    tag: (node) => (isSet(node, 'is_procedure') ? 'CREATE PROCEDURE' : 'CREATE FUNCTION'),
    reason: 'defines code',
  },
  AlterFunctionStmt: { classes: CODE, tag: alterOf('objtype'), reason: 'changes how code runs' },
  CreateTrigStmt: { classes: CODE, tag: 'CREATE TRIGGER', reason: 'makes writes run code' },
  CreateEventTrigStmt: { classes: CODE, tag: 'CREATE EVENT TRIGGER', reason: 'makes statements run code' },
  AlterEventTrigStmt: { classes: CODE, tag: 'ALTER EVENT TRIGGER', reason: 'switches code on or off' },
  RuleStmt: { classes: CODE, tag: 'CREATE RULE', reason: 'rewrites statements into others' },
  CreatePLangStmt: { classes: CODE, tag: 'CREATE LANGUAGE', reason: 'defines a language for code' },
  CreateExtensionStmt: { classes: CODE, tag: 'CREATE EXTENSION', reason: 'brings code into the database' },
  AlterExtensionStmt: { classes: CODE, tag: 'ALTER EXTENSION', reason: 'changes code in the database' },
  AlterExtensionContentsStmt: {
    classes: CODE,
    tag: 'ALTER EXTENSION',
    reason: 'changes what an extension holds',
  },
  CreateCastStmt: { classes: CODE, tag: 'CREATE CAST', reason: 'makes casts run code' },
  CreateConversionStmt: { classes: CODE, tag: 'CREATE CONVERSION', reason: 'makes conversions run code' },
  CreateTransformStmt: { classes: CODE, tag: 'CREATE TRANSFORM', reason: 'makes calls run code' },
  CreateAmStmt: { classes: CODE, tag: 'CREATE ACCESS METHOD', reason: 'makes access run code' },
  CreateOpClassStmt: { classes: CODE, tag: 'CREATE OPERATOR CLASS', reason: 'makes indexes run code' },
  CreateOpFamilyStmt: { classes: CODE, tag: 'CREATE OPERATOR FAMILY', reason: 'makes indexes run code' },
  AlterOpFamilyStmt: { classes: CODE, tag: 'ALTER OPERATOR FAMILY', reason: 'makes indexes run code' },
  AlterOperatorStmt: { classes: CODE, tag: 'ALTER OPERATOR', reason: 'changes how code runs' },

  // Who may do what.
  GrantStmt: { classes: ['privilege'], tag: (node) => (isSet(node, 'is_grant') ? 'GRANT' : 'REVOKE') },
  GrantRoleStmt: {
    classes: ['privilege'],
    tag: (node) => (isSet(node, 'is_grant') ? 'GRANT ROLE' : 'REVOKE ROLE'),
  },
  AlterDefaultPrivilegesStmt: { classes: ['privilege'], tag: 'ALTER DEFAULT PRIVILEGES' },
  CreateRoleStmt: {
    classes: ['privilege'],
    tag: 'CREATE ROLE',
  },
  AlterRoleStmt: { classes: ['privilege'], tag: 'ALTER ROLE' },
  AlterRoleSetStmt: { classes: ['privilege'], tag: 'ALTER ROLE' },
  DropRoleStmt: { classes: ['privilege'], tag: 'DROP ROLE' },
  DropOwnedStmt: { classes: PRIVILEGE, tag: 'DROP OWNED' },
  ReassignOwnedStmt: { classes: PRIVILEGE, tag: 'REASSIGN OWNED' },
  CreatePolicyStmt: { classes: PRIVILEGE, tag: 'CREATE POLICY' },
  AlterPolicyStmt: { classes: PRIVILEGE, tag: 'ALTER POLICY' },

  // Other servers.
  CreateFdwStmt: { classes: CODE, tag: 'CREATE FOREIGN DATA WRAPPER', reason: 'names functions to run' },
  AlterFdwStmt: { classes: CODE, tag: 'ALTER FOREIGN DATA WRAPPER', reason: 'names functions to run' },
  CreateForeignServerStmt: { classes: DDL, tag: 'CREATE SERVER' },
  AlterForeignServerStmt: { classes: DDL, tag: 'ALTER SERVER' },
  CreateUserMappingStmt: { classes: PRIVILEGE, tag: 'CREATE USER MAPPING' },
  AlterUserMappingStmt: { classes: PRIVILEGE, tag: 'ALTER USER MAPPING' },
  DropUserMappingStmt: { classes: PRIVILEGE, tag: 'DROP USER MAPPING' },
  CreatePublicationStmt: { classes: DDL, tag: 'CREATE PUBLICATION' },
  AlterPublicationStmt: { classes: DDL, tag: 'ALTER PUBLICATION' },
  CreateSubscriptionStmt: { classes: DDL, tag: 'CREATE SUBSCRIPTION' },
  AlterSubscriptionStmt: { classes: DDL, tag: 'ALTER SUBSCRIPTION' },
  DropSubscriptionStmt: { classes: DDL, tag: 'DROP SUBSCRIPTION' },

  // The server.
  AlterSystemStmt: { classes: ['admin'], tag: 'ALTER SYSTEM' },
  CreatedbStmt: { classes: SERVER, tag: 'CREATE DATABASE' },
  AlterDatabaseStmt: { classes: SERVER, tag: 'ALTER DATABASE' },
  AlterDatabaseRefreshCollStmt: { classes: SERVER, tag: 'ALTER DATABASE' },
  AlterDatabaseSetStmt: { classes: ['admin'], tag: 'ALTER DATABASE' },
  DropdbStmt: { classes: SERVER, tag: 'DROP DATABASE' },
  CreateTableSpaceStmt: { classes: SERVER, tag: 'CREATE TABLESPACE' },
  AlterTableSpaceOptionsStmt: { classes: SERVER, tag: 'ALTER TABLESPACE' },
  DropTableSpaceStmt: { classes: SERVER, tag: 'DROP TABLESPACE' },
};

/**
 * Statement nodes that the grammar makes only inside others (RETURN in a function body, an assignment of PL/pgSQL,
 * the wrapper of every statement) or never (set operations after analysis). As a statement of their own: Unknown.
 */
export const NOT_STATEMENTS: ReadonlySet<string> = new Set([
  'RawStmt',
  'ReturnStmt',
  'PLAssignStmt',
  'SetOperationStmt',
]);

export const isStatement = (kind: string): boolean => Object.hasOwn(STATEMENTS, kind);

/** Spellings that defGetBoolean takes for false. */
const FALSE = new Set(['false', 'off', '0']);

/** Whether an option may be on. One mention that is not plainly false is enough, whatever the others say. */
export function mayBeOn(node: Node, field: string, name: string): boolean {
  return listOf(node, field).some((option) => textOf(option, 'defname') === name && !isPlainlyFalse(option));
}

function isPlainlyFalse(option: Node): boolean {
  const value = childOf(option, 'arg');
  if (value === null) return false;
  if (value.kind === 'Integer') return (value.fields['ival'] ?? 0) === 0;
  if (value.kind === 'Boolean') return value.fields['boolval'] !== true;
  return value.kind === 'String' && FALSE.has((textOf(value, 'sval') ?? '').toLowerCase());
}
