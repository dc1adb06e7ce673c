// One snapshot of a database's own objects, to look names up in. Names are matched in the schemas of a search_path where
// it is known, and in every schema where it is not: whoever is asked for one answer gets all candidates.
import type { FunctionUse, RelationUse } from './facts.ts';
import type {
  CastRow,
  FunctionRow,
  OperatorRow,
  RelationRow,
  RuleRow,
  Snapshot,
  TriggerRow,
  TypeRow,
} from './snapshot.ts';

/** Schemas in the order in which the server looks; null: not known. */
export type SearchPath = readonly string[] | null;

interface Named {
  readonly schema: string;
  readonly name: string;
}

class ByName<Row extends Named> {
  readonly #rows = new Map<string, Row[]>();

  constructor(rows: readonly Row[]) {
    for (const row of rows) add(this.#rows, row.name, row);
  }

  /** Every one that `name` may mean. */
  find(schema: string | null, name: string, path: SearchPath): readonly Row[] {
    const rows = this.#rows.get(name) ?? [];
    if (rows.length === 0) return rows;
    if (schema !== null) return rows.filter((row) => row.schema === schema);
    return path === null ? rows : rows.filter((row) => path.includes(row.schema));
  }

  has(schema: string | null, name: string): boolean {
    const rows = this.#rows.get(name);
    return rows !== undefined && (schema === null || rows.some((row) => row.schema === schema));
  }
}

export class Catalog {
  readonly functions: ByName<FunctionRow>;
  readonly relations: ByName<RelationRow>;
  readonly operators: ByName<OperatorRow>;
  readonly types: ByName<TypeRow>;
  readonly casts: readonly CastRow[];
  readonly #functionsByOid: ReadonlyMap<number, FunctionRow>;
  readonly #relationsByOid: ReadonlyMap<number, RelationRow>;
  readonly #typesByOid: ReadonlyMap<number, TypeRow>;
  readonly #rules = new Map<number, RuleRow[]>();
  readonly #triggers = new Map<number, TriggerRow[]>();
  readonly #children = new Map<number, number[]>();
  readonly #calls = new Map<string, number[]>();
  readonly #aggregates = new Map<number, string[]>();
  /** Type → the relations with columns of it. */
  readonly #columns = new Map<number, Set<number>>();

  constructor(snapshot: Snapshot) {
    this.functions = new ByName(snapshot.functions);
    this.relations = new ByName(snapshot.relations);
    this.operators = new ByName(snapshot.operators);
    this.types = new ByName(snapshot.types);
    this.casts = snapshot.casts;
    this.#functionsByOid = new Map(snapshot.functions.map((row) => [row.oid, row]));
    this.#relationsByOid = new Map(snapshot.relations.map((row) => [row.oid, row]));
    this.#typesByOid = new Map(snapshot.types.map((row) => [row.oid, row]));
    for (const rule of snapshot.rules) add(this.#rules, rule.relation, rule);
    for (const trigger of snapshot.triggers) add(this.#triggers, trigger.relation, trigger);
    for (const { parent, child } of snapshot.children) add(this.#children, parent, child);
    for (const { kind, of, on } of snapshot.dependencies) add(this.#calls, `${kind} ${of}`, on);
    for (const { aggregate, calls } of snapshot.aggregates) add(this.#aggregates, aggregate, calls);
    for (const { relation, type } of snapshot.columns) {
      const relations = this.#columns.get(type) ?? new Set();
      this.#columns.set(type, relations.add(relation));
    }
  }

  functionOf(oid: number): FunctionRow | undefined {
    return this.#functionsByOid.get(oid);
  }

  relationOf(oid: number): RelationRow | undefined {
    return this.#relationsByOid.get(oid);
  }

  typeOf(oid: number): TypeRow | undefined {
    return this.#typesByOid.get(oid);
  }

  rulesOn(relation: RelationRow, event: RuleRow['event']): readonly RuleRow[] {
    return (this.#rules.get(relation.oid) ?? []).filter((rule) => rule.event === event);
  }

  triggersOn(relation: RelationRow): readonly TriggerRow[] {
    return this.#triggers.get(relation.oid) ?? [];
  }

  /** Partitions and heirs, theirs too. */
  descendantsOf(relation: RelationRow): readonly RelationRow[] {
    const found = new Set([relation.oid]);
    for (const oid of found) for (const child of this.#children.get(oid) ?? []) found.add(child);
    found.delete(relation.oid);
    return [...found].flatMap((oid) => this.#relationsByOid.get(oid) ?? []);
  }

  /** Functions of the snapshot that an object calls, whatever names they are called by. */
  callsOf(kind: 'rule' | 'function' | 'constraint', oid: number): readonly FunctionRow[] {
    return (this.#calls.get(`${kind} ${oid}`) ?? []).flatMap((on) => this.#functionsByOid.get(on) ?? []);
  }

  /** Views that a rule reads or writes. */
  viewsOf(rule: RuleRow): readonly RelationRow[] {
    return (this.#calls.get(`rule reads ${rule.oid}`) ?? []).flatMap(
      (on) => this.#relationsByOid.get(on) ?? [],
    );
  }

  /** Built-in functions that this aggregate is made of. */
  partsOf(aggregate: FunctionRow): readonly string[] {
    return this.#aggregates.get(aggregate.oid) ?? [];
  }

  hasColumn(relation: number, type: number): boolean {
    return this.#columns.get(type)?.has(relation) ?? false;
  }

  /** Whether anything has this name, in any schema where none is given. */
  knowsFunction({ schema, name }: FunctionUse): boolean {
    return this.functions.has(schema, name) || this.types.has(schema, name);
  }

  knowsRelation({ schema, name }: Pick<RelationUse, 'schema' | 'name'>): boolean {
    return this.relations.has(schema, name);
  }
}

function add<Key, Value>(lists: Map<Key, Value[]>, key: Key, value: Value): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}
