// Reads the snapshot of a database's own objects, with a handful of queries that work on PostgreSQL 13 to 18 and that
// any role may ask. Definitions take locks and time, so only those that have changed since the last snapshot are read.
import { CountersignError } from '../base/errors.ts';
import type {
  CastRow,
  DependencyRow,
  FunctionRow,
  OperatorRow,
  RelationRow,
  RuleRow,
  Snapshot,
  TypeRow,
} from '../sql/snapshot.ts';
import { FIRST_USER_OID } from '../sql/snapshot.ts';
import type { Query, Row } from './scout.ts';

/** Objects of one kind, and megabytes of definitions. A catalog larger than that is not kept, and says so. */
const CATALOG_ROWS_MAX = 200_000;
const DEFINITIONS_MAX_BYTES = 64 * 1024 * 1024;

/** Texts by object and by the version of its row. */
export type Definitions = ReadonlyMap<string, string>;

export interface Read {
  readonly snapshot: Snapshot;
  readonly definitions: Definitions;
}

/** What one session makes for itself nobody else sees. */
const LASTING = "nspname !~ '^pg_(temp|toast)'";

const FUNCTIONS = (standardBodies: boolean): string => `
  SELECT p.oid, p.xmin AS version, n.nspname AS schema, p.proname AS name, p.prokind AS kind,
    p.provolatile AS volatility, p.prosecdef AS definer, l.lanname AS language,
    e.objid IS NOT NULL AS extension,
    CASE WHEN l.lanname = 'sql' AND e.objid IS NULL THEN p.prosrc END AS body,
    ${standardBodies ? 'p.prosqlbody IS NOT NULL' : 'false'} AS parsed,
    pg_get_expr(p.proargdefaults, 0) AS defaults,
    p.pronargs > 0 AND p.pronargs - p.pronargdefaults <= 1 AND t.typtype IN ('c', 'd', 'p') AS takes_row,
    array_to_string(p.prorettype || coalesce(p.proallargtypes, '{}'), ' ') AS results, r.typrelid AS rows_of
  FROM pg_proc p
    JOIN pg_namespace n ON n.oid = p.pronamespace
    JOIN pg_language l ON l.oid = p.prolang
    JOIN pg_type r ON r.oid = p.prorettype
    LEFT JOIN pg_type t ON t.oid = p.proargtypes[0]
    LEFT JOIN pg_depend e ON e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e'
  WHERE p.oid >= ${FIRST_USER_OID} AND ${LASTING}`;

const RELATIONS = `
  SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind,
    r.oid AS rule, r.xmin AS version
  FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_rewrite r ON r.ev_class = c.oid AND r.rulename = '_RETURN' AND c.relkind = 'v'
  WHERE c.oid >= ${FIRST_USER_OID} AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND ${LASTING}`;

const RULES = `
  SELECT r.oid, r.xmin AS version, r.ev_class AS relation, r.rulename AS name, r.ev_type AS event
  FROM pg_rewrite r
  WHERE r.ev_class >= ${FIRST_USER_OID} AND r.ev_enabled <> 'D'`;

const OPERATORS = `
  SELECT n.nspname AS schema, o.oprname AS name, o.oprcode::oid AS function, p.proname AS function_name,
    o.oprleft AS left, o.oprright AS right
  FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace JOIN pg_proc p ON p.oid = o.oprcode
  WHERE o.oid >= ${FIRST_USER_OID} AND ${LASTING}`;

const CASTS = `
  SELECT c.castfunc AS function, p.proname AS function_name, c.castcontext AS context,
    s.oid AS source, sn.nspname AS source_schema, s.typname AS source_name,
    t.oid AS target, tn.nspname AS target_schema, t.typname AS target_name
  FROM pg_cast c
    JOIN pg_proc p ON p.oid = c.castfunc
    JOIN pg_type s ON s.oid = c.castsource JOIN pg_namespace sn ON sn.oid = s.typnamespace
    JOIN pg_type t ON t.oid = c.casttarget JOIN pg_namespace tn ON tn.oid = t.typnamespace
  WHERE c.oid >= ${FIRST_USER_OID}`;

/** Row types of tables and arrays aside: they have no functions of their own. */
const TYPES = `
  SELECT t.oid, n.nspname AS schema, t.typname AS name, t.typbasetype AS base
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
  WHERE t.oid >= ${FIRST_USER_OID} AND t.typcategory <> 'A' AND ${LASTING}
    AND (t.typtype IN ('b', 'd', 'e', 'r', 'm') OR c.relkind = 'c')`;

const CHECKS = `
  SELECT k.oid, k.contypid AS type, pg_get_expr(k.conbin, 0) AS expression
  FROM pg_constraint k
  WHERE k.contypid >= ${FIRST_USER_OID} AND k.contype = 'c'`;

/**
 * What the server itself knows of who calls whom. It does not list what every database has. By these, not by the names in
 * definitions, because a definition that is kept has the names of its time.
 */
const DEPENDENCIES = `
  SELECT DISTINCT d.classid::regclass::text AS kind, d.objid AS of, coalesce(o.oprcode::oid, d.refobjid) AS on
  FROM pg_depend d
    LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
  WHERE d.classid IN ('pg_rewrite'::regclass, 'pg_proc'::regclass, 'pg_constraint'::regclass)
    AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass)
    AND d.refobjid >= ${FIRST_USER_OID} AND d.deptype IN ('n', 'a', 'i')`;

const VIEWS_READ = `
  SELECT DISTINCT 'rule reads' AS kind, d.objid AS of, d.refobjid AS on
  FROM pg_depend d JOIN pg_class c ON c.oid = d.refobjid AND c.relkind = 'v'
  WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
    AND d.refobjid >= ${FIRST_USER_OID} AND d.deptype = 'n'`;

const AGGREGATES = `
  SELECT DISTINCT a.aggfnoid::oid AS aggregate, p.proname AS calls
  FROM pg_aggregate a
    CROSS JOIN LATERAL unnest(ARRAY[a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn,
      a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn]::oid[]) AS part(oid)
    JOIN pg_proc p ON p.oid = part.oid
  WHERE a.aggfnoid::oid >= ${FIRST_USER_OID} AND part.oid < ${FIRST_USER_OID}`;

const COLUMNS = `
  SELECT DISTINCT a.attrelid AS relation, a.atttypid AS type
  FROM pg_attribute a
  WHERE a.attnum > 0 AND NOT a.attisdropped AND a.atttypid >= ${FIRST_USER_OID} AND a.atttypid IN (
    SELECT unnest(ARRAY[castsource, casttarget]) FROM pg_cast WHERE oid >= ${FIRST_USER_OID} AND castfunc <> 0
    UNION SELECT unnest(ARRAY[oprleft, oprright]) FROM pg_operator WHERE oid >= ${FIRST_USER_OID})`;

const TRIGGERS = `
  SELECT t.tgrelid AS relation, t.tgname AS name, n.nspname || '.' || p.proname AS function
  FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace
  WHERE NOT t.tgisinternal AND t.tgenabled <> 'D'`;

const CHILDREN = 'SELECT inhparent AS parent, inhrelid AS child FROM pg_inherits';

/**
 * Rejects as the scout does, and with CountersignError `limit` where the catalog is larger than what is kept. `known`:
 * the definitions of the last snapshot. `query` must be in a transaction.
 */
export async function readSnapshot(query: Query, known: Definitions): Promise<Read> {
  // Names of the users come out with their schema, and nothing of theirs can stand in the place of what is used here.
  await query("SET LOCAL search_path TO 'pg_catalog'");
  const [version] = await query("SELECT current_setting('server_version_num') AS number");
  const standardBodies = Number(version?.['number']) >= 140_000;
  const rows = async (sql: string): Promise<readonly Row[]> => {
    const found = await query(`${sql} LIMIT ${CATALOG_ROWS_MAX + 1}`);
    if (found.length > CATALOG_ROWS_MAX) throw tooLarge(`more than ${CATALOG_ROWS_MAX} objects of one kind`);
    return found;
  };
  const functions = await rows(FUNCTIONS(standardBodies));
  const relations = await rows(RELATIONS);
  const rules = await rows(RULES);
  const definitions = await readDefinitions(query, known, functions, relations, rules);
  const checks = byType(await rows(CHECKS));
  return {
    definitions,
    snapshot: {
      functions: functions.map((row) => functionOf(row, definitions)),
      relations: relations.map((row) => relationOf(row, definitions)),
      rules: rules.map((row) => ruleOf(row, definitions)),
      operators: (await rows(OPERATORS)).map(operatorOf),
      casts: (await rows(CASTS)).map(castOf),
      types: (await rows(TYPES)).map((row) => typeOf(row, checks)),
      dependencies: [...(await rows(DEPENDENCIES)), ...(await rows(VIEWS_READ))].map(dependencyOf),
      aggregates: (await rows(AGGREGATES)).map((row) => ({
        aggregate: number(row, 'aggregate'),
        calls: text(row, 'calls'),
      })),
      columns: (await rows(COLUMNS)).map((row) => ({
        relation: number(row, 'relation'),
        type: number(row, 'type'),
      })),
      triggers: (await rows(TRIGGERS)).map((row) => ({
        relation: number(row, 'relation'),
        name: text(row, 'name'),
        function: text(row, 'function'),
      })),
      children: (await rows(CHILDREN)).map((row) => ({
        parent: number(row, 'parent'),
        child: number(row, 'child'),
      })),
    },
  };
}

const tooLarge = (what: string): CountersignError =>
  new CountersignError('limit', `the catalog of the database is too large to be kept: ${what}`);

// — Definitions ————————————————————————————————————————————————————————————————————————————————————————

/** How the server shows each kind; the OID is that of the relation for a view, else the object's own. */
const SHOWN = {
  view: 'pg_get_viewdef',
  rule: 'pg_get_ruledef',
  body: 'pg_get_function_sqlbody',
} as const;
type Shown = keyof typeof SHOWN;

const keyOf = (kind: Shown, oid: string | null, version: string | null): string =>
  `${kind} ${oid} ${version}`;

async function readDefinitions(
  query: Query,
  known: Definitions,
  functions: readonly Row[],
  relations: readonly Row[],
  rules: readonly Row[],
): Promise<Definitions> {
  const wanted: Record<Shown, [key: string, oid: number][]> = { view: [], rule: [], body: [] };
  for (const row of functions) {
    if (row['parsed'] === 't' && row['body'] !== null) wanted.body.push(entry('body', row));
  }
  for (const row of relations) if (row['kind'] === 'v') wanted.view.push(entry('view', row));
  for (const row of rules) if (row['name'] !== '_RETURN') wanted.rule.push(entry('rule', row));

  const found = new Map<string, string>();
  let bytes = 0;
  const keep = (key: string, definition: string): void => {
    bytes += definition.length;
    if (bytes > DEFINITIONS_MAX_BYTES)
      throw tooLarge(`more than ${DEFINITIONS_MAX_BYTES} bytes of definitions`);
    found.set(key, definition);
  };
  for (const kind of Object.keys(SHOWN) as Shown[]) {
    const missing = new Map<number, string>();
    for (const [key, oid] of wanted[kind]) {
      const definition = known.get(key);
      if (definition === undefined) missing.set(oid, key);
      else keep(key, definition);
    }
    if (missing.size === 0) continue;
    const list = [...missing.keys()].join(',');
    const shown = await query(
      `SELECT oid, ${SHOWN[kind]}(oid) AS definition FROM unnest('{${list}}'::oid[]) AS oid`,
    );
    for (const row of shown) {
      const key = missing.get(number(row, 'oid'));
      // Null where it has been dropped since.
      if (key !== undefined && row['definition']) keep(key, row['definition']);
    }
  }
  return found;
}

const entry = (kind: Shown, row: Row): [string, number] => [
  keyOf(kind, row['oid'] ?? null, row['version'] ?? null),
  number(row, 'oid'),
];

// — Rows ———————————————————————————————————————————————————————————————————————————————————————————————

const text = (row: Row, column: string): string => row[column] ?? '';
const number = (row: Row, column: string): number => Number(row[column] ?? 0);
const flag = (row: Row, column: string): boolean => row[column] === 't';

const KINDS: Readonly<Record<string, FunctionRow['kind']>> = { p: 'procedure', a: 'aggregate', w: 'window' };
const VOLATILITIES: Readonly<Record<string, FunctionRow['volatility']>> = { i: 'immutable', s: 'stable' };

function functionOf(row: Row, definitions: Definitions): FunctionRow {
  const parsed = flag(row, 'parsed') && row['body'] !== null;
  return {
    oid: number(row, 'oid'),
    schema: text(row, 'schema'),
    name: text(row, 'name'),
    kind: KINDS[text(row, 'kind')] ?? 'function',
    volatility: VOLATILITIES[text(row, 'volatility')] ?? 'volatile',
    definer: flag(row, 'definer'),
    language: text(row, 'language'),
    extension: flag(row, 'extension'),
    body: parsed
      ? (definitions.get(keyOf('body', row['oid'] ?? null, row['version'] ?? null)) ?? null)
      : (row['body'] ?? null),
    form: parsed ? 'parsed' : 'text',
    defaults: row['defaults'] ?? null,
    takesRow: flag(row, 'takes_row'),
    results: text(row, 'results').split(' ').map(Number),
    rowsOf: number(row, 'rows_of'),
  };
}

const RELATION_KINDS: Readonly<Record<string, RelationRow['kind']>> = {
  v: 'view',
  m: 'materialized view',
  f: 'foreign table',
  S: 'sequence',
};

const relationOf = (row: Row, definitions: Definitions): RelationRow => ({
  oid: number(row, 'oid'),
  schema: text(row, 'schema'),
  name: text(row, 'name'),
  kind: RELATION_KINDS[text(row, 'kind')] ?? 'table',
  definition: definitions.get(keyOf('view', row['oid'] ?? null, row['version'] ?? null)) ?? null,
});

const EVENTS: Readonly<Record<string, RuleRow['event']>> = { 2: 'update', 3: 'insert', 4: 'delete' };

const ruleOf = (row: Row, definitions: Definitions): RuleRow => ({
  oid: number(row, 'oid'),
  relation: number(row, 'relation'),
  name: text(row, 'name'),
  event: EVENTS[text(row, 'event')] ?? 'select',
  definition: definitions.get(keyOf('rule', row['oid'] ?? null, row['version'] ?? null)) ?? null,
});

const operatorOf = (row: Row): OperatorRow => ({
  schema: text(row, 'schema'),
  name: text(row, 'name'),
  function: { oid: number(row, 'function'), name: text(row, 'function_name') },
  operands: [number(row, 'left'), number(row, 'right')].filter((type) => type !== 0),
});

const CONTEXTS: Readonly<Record<string, CastRow['context']>> = { a: 'assignment', i: 'implicit' };

const castOf = (row: Row): CastRow => ({
  function: { oid: number(row, 'function'), name: text(row, 'function_name') },
  context: CONTEXTS[text(row, 'context')] ?? 'explicit',
  source: {
    oid: number(row, 'source'),
    schema: text(row, 'source_schema'),
    name: text(row, 'source_name'),
  },
  target: {
    oid: number(row, 'target'),
    schema: text(row, 'target_schema'),
    name: text(row, 'target_name'),
  },
});

function byType(checks: readonly Row[]): ReadonlyMap<number, TypeRow['checks'][number][]> {
  const found = new Map<number, TypeRow['checks'][number][]>();
  for (const row of checks) {
    const type = number(row, 'type');
    const check = { constraint: number(row, 'oid'), expression: text(row, 'expression') };
    found.set(type, [...(found.get(type) ?? []), check]);
  }
  return found;
}

const typeOf = (row: Row, checks: ReturnType<typeof byType>): TypeRow => ({
  oid: number(row, 'oid'),
  schema: text(row, 'schema'),
  name: text(row, 'name'),
  base: number(row, 'base'),
  checks: checks.get(number(row, 'oid')) ?? [],
});

const DEPENDENTS: Readonly<Record<string, DependencyRow['kind']>> = {
  pg_rewrite: 'rule',
  pg_constraint: 'constraint',
  'rule reads': 'rule reads',
};

const dependencyOf = (row: Row): DependencyRow => ({
  of: number(row, 'of'),
  kind: DEPENDENTS[text(row, 'kind')] ?? 'function',
  on: number(row, 'on'),
});
