// The facts of a statement as they are in one database: what names alone left open is answered by its catalog. Only what
// was there because a function or an operator is not built in can go; everything that the text alone shows stays.
import { CATALOG_RELATIONS } from './builtins.ts';
import type { Catalog, SearchPath } from './catalog.ts';
import type { Facts, StatementClass } from './facts.ts';
import { meaningOfCall, runsInPlanning } from './functions.ts';
import { type Found, Reach } from './reach.ts';

export interface Resolution {
  /** The very same value where the catalog has nothing to add or to take away. */
  readonly facts: Facts;
  /** Planning alone may run what is held: not even a Bind may pass. */
  readonly inPlanning: boolean;
}

/** Names of `facts` that the catalog has nothing under, in any schema; keys for a set. */
export function unknownNames({ relations, functions }: Facts, catalog: Catalog): string[] {
  const unknown: string[] = [];
  for (const { schema, name, use } of relations) {
    if (use === 'define' || schema === 'pg_catalog' || schema === 'information_schema') continue;
    if (catalog.knowsRelation({ schema, name }) || (schema === null && CATALOG_RELATIONS.has(name))) continue;
    unknown.push(JSON.stringify(['relation', schema, name]));
  }
  for (const { schema, name } of functions) {
    // A built-in one may have got a namesake: for how long that is not seen, the age of the snapshot bounds.
    if (meaningOfCall(schema, name).foreign && !catalog.knowsFunction({ schema, name }))
      unknown.push(JSON.stringify(['function', schema, name]));
  }
  return unknown;
}

/** Planning alone may run a built-in function of it that is held. */
export const plansBuiltIn = ({ functions }: Facts): boolean =>
  functions.some(({ name }) => runsInPlanning(name));

/** `facts` itself where nothing in it has a name that a catalog could know. */
export const namesNothing = ({ relations, functions, open }: Facts): boolean =>
  relations.length === 0 &&
  functions.length === 0 &&
  open.operators.length === 0 &&
  open.types.length === 0 &&
  open.attributes.length === 0;

export function resolve(facts: Facts, catalog: Catalog, path: SearchPath): Resolution {
  const found = new Reach(catalog);
  found.names(facts, path, '');
  const { open } = facts;
  const classes = union(open.classes, [...found.classes, ...found.actions.flatMap((each) => each.classes)]);
  const reasons = union(open.reasons, [...found.reasons]);
  const unchanged =
    found.actions.length === 0 && same(classes, facts.classes) && same(reasons, facts.reasons);
  if (unchanged && isPlain(facts.classes, facts.where)) return { facts, inPlanning: found.inPlanning };
  const changed = merged(facts, found, classes, reasons);
  const told = isPlain(changed.classes, changed.where) ? [] : besides(changed, catalog, path);
  return {
    facts:
      unchanged && told.length === 0
        ? facts
        : Object.freeze({ ...changed, reasons: Object.freeze(union(changed.reasons, told)) }),
    inPlanning: found.inPlanning,
  };
}

/** Where the catalog may have changed since: what it says counts as well as what the text alone says. */
export function atWorst(facts: Facts, { facts: resolved }: Resolution): Facts {
  if (resolved === facts) return facts;
  return Object.freeze({
    ...resolved,
    classes: Object.freeze(union(resolved.classes, facts.classes)),
    reasons: Object.freeze(union(resolved.reasons, facts.reasons)),
  });
}

const WEAKEST: readonly Facts['where'][] = ['none', 'constant', 'real', 'absent'];

function merged(
  facts: Facts,
  { actions }: Found,
  classes: readonly StatementClass[],
  reasons: readonly string[],
): Facts {
  const wheres = [facts.where, ...actions.map(({ where }) => where)];
  return {
    ...facts,
    classes: Object.freeze(classes),
    reasons,
    tags: Object.freeze([...facts.tags, ...actions.flatMap(({ tags }) => tags)]),
    relations: Object.freeze([...facts.relations, ...actions.flatMap(({ relations }) => relations)]),
    functions: Object.freeze([...facts.functions, ...actions.flatMap(({ functions }) => functions)]),
    where: WEAKEST.find((where) => wheres.includes(where)) ?? facts.where,
  };
}

const PLAIN: ReadonlySet<StatementClass> = new Set(['read', 'write', 'session', 'transaction', 'notify']);

/** Nobody will be asked about it, as far as can be told here, so nobody needs to be told more. */
const isPlain = (classes: readonly StatementClass[], where: Facts['where']): boolean =>
  classes.every((one) => PLAIN.has(one)) && (where === 'absent' || where === 'real');

/** What whoever decides should know of the tables besides: ordinary in itself. */
function besides(facts: Facts, catalog: Catalog, path: SearchPath): string[] {
  const told: string[] = [];
  for (const { schema, name, use } of facts.relations) {
    for (const relation of catalog.relations.find(schema, name, path)) {
      const shown = `${relation.schema}.${relation.name}`;
      if (relation.kind === 'foreign table') told.push(`${shown} is a table on another server`);
      if (use === 'read' || use === 'lock') continue;
      const children = catalog.descendantsOf(relation);
      if (children.length > 0) told.push(`${shown} has ${children.length} partitions or heirs`);
      const triggers = [relation, ...children].flatMap((each) => catalog.triggersOn(each));
      const calls = [...new Set(triggers.map((trigger) => `${trigger.name} (${trigger.function})`))];
      if (calls.length > 0) told.push(`${shown} has triggers: ${calls.slice(0, 10).join(', ')}`);
    }
  }
  return told;
}

const union = <Value>(some: readonly Value[], more: readonly Value[]): Value[] => [
  ...new Set([...some, ...more]),
];

const same = (some: readonly string[], others: readonly string[]): boolean =>
  some.length === others.length && some.every((one) => others.includes(one));
