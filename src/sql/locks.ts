// Which table-level lock a statement takes on which relation, and whether it writes the table's file anew: by the manual's
// "Explicit Locking" and "ALTER TABLE". ACCESS EXCLUSIVE wherever the manual does not promise a weaker one.
import { BUILTIN_TYPES, STEADY_FUNCTIONS } from './builtins.ts';
import type { Facts, RelationUse } from './facts.ts';
import { LOCK_MODES, type LockMode, type Rewrites } from './impact.ts';
import { mayBeOn } from './nodes.ts';
import { qualifiedName } from './query.ts';
import { childOf, isSet, listOf, type Node, namesOf, textOf } from './tree.ts';

export interface LockTarget {
  readonly schema: string | null;
  readonly name: string;
  readonly mode: LockMode;
  readonly rewrites: Rewrites;
}

const BY_USE: Readonly<Record<Exclude<RelationUse['use'], 'define'>, LockMode>> = {
  read: 'ACCESS SHARE',
  lock: 'ROW SHARE',
  insert: 'ROW EXCLUSIVE',
  update: 'ROW EXCLUSIVE',
  delete: 'ROW EXCLUSIVE',
};

/** The strongest lock on each relation, strongest first. `facts` are those of `statement`. */
export function locksOf(statement: Node, facts: Facts): LockTarget[] {
  const defined = LOCKERS[statement.kind]?.(statement) ?? [];
  const used = facts.relations.flatMap(({ schema, name, use }): LockTarget[] =>
    use === 'define' ? [] : [{ schema, name, mode: BY_USE[use], rewrites: false }],
  );
  // What LOCK and TRUNCATE name is in the facts as well, with a use of its own.
  const strongest = new Map<string, LockTarget>();
  for (const target of [...defined, ...used]) {
    const key = JSON.stringify([target.schema, target.name]);
    const other = strongest.get(key);
    if (other === undefined || rank(target.mode) > rank(other.mode)) strongest.set(key, target);
    else if (target.rewrites !== false && other.rewrites === false) {
      strongest.set(key, { ...other, rewrites: target.rewrites });
    }
  }
  return [...strongest.values()].sort((a, b) => rank(b.mode) - rank(a.mode));
}

const rank = (mode: LockMode): number => LOCK_MODES.indexOf(mode);

/** The modes that a session may not hold while another gets `mode`: the manual's table of conflicting lock modes. */
export function conflictsOf(mode: LockMode): readonly LockMode[] {
  return CONFLICTS[mode];
}

const FROM_EXCLUSIVE: readonly LockMode[] = ['EXCLUSIVE', 'ACCESS EXCLUSIVE'];
const FROM_SHARE_ROW: readonly LockMode[] = ['SHARE ROW EXCLUSIVE', ...FROM_EXCLUSIVE];
const CONFLICTS: Readonly<Record<LockMode, readonly LockMode[]>> = {
  'ACCESS SHARE': ['ACCESS EXCLUSIVE'],
  'ROW SHARE': FROM_EXCLUSIVE,
  'ROW EXCLUSIVE': ['SHARE', ...FROM_SHARE_ROW],
  'SHARE UPDATE EXCLUSIVE': ['SHARE UPDATE EXCLUSIVE', 'SHARE', ...FROM_SHARE_ROW],
  SHARE: ['ROW EXCLUSIVE', 'SHARE UPDATE EXCLUSIVE', ...FROM_SHARE_ROW],
  'SHARE ROW EXCLUSIVE': ['ROW EXCLUSIVE', 'SHARE UPDATE EXCLUSIVE', 'SHARE', ...FROM_SHARE_ROW],
  EXCLUSIVE: ['ROW SHARE', 'ROW EXCLUSIVE', 'SHARE UPDATE EXCLUSIVE', 'SHARE', ...FROM_SHARE_ROW],
  'ACCESS EXCLUSIVE': LOCK_MODES,
};

const on = (range: Node, mode: LockMode, rewrites: Rewrites = false): LockTarget => ({
  schema: textOf(range, 'schemaname'),
  name: textOf(range, 'relname') ?? '',
  mode,
  rewrites,
});

const onField = (node: Node, field: string, mode: LockMode, rewrites: Rewrites = false): LockTarget[] => {
  const range = childOf(node, field);
  return range === null ? [] : [on(range, mode, rewrites)];
};

/** A qualified name that stands in a list of its own. */
const named = (object: Node, mode: LockMode, rewrites: Rewrites = false): LockTarget[] => {
  if (object.kind === 'RangeVar') return [on(object, mode, rewrites)];
  if (object.kind !== 'List') return [];
  const [schema, name] = qualifiedName(namesOf(object, 'items'));
  return [{ schema, name, mode, rewrites }];
};

/** The name in front of the last: the table of `table.trigger` and its like. */
const tableNamed = (object: Node, mode: LockMode): LockTarget[] => {
  if (object.kind !== 'List') return [];
  const [schema, name] = qualifiedName(namesOf(object, 'items').slice(0, -1));
  return name === '' ? [] : [{ schema, name, mode, rewrites: false }];
};

const RELATIONS: ReadonlySet<string> = new Set([
  'OBJECT_TABLE',
  'OBJECT_VIEW',
  'OBJECT_MATVIEW',
  'OBJECT_INDEX',
  'OBJECT_SEQUENCE',
  'OBJECT_FOREIGN_TABLE',
]);
const ON_A_TABLE: ReadonlySet<string> = new Set(['OBJECT_TRIGGER', 'OBJECT_RULE', 'OBJECT_POLICY']);

type Locker = (node: Node) => LockTarget[];

/** `LOCK TABLE` states its mode as a number, from 1. */
function lockModeOf(node: Node): LockMode {
  const mode = node.fields['mode'];
  return LOCK_MODES[typeof mode === 'number' ? mode - 1 : LOCK_MODES.length - 1] ?? 'ACCESS EXCLUSIVE';
}

const LOCKERS: Readonly<Record<string, Locker>> = {
  LockStmt: (node) => listOf(node, 'relations').map((range) => on(range, lockModeOf(node))),
  TruncateStmt: (node) => listOf(node, 'relations').map((range) => on(range, 'ACCESS EXCLUSIVE')),
  DropStmt(node) {
    const type = textOf(node, 'removeType') ?? '';
    const mode: LockMode =
      type === 'OBJECT_INDEX' && isSet(node, 'concurrent') ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE';
    const objects = listOf(node, 'objects');
    if (RELATIONS.has(type)) return objects.flatMap((object) => named(object, mode));
    return ON_A_TABLE.has(type) ? objects.flatMap((object) => tableNamed(object, mode)) : [];
  },
  IndexStmt: (node) =>
    onField(node, 'relation', isSet(node, 'concurrent') ? 'SHARE UPDATE EXCLUSIVE' : 'SHARE'),
  ReindexStmt: (node) =>
    onField(
      node,
      'relation',
      mayBeOn(node, 'params', 'concurrently') ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE',
    ),
  RefreshMatViewStmt: (node) =>
    onField(
      node,
      'relation',
      isSet(node, 'concurrent') ? 'EXCLUSIVE' : 'ACCESS EXCLUSIVE',
      !isSet(node, 'concurrent'),
    ),
  ClusterStmt: (node) => onField(node, 'relation', 'ACCESS EXCLUSIVE', true),
  VacuumStmt(node) {
    const full = mayBeOn(node, 'options', 'full');
    const mode: LockMode = full ? 'ACCESS EXCLUSIVE' : 'SHARE UPDATE EXCLUSIVE';
    return listOf(node, 'rels').flatMap((rel) => onField(rel, 'relation', mode, full));
  },
  CreateTrigStmt: (node) => [
    ...onField(node, 'relation', 'SHARE ROW EXCLUSIVE'),
    ...onField(node, 'constrrel', 'SHARE ROW EXCLUSIVE'),
  ],
  RuleStmt: (node) => onField(node, 'relation', 'ACCESS EXCLUSIVE'),
  CreatePolicyStmt: (node) => onField(node, 'table', 'ACCESS EXCLUSIVE'),
  AlterPolicyStmt: (node) => onField(node, 'table', 'ACCESS EXCLUSIVE'),
  CreateStatsStmt: (node) =>
    listOf(node, 'relations')
      .filter(({ kind }) => kind === 'RangeVar')
      .map((range) => on(range, 'SHARE UPDATE EXCLUSIVE')),
  CommentStmt(node) {
    const object = childOf(node, 'object');
    if (object === null || !RELATIONS.has(textOf(node, 'objtype') ?? '')) return [];
    return named(object, 'SHARE UPDATE EXCLUSIVE');
  },
  CreateStmt(node) {
    const isPartition = childOf(node, 'partbound') !== null;
    const parents = listOf(node, 'inhRelations').map((range) =>
      on(range, isPartition ? 'ACCESS EXCLUSIVE' : 'SHARE UPDATE EXCLUSIVE'),
    );
    return [...parents, ...referenced(node)];
  },
  RenameStmt: (node) =>
    onField(
      node,
      'relation',
      textOf(node, 'renameType') === 'OBJECT_INDEX' ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE',
    ),
  AlterObjectSchemaStmt: (node) => onField(node, 'relation', 'ACCESS EXCLUSIVE'),
  AlterSeqStmt: (node) => onField(node, 'sequence', 'SHARE ROW EXCLUSIVE'),
  AlterTableStmt(node) {
    const commands = listOf(node, 'cmds').map((command) => alterLock(command));
    const mode = commands.reduce<LockMode>(
      (most, command) => (rank(command.mode) > rank(most) ? command.mode : most),
      'ACCESS SHARE',
    );
    const rewrites = commands.some((command) => command.rewrites === true)
      ? true
      : commands.some((command) => command.rewrites === null)
        ? null
        : false;
    return [
      ...onField(node, 'relation', mode, rewrites),
      ...listOf(node, 'cmds').flatMap((command) => [...partition(command), ...referenced(command)]),
    ];
  },
};

/** A table that a new foreign key refers to gets triggers. */
function referenced(node: Node): LockTarget[] {
  const definition = childOfAny(node, 'def');
  const constraints = [
    ...(definition === null ? [] : [definition, ...constraintsOf(definition)]),
    ...(node.kind === 'CreateStmt' ? listOf(node, 'tableElts') : []),
  ];
  return constraints
    .flatMap((element) => [element, ...constraintsOf(element)])
    .filter(({ kind }) => kind === 'Constraint')
    .flatMap((constraint) => onField(constraint, 'pktable', 'SHARE ROW EXCLUSIVE'));
}

const constraintsOf = (element: Node): Node[] =>
  element.kind === 'ColumnDef' ? listOf(element, 'constraints') : [];

const childOfAny = (node: Node, field: string): Node | null =>
  node.kind === 'AlterTableCmd' ? childOf(node, field) : null;

/** The partition of ATTACH and DETACH. */
function partition(command: Node): LockTarget[] {
  const definition = childOf(command, 'def');
  return definition?.kind === 'PartitionCmd' ? onField(definition, 'name', 'ACCESS EXCLUSIVE') : [];
}

// — ALTER TABLE ————————————————————————————————————————————————————————————————————————————————————————

interface Command {
  readonly mode: LockMode;
  readonly rewrites: Rewrites;
}

/** Subcommands with a weaker lock than ACCESS EXCLUSIVE, always. */
const WEAKER: Readonly<Record<string, LockMode>> = {
  AT_SetStatistics: 'SHARE UPDATE EXCLUSIVE',
  AT_SetOptions: 'SHARE UPDATE EXCLUSIVE',
  AT_ResetOptions: 'SHARE UPDATE EXCLUSIVE',
  AT_ClusterOn: 'SHARE UPDATE EXCLUSIVE',
  AT_DropCluster: 'SHARE UPDATE EXCLUSIVE',
  AT_ValidateConstraint: 'SHARE UPDATE EXCLUSIVE',
  AT_AttachPartition: 'SHARE UPDATE EXCLUSIVE',
  AT_DetachPartitionFinalize: 'SHARE UPDATE EXCLUSIVE',
  AT_EnableTrig: 'SHARE ROW EXCLUSIVE',
  AT_EnableAlwaysTrig: 'SHARE ROW EXCLUSIVE',
  AT_EnableReplicaTrig: 'SHARE ROW EXCLUSIVE',
  AT_EnableTrigAll: 'SHARE ROW EXCLUSIVE',
  AT_EnableTrigUser: 'SHARE ROW EXCLUSIVE',
  AT_DisableTrig: 'SHARE ROW EXCLUSIVE',
  AT_DisableTrigAll: 'SHARE ROW EXCLUSIVE',
  AT_DisableTrigUser: 'SHARE ROW EXCLUSIVE',
};

const REWRITES: Readonly<Record<string, Rewrites>> = {
  AT_SetLogged: true,
  AT_SetUnLogged: true,
  AT_SetTableSpace: true,
  AT_SetAccessMethod: true,
  AT_SetExpression: true,
  // Not where the old values are valid as they stand (varchar(10) to varchar(20)): that is for the server to say.
  AT_AlterColumnType: null,
};

/** Storage parameters that are changed under SHARE UPDATE EXCLUSIVE: the manual, "SET ( storage_parameter )". */
const WEAK_PARAMETER =
  /^(fillfactor|toast_tuple_target|parallel_workers|log_autovacuum_.*|autovacuum_.*|vacuum_.*)$/;

function alterLock(command: Node): Command {
  const type = textOf(command, 'subtype') ?? '';
  const definition = childOf(command, 'def');
  if (type === 'AT_AddColumn') return { mode: 'ACCESS EXCLUSIVE', rewrites: addedColumnRewrites(definition) };
  if (
    type === 'AT_AddConstraint' &&
    definition !== null &&
    textOf(definition, 'contype') === 'CONSTR_FOREIGN'
  )
    return { mode: 'SHARE ROW EXCLUSIVE', rewrites: false };
  if (type === 'AT_DetachPartition' && definition !== null && isSet(definition, 'concurrent'))
    return { mode: 'SHARE UPDATE EXCLUSIVE', rewrites: false };
  if (type === 'AT_SetRelOptions' || type === 'AT_ResetRelOptions') {
    const names = definition?.kind === 'List' ? listOf(definition, 'items') : listOf(command, 'def');
    const weak =
      names.length > 0 && names.every((name) => WEAK_PARAMETER.test(textOf(name, 'defname') ?? ''));
    return { mode: weak ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE', rewrites: false };
  }
  const rewrites = Object.hasOwn(REWRITES, type) ? (REWRITES[type] ?? null) : false;
  return { mode: WEAKER[type] ?? 'ACCESS EXCLUSIVE', rewrites };
}

/** Since PostgreSQL 11 a default that does not change from row to row is kept in the catalog. */
function addedColumnRewrites(column: Node | null): Rewrites {
  if (column?.kind !== 'ColumnDef') return null;
  const type = childOf(column, 'typeName');
  const [, typeName] = type === null ? [null, ''] : qualifiedName(namesOf(type, 'names'));
  // A serial column has a default of its own; the constraints of a domain may have to be checked.
  if (/^(small|big)?serial[248]?$/.test(typeName)) return true;
  let rewrites: Rewrites = BUILTIN_TYPES.has(typeName) ? false : null;
  for (const constraint of listOf(column, 'constraints')) {
    const kind = textOf(constraint, 'contype');
    if (kind === 'CONSTR_IDENTITY') return true;
    // Stored, or (from PostgreSQL 18 on) virtual and not rewritten.
    if (kind === 'CONSTR_GENERATED') {
      if (textOf(constraint, 'generated_kind') !== 'v') return true;
    } else if (kind === 'CONSTR_DEFAULT') {
      const value = childOf(constraint, 'raw_expr');
      if (value !== null && !isSteady(value)) rewrites = null;
    }
  }
  return rewrites;
}

function isSteady(value: Node): boolean {
  if (value.kind === 'A_Const' || value.kind === 'SQLValueFunction') return true;
  if (value.kind === 'TypeCast') {
    const of = childOf(value, 'arg');
    return of !== null && isSteady(of);
  }
  if (value.kind !== 'FuncCall') return false;
  const [, name] = qualifiedName(namesOf(value, 'funcname'));
  return STEADY_FUNCTIONS.has(name) && listOf(value, 'args').every(isSteady);
}
