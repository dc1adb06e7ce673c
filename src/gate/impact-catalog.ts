// The questions to the server's catalog that an impact is made of, as SQL of PostgreSQL 13 to 18. Text only: impact.ts asks
// them. Nothing here reads a table of a user's, and but for sizes nothing takes a lock on one.

import type { LockMode } from '../sql/impact.ts';
import { conflictsOf } from '../sql/locks.ts';
import type { Dropped } from '../sql/outline.ts';
import type { Plannable } from '../sql/plannable.ts';

/** Valid as long as standard_conforming_strings is on, which the connection is opened with. */
export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
const nameOrNull = (text: string | null): string => (text === null ? 'NULL::name' : `${literal(text)}::name`);
const list = (texts: readonly string[], type: string): string =>
  `ARRAY[${texts.map(literal).join(', ')}]::${type}[]`;
const oids = (values: readonly number[]): string => `'{${values.join(',')}}'::oid[]`;
const rows = (values: readonly string[]): string =>
  `(VALUES ${values.map((value) => `(${value})`).join(', ')})`;

/** Objects that initdb did not make. */
const FIRST_OF_A_USER = 16384;
/** Nobody but a superuser makes functions in these, and whoever installs an extension has decided on them. */
const TRUSTED_CODE = `(SELECT oid FROM pg_language WHERE lanname IN ('internal', 'c'))`;

export interface NamedRelation {
  readonly schema: string | null;
  readonly name: string;
}

/** i, oid, relkind, relation: those that there are. Not by regclass: that fails where a schema is not for us. */
export function relationsNamed(relations: readonly NamedRelation[]): string {
  const values = relations.map(({ schema, name }, i) => `${i}, ${nameOrNull(schema)}, ${nameOrNull(name)}`);
  return `SELECT v.i, c.oid, c.relkind, n.nspname || '.' || c.relname AS relation
    FROM ${rows(values)} AS v (i, schema, name)
    JOIN pg_class c ON c.relname = v.name
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE CASE WHEN v.schema IS NULL THEN pg_table_is_visible(c.oid) ELSE n.nspname = v.schema END`;
}

/** oid, bytes, rows: with indexes, TOAST and partitions. Locks each for reading. */
export function sizesOf(relations: readonly number[]): string {
  return `WITH RECURSIVE part (root, oid) AS (
      SELECT o, o FROM unnest(${oids(relations)}) AS o
      UNION SELECT part.root, i.inhrelid FROM part JOIN pg_inherits i ON i.inhparent = part.oid
    )
    SELECT part.root AS oid, coalesce(sum(pg_total_relation_size(c.oid)), 0)::int8 AS bytes,
      sum(CASE WHEN c.relkind IN ('p', 'v') OR c.reltuples < 0
        OR c.reltuples = 0 AND c.relpages = 0 AND current_setting('server_version_num')::int < 140000
        THEN NULL ELSE c.reltuples END)::int8 AS rows
    FROM part JOIN pg_class c ON c.oid = part.oid GROUP BY part.root`;
}

/** what: code of a user's that planning the statement might run, or a foreign table whose server it might ask. */
export function runInPlanning(plan: Plannable, relations: readonly number[]): string {
  const ofUser = `p.oid >= ${FIRST_OF_A_USER} AND p.prolang NOT IN ${TRUSTED_CODE}`;
  return `WITH RECURSIVE reach (classid, objid) AS (
      (SELECT 'pg_class'::regclass::oid, o FROM unnest(${oids(relations)}) AS o
       UNION SELECT 'pg_type'::regclass, t.oid FROM pg_type t
         WHERE t.typname = ANY (${list(plan.types, 'name')}) AND t.oid >= ${FIRST_OF_A_USER})
      UNION
      SELECT x.classid, x.objid FROM reach CROSS JOIN LATERAL (
        SELECT d.refclassid, d.refobjid FROM pg_depend d
          WHERE d.classid = reach.classid AND d.objid = reach.objid AND d.refclassid <> 'pg_namespace'::regclass
        UNION ALL SELECT 'pg_rewrite'::regclass, w.oid FROM pg_rewrite w
          WHERE reach.classid = 'pg_class'::regclass AND w.ev_class = reach.objid
        UNION ALL SELECT 'pg_policy'::regclass, l.oid FROM pg_policy l
          WHERE reach.classid = 'pg_class'::regclass AND l.polrelid = reach.objid
        UNION ALL SELECT 'pg_attrdef'::regclass, a.oid FROM pg_attrdef a
          WHERE reach.classid = 'pg_class'::regclass AND a.adrelid = reach.objid
        UNION ALL SELECT 'pg_class'::regclass, i.indexrelid FROM pg_index i
          WHERE reach.classid = 'pg_class'::regclass AND i.indrelid = reach.objid
        UNION ALL SELECT 'pg_class'::regclass, i.inhrelid FROM pg_inherits i
          WHERE reach.classid = 'pg_class'::regclass AND i.inhparent = reach.objid
        UNION ALL SELECT 'pg_constraint'::regclass, k.oid FROM pg_constraint k
          WHERE k.contype = 'c' AND CASE reach.classid WHEN 'pg_class'::regclass THEN k.conrelid
            WHEN 'pg_type'::regclass THEN k.contypid END = reach.objid
        UNION ALL SELECT 'pg_statistic_ext'::regclass, s.oid FROM pg_statistic_ext s
          WHERE reach.classid = 'pg_class'::regclass AND s.stxrelid = reach.objid
      ) AS x (classid, objid)
    )
    SELECT 'function ' || p.oid::regprocedure AS what FROM reach
      JOIN pg_proc p ON reach.classid = 'pg_proc'::regclass AND p.oid = reach.objid
      WHERE p.prolang NOT IN ${TRUSTED_CODE}
    UNION SELECT 'function ' || p.oid::regprocedure FROM pg_proc p
      WHERE p.proname = ANY (${list(plan.functions, 'name')}) AND ${ofUser}
    UNION SELECT 'function ' || p.oid::regprocedure FROM pg_proc p JOIN pg_type t ON t.oid = p.proargtypes[0]
      WHERE p.proname = ANY (${list(plan.columns, 'name')}) AND p.pronargs = 1 AND t.typtype IN ('c', 'p') AND ${ofUser}
    UNION SELECT 'operator ' || o.oid::regoperator FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode
      WHERE o.oprname = ANY (${list(plan.operators, 'name')}) AND ${ofUser}
    UNION SELECT 'the cast by function ' || p.oid::regprocedure FROM pg_cast c JOIN pg_proc p ON p.oid = c.castfunc
      WHERE ${ofUser}
    UNION SELECT 'foreign table ' || c.oid::regclass FROM reach
      JOIN pg_class c ON reach.classid = 'pg_class'::regclass AND c.oid = reach.objid WHERE c.relkind = 'f'
    LIMIT 4`;
}

/** n, type, safe: names of the parameters' types; `safe`: reading a value of it runs no code of a user's. */
export function parameterTypes(types: readonly number[]): string {
  return `SELECT u.n, CASE WHEN u.o = 0 THEN 'unknown' ELSE u.o::regtype::text END AS type,
      u.o < ${FIRST_OF_A_USER} OR EXISTS (SELECT FROM pg_type t WHERE t.oid = u.o AND t.typtype = 'e') AS safe
    FROM unnest(${oids(types)}) WITH ORDINALITY AS u (o, n) ORDER BY u.n`;
}

/** `ROW EXCLUSIVE` as pg_locks has it: `RowExclusiveLock`. */
const lockName = (mode: LockMode): string =>
  `${mode
    .toLowerCase()
    .split(' ')
    .map((word) => word.slice(0, 1).toUpperCase() + word.slice(1))
    .join('')}Lock`;

/** i, blockers, waiting: sessions and prepared transactions besides ourselves and `pid`, the one that asks. */
export function lockHolders(
  needs: readonly { readonly oid: number; readonly mode: LockMode }[],
  pid: number | null,
): string {
  const values = needs.map(
    ({ oid, mode }, i) => `${i}, ${oid}::oid, ${list(conflictsOf(mode).map(lockName), 'text')}`,
  );
  return `SELECT v.i, count(DISTINCT l.virtualtransaction) FILTER (WHERE l.mode = ANY (v.modes)) AS blockers,
      count(DISTINCT l.virtualtransaction) FILTER (WHERE NOT l.granted) AS waiting
    FROM ${rows(values)} AS v (i, oid, modes)
    LEFT JOIN pg_locks l ON l.locktype = 'relation' AND l.relation = v.oid
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND l.pid IS DISTINCT FROM pg_backend_pid() AND l.pid IS DISTINCT FROM ${pid ?? 'NULL'}::int
    GROUP BY v.i`;
}

export interface EventOn {
  readonly oid: number;
  readonly event: 'insert' | 'update' | 'delete' | 'truncate';
  readonly columns: readonly string[] | null;
}

const CASCADE_DEPTH = 8;
export const CASCADES_SHOWN = 50;

/** constraint, oid, relation, action, event: foreign keys that act on it, and on what those delete in turn. */
export function cascadesOf(events: readonly EventOn[], cascade: boolean): string {
  const values = events.map(
    ({ oid, event, columns }) =>
      `${oid}::oid, ${literal(event)}, ${columns === null ? 'NULL::name[]' : list(columns, 'name')}`,
  );
  const action = `CASE WHEN e.event = 'truncate' THEN ${cascade ? "'t'" : "'r'"}
    WHEN e.event = 'delete' THEN k.confdeltype ELSE k.confupdtype END`;
  return `WITH RECURSIVE f (oid, conname, conrelid, action, event, depth) AS (
      SELECT k.oid, k.conname, k.conrelid, ${action}, e.event, 1
        FROM ${rows(values)} AS e (oid, event, columns)
        JOIN pg_constraint k ON k.confrelid = e.oid AND k.contype = 'f' AND k.conparentid = 0
        WHERE e.event <> 'insert' AND (e.event <> 'update' OR e.columns IS NULL OR EXISTS (SELECT FROM pg_attribute a
          WHERE a.attrelid = k.confrelid AND a.attnum = ANY (k.confkey) AND a.attname = ANY (e.columns)))
      UNION
      SELECT k.oid, k.conname, k.conrelid, ${action}, e.event, e.depth + 1
        FROM f AS e JOIN pg_constraint k ON k.confrelid = e.conrelid AND k.contype = 'f' AND k.conparentid = 0
        WHERE e.depth < ${CASCADE_DEPTH} AND (e.action = 't' OR e.action = 'c' AND e.event = 'delete')
    )
    SELECT f.conname AS constraint, f.conrelid AS oid, n.nspname || '.' || c.relname AS relation,
      CASE f.action WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT'
        WHEN 'r' THEN 'RESTRICT' WHEN 't' THEN 'TRUNCATE' ELSE 'NO ACTION' END AS action,
      CASE WHEN f.action IN ('c', 't') THEN f.event WHEN f.action IN ('n', 'd') THEN 'update' END AS event
    FROM f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    GROUP BY 1, 2, 3, 4, 5 ORDER BY min(f.depth), 3, 1 LIMIT ${CASCADES_SHOWN + 1}`;
}

/** pg_trigger.tgtype */
const EVENT_BITS = { insert: 4, delete: 8, update: 16, truncate: 32 } as const;
export const TRIGGERS_SHOWN = 50;

/** trigger, relation, calls: those that are enabled and a user's own. */
export function triggersOf(events: readonly Pick<EventOn, 'oid' | 'event'>[]): string {
  const values = events.map(({ oid, event }) => `${oid}::oid, ${EVENT_BITS[event]}`);
  return `SELECT DISTINCT t.tgname AS trigger, n.nspname || '.' || c.relname AS relation, t.tgfoid::regproc::text AS calls
    FROM ${rows(values)} AS e (oid, bits)
    JOIN pg_trigger t ON t.tgrelid = e.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & e.bits <> 0
    JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    ORDER BY 2, 1 LIMIT ${TRIGGERS_SHOWN + 1}`;
}

export const DEPENDENTS_SHOWN = 50;

/** Where the search for dependents starts, for one object of a DROP: classid, objid, objsubid. */
function startOf({ kind, schema, name, column }: Dropped): string {
  const inSchema = (visible: string): string =>
    schema === null ? `${visible}` : `n.nspname = ${literal(schema)}`;
  switch (kind) {
    case 'relation':
    case 'column':
      return `SELECT 'pg_class'::regclass::oid, c.oid, ${
        column === null
          ? '0'
          : `(SELECT a.attnum FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = ${literal(column)})::int`
      } FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relname = ${literal(name)} AND ${inSchema('pg_table_is_visible(c.oid)')}`;
    case 'type':
      return `SELECT 'pg_type'::regclass::oid, t.oid, 0 FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
        WHERE t.typname = ${literal(name)} AND ${inSchema('pg_type_is_visible(t.oid)')}`;
    case 'function':
      return `SELECT 'pg_proc'::regclass::oid, p.oid, 0 FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE p.proname = ${literal(name)} AND ${inSchema('pg_function_is_visible(p.oid)')}`;
    case 'schema':
      return `SELECT 'pg_namespace'::regclass::oid, n.oid, 0 FROM pg_namespace n WHERE n.nspname = ${literal(name)}`;
    default:
      return kind satisfies never;
  }
}

/**
 * object, oid: what else goes. Edges of pg_depend as DROP follows them: `n` only with CASCADE, `a` and `i` always, and `i`
 * also backwards, from a part to the whole (a view's rule to the view). What belongs to a relation that goes as a whole
 * goes unnamed.
 */
export function dependentsOf(drops: readonly Dropped[]): string {
  return `WITH RECURSIVE start (classid, objid, objsubid) AS (
      ${drops.map(startOf).join(' UNION ')}
    ), d (classid, objid, objsubid, taken) AS (
      SELECT classid, objid, objsubid, false FROM start
      UNION
      SELECT x.* FROM d CROSS JOIN LATERAL (
        SELECT p.classid, p.objid, p.objsubid, d.taken OR p.deptype = 'n' FROM pg_depend p
          WHERE p.refclassid = d.classid AND p.refobjid = d.objid AND (d.objsubid = 0 OR p.refobjsubid = d.objsubid)
          AND p.deptype IN ('n', 'a', 'i', 'P', 'S')
        UNION ALL
        SELECT p.refclassid, p.refobjid, 0, d.taken FROM pg_depend p
          WHERE p.classid = d.classid AND p.objid = d.objid AND p.deptype = 'i' AND d.taken
      ) AS x
    ), gone (classid, objid) AS (SELECT DISTINCT classid, objid FROM d WHERE taken),
    whole (oid) AS (SELECT objid FROM d WHERE classid = 'pg_class'::regclass AND objsubid = 0
      UNION SELECT objid FROM start WHERE classid = 'pg_class'::regclass)
    SELECT pg_describe_object(g.classid, g.objid, 0) AS object, coalesce(c.oid, k.conrelid, tg.tgrelid) AS oid
    FROM gone g
    LEFT JOIN pg_class c ON g.classid = 'pg_class'::regclass AND c.oid = g.objid
    LEFT JOIN pg_type t ON g.classid = 'pg_type'::regclass AND t.oid = g.objid
    LEFT JOIN pg_constraint k ON g.classid = 'pg_constraint'::regclass AND k.oid = g.objid
    LEFT JOIN pg_trigger tg ON g.classid = 'pg_trigger'::regclass AND tg.oid = g.objid
    LEFT JOIN pg_policy po ON g.classid = 'pg_policy'::regclass AND po.oid = g.objid
    LEFT JOIN pg_attrdef ad ON g.classid = 'pg_attrdef'::regclass AND ad.oid = g.objid
    WHERE g.classid <> 'pg_rewrite'::regclass
      AND NOT EXISTS (SELECT FROM start s WHERE s.classid = g.classid AND s.objid = g.objid)
      AND coalesce(c.relkind, 'r') NOT IN ('i', 'I', 't')
      AND coalesce(t.typrelid, 0) = 0 AND coalesce(t.typcategory, 'U') <> 'A'
      AND NOT coalesce(tg.tgisinternal, false)
      AND NOT coalesce(coalesce(k.conrelid, tg.tgrelid, po.polrelid, ad.adrelid) IN (SELECT oid FROM whole), false)
    ORDER BY 1 LIMIT ${DEPENDENTS_SHOWN + 1}`;
}
