// Everything that a statement can reach through names: functions through their bodies and defaults, views through their
// queries, rules through their actions, operators, casts and domains through their functions. Each is visited once.
import type { Catalog, SearchPath } from './catalog.ts';
import type { Facts, FunctionUse, RelationUse, StatementClass } from './facts.ts';
import { meaningOfCall, runsInPlanning } from './functions.ts';
import { factsOfBody, factsOfExpressions, factsOfQueries, factsOfRule } from './parts.ts';
import type { CalledRow, FunctionRow, RelationRow, RuleRow, TypeRow } from './snapshot.ts';

/** More objects than the statements of people reach. What lies beyond is not looked at, so it is held. */
const OBJECTS_MAX = 500;
/** Views upon views upon views. Each level is a few frames of the stack. */
const DEPTH_MAX = 100;
/** A person reads the first ones. */
const REASONS_MAX = 20;

export interface Found {
  readonly classes: ReadonlySet<StatementClass>;
  readonly reasons: ReadonlySet<string>;
  /** Statements that rules put in. */
  readonly actions: readonly Facts[];
  /** Planning alone may run some of it. */
  readonly inPlanning: boolean;
}

type Part = Pick<Facts, 'relations' | 'functions' | 'settings' | 'open'>;

const CALLS = ' calls ';
const SYMBOL = /^[-+*/<>=~!@#%^&|`?]+$/;

export class Reach implements Found {
  readonly classes = new Set<StatementClass>();
  readonly reasons = new Set<string>();
  readonly actions: Facts[] = [];
  inPlanning = false;
  readonly #catalog: Catalog;
  readonly #seen = new Set<string>();
  /** Looks only whether there is anything; planning is asked about by whoever looks. */
  readonly #probe: boolean;
  #depth = 0;

  constructor(catalog: Catalog, probe = false) {
    this.#catalog = catalog;
    this.#probe = probe;
  }

  /** What one text names. `via`: how it is reached, for a person; '' for the statement itself. */
  names(part: Part, path: SearchPath, via: string): void {
    const catalog = this.#catalog;
    for (const { schema, name } of part.functions) {
      if (schema === 'pg_catalog' || SYMBOL.test(name)) continue;
      this.#call({ schema, name }, path, via);
    }
    for (const name of part.open.attributes) {
      for (const called of catalog.functions.find(null, name, path)) {
        if (called.takesRow) this.#function(called, via);
      }
    }
    for (const { schema, name } of part.open.operators) {
      if (schema === 'pg_catalog') continue;
      const found = catalog.operators.find(schema, name, path);
      for (const operator of found) {
        if (operator.operands.every((type) => this.#mayHave(part, type, path)))
          this.#called(operator.function, `${via}operator ${operator.schema}.${name} calls `);
      }
      if (found.length === 0 && schema !== null)
        this.#hold(`${via}operator ${schema}.${name}, which the database has not got`, true);
    }
    for (const { schema, name } of part.open.types) this.#type(schema, name, path, via);
    this.#casts(part, path, via);
    for (const use of part.relations) this.#relation(use, path, via);
  }

  // — Functions ——————————————————————————————————————————————————————————————————————————————————————

  #call({ schema, name }: FunctionUse, path: SearchPath, via: string): void {
    const found = this.#catalog.functions.find(schema, name, path);
    for (const called of found) this.#function(called, via);
    const types = this.#catalog.types.find(schema, name, path);
    if (types.length > 0) this.#type(schema, name, path, via);
    if (found.length > 0 || types.length > 0) return;
    const { foreign } = meaningOfCall(schema, name);
    const shown = schema === null ? name : `${schema}.${name}`;
    if (foreign) this.#hold(`${via}${shown} is no function that the database is known to have`, true);
  }

  #called({ oid, name }: CalledRow, via: string): void {
    const own = this.#catalog.functionOf(oid);
    if (own !== undefined) return this.#function(own, via);
    this.#builtIn(name, via);
  }

  #builtIn(name: string, via: string): void {
    const { classes, reason } = meaningOfCall('pg_catalog', name);
    for (const one of classes) this.#class(one);
    if (reason !== null) this.#reason(via + reason);
    if (runsInPlanning(name)) this.inPlanning = true;
  }

  #function(called: FunctionRow, via: string): void {
    this.#enter(`function ${called.oid}`, () => {
      const shown = `${called.schema}.${called.name}`;
      const why = this.#danger(called);
      if (why !== null)
        this.#hold(via.endsWith(CALLS) ? `${via}${shown}, which ${why}` : `${via}${shown} ${why}`, false);
      const through = `${via}${shown} calls `;
      for (const other of this.#catalog.callsOf('function', called.oid)) this.#function(other, through);
      for (const part of this.#catalog.partsOf(called)) this.#builtIn(part, through);
      if (called.defaults !== null) this.#part(factsOfExpressions(called.defaults), through);
      if (called.body !== null && !called.extension && called.language === 'sql') {
        this.#part(called.form === 'text' ? factsOfQueries(called.body) : factsOfBody(called.body), through);
      }
      // What claims to be steady, planning may run, with all that it reaches.
      if (called.volatility !== 'volatile' && !this.#probe && !this.inPlanning) {
        const alone = new Reach(this.#catalog, true);
        alone.#function(called, '');
        if (alone.classes.size > 0) this.inPlanning = true;
      }
    });
  }

  /** Why a call of it may do anything, by what it says of itself; null: it may not. */
  #danger(called: FunctionRow): string | null {
    const { definer, volatility, extension, language, kind, name } = called;
    if (definer) return 'runs with the rights of its owner';
    if (kind === 'procedure') return 'is a procedure';
    // Marked immutable whatever it is made of, which is looked at instead.
    if (kind === 'aggregate') return null;
    if (extension) {
      const { classes, foreign, reason } = meaningOfCall(null, name);
      if (!foreign) return classes.length === 0 ? null : (reason ?? '').slice(name.length + 1);
      return volatility === 'volatile' ? 'is volatile: it may change anything' : null;
    }
    if (volatility === 'volatile') return 'is volatile: it may change anything';
    if (language !== 'sql')
      return `is written in ${language}, where being marked ${volatility} proves nothing of what it does`;
    return called.body === null ? 'has a body that cannot be read' : null;
  }

  // — Relations ——————————————————————————————————————————————————————————————————————————————————————

  #relation({ schema, name, use }: RelationUse, path: SearchPath, via: string): void {
    if (use === 'define' || schema === 'pg_catalog' || schema === 'information_schema') return;
    for (const relation of this.#catalog.relations.find(schema, name, path)) {
      this.#view(relation, via);
      if (use === 'insert' || use === 'update' || use === 'delete') this.#rules(relation, use, via);
    }
  }

  #view(relation: RelationRow, via: string): void {
    // A materialized view shows what it once found; reading it runs nothing.
    if (relation.kind !== 'view') return;
    this.#enter(`view ${relation.oid}`, () => {
      const through = `${via}view ${relation.schema}.${relation.name}: `;
      for (const rule of this.#catalog.rulesOn(relation, 'select')) {
        this.#dependencies(rule, through);
      }
      this.#part(relation.definition === null ? null : factsOfQueries(relation.definition), through);
    });
  }

  #rules(relation: RelationRow, event: RuleRow['event'], via: string): void {
    this.#enter(`${event} ${relation.oid}`, () => {
      const shown = `${relation.schema}.${relation.name}`;
      for (const rule of this.#catalog.rulesOn(relation, event)) {
        this.#rule(rule, `${via}rule ${rule.name} on ${shown}: `);
      }
      if (relation.kind !== 'view' || relation.definition === null) return;
      // What is written to a simple view is written to what it shows.
      for (const { relations } of factsOfQueries(relation.definition) ?? []) {
        for (const { schema, name } of relations) {
          for (const below of this.#catalog.relations.find(schema, name, null)) {
            this.#rules(below, event, via);
          }
        }
      }
    });
  }

  #dependencies(rule: RuleRow, through: string): void {
    for (const called of this.#catalog.callsOf('rule', rule.oid)) this.#function(called, through);
    for (const view of this.#catalog.viewsOf(rule)) this.#view(view, through);
  }

  #rule(rule: RuleRow, through: string): void {
    this.#dependencies(rule, through);
    const facts = rule.definition === null ? null : factsOfRule(rule.definition);
    this.#part(facts, through);
    const actions = (facts ?? []).filter(({ tags }) => tags.length > 0);
    this.actions.push(...actions);
    if (actions.length > 0)
      this.#reason(`${through}also runs ${actions.map(({ tags }) => tags[0]).join(', ')}`);
  }

  // — Types ——————————————————————————————————————————————————————————————————————————————————————————

  #type(schema: string | null, name: string, path: SearchPath, via: string): void {
    if (schema === 'pg_catalog') return;
    for (const type of this.#catalog.types.find(schema, name, path)) this.#domain(type, via);
  }

  #domain(type: TypeRow, via: string): void {
    this.#enter(`type ${type.oid}`, () => {
      const through = `${via}the domain ${type.schema}.${type.name} checks with `;
      for (const { constraint, expression } of type.checks) {
        for (const called of this.#catalog.callsOf('constraint', constraint)) this.#function(called, through);
        this.#part(factsOfExpressions(expression), through);
      }
      const base = this.#catalog.typeOf(type.base);
      if (base !== undefined) this.#domain(base, via);
    });
  }

  /** Casts are seen in a text where they are written; the others where both types may be. */
  #casts(part: Part, path: SearchPath, via: string): void {
    for (const { source, target, function: called, context } of this.#catalog.casts) {
      if (!this.#mayHave(part, source.oid, path)) continue;
      const applies =
        names(part, target.name) ||
        // Put in by the server: on the way into a column, or anywhere.
        ((context === 'implicit' || (context === 'assignment' && part.relations.some(isWritten))) &&
          this.#mayHave(part, target.oid, path));
      if (applies) this.#called(called, `${via}the cast from ${source.name} to ${target.name} calls `);
    }
  }

  /** Whether a value of this type may be about: built-in types are, everywhere. */
  #mayHave(part: Part, oid: number, path: SearchPath): boolean {
    const catalog = this.#catalog;
    const type = catalog.typeOf(oid);
    if (type === undefined || names(part, type.name)) return true;
    if (
      part.relations.some(({ schema, name }) =>
        catalog.relations
          .find(schema, name, path)
          // A whole row is a value too, and has the table's name.
          .some((relation) => catalog.hasColumn(relation.oid, oid) || relation.name === type.name),
      )
    )
      return true;
    return part.functions.some(({ schema, name }) =>
      catalog.functions
        .find(schema, name, path)
        .some(({ results, rowsOf }) => results.includes(oid) || catalog.hasColumn(rowsOf, oid)),
    );
  }

  // — All of them ————————————————————————————————————————————————————————————————————————————————————

  /** A text of the catalog's. The server shows names of the users' with their schema; what was written by hand may not. */
  #part(facts: readonly Facts[] | null, via: string): void {
    if (facts === null) return this.#hold(`${via}something that is not understood here`, true);
    for (const one of facts) {
      for (const each of one.open.classes) this.#class(each);
      for (const reason of one.open.reasons) this.#reason(via + reason);
      if (one.settings.length > 0) this.#hold(`${via}what changes settings`, false);
      if (one.functions.some(({ name }) => runsInPlanning(name))) this.inPlanning = true;
      this.names(one, null, via);
    }
  }

  #hold(reason: string, inPlanning: boolean): void {
    this.#class('code');
    this.#reason(reason);
    if (inPlanning) this.inPlanning = true;
  }

  #class(one: StatementClass): void {
    if (one !== 'read') this.classes.add(one);
  }

  #reason(reason: string): void {
    if (this.reasons.size < REASONS_MAX) this.reasons.add(reason);
  }

  #enter(key: string, look: () => void): void {
    if (this.#seen.has(key)) return;
    if (this.#seen.size >= OBJECTS_MAX || this.#depth >= DEPTH_MAX)
      return this.#hold('what it reaches through views and functions is more than is looked at', true);
    this.#seen.add(key);
    this.#depth++;
    look();
    this.#depth--;
  }
}

const isWritten = ({ use }: RelationUse): boolean => use === 'insert' || use === 'update';

const names = (part: Part, type: string): boolean =>
  part.open.types.some(({ name }) => name === type) || part.functions.some(({ name }) => name === type);
