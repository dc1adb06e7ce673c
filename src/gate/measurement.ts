// One statement's impact, asked of the server step by step within a read-only transaction. Each step that the server
// refuses leaves its own gap, and the others go on.
import type { RelationEvent } from '../sql/outline.ts';
import { rowsOfPlan } from '../sql/plan.ts';
import { explainsOnly, type Plannable, preparesOnly } from '../sql/plannable.ts';
import type { ImpactQuestion } from './impact.ts';
import {
  CASCADES_SHOWN,
  cascadesOf,
  DEPENDENTS_SHOWN,
  dependentsOf,
  type EventOn,
  literal,
  lockHolders,
  parameterTypes,
  relationsNamed,
  runInPlanning,
  sizesOf,
  TRIGGERS_SHOWN,
  triggersOf,
} from './impact-catalog.ts';
import { type Found, type ImpactDraft, keyOf, RELATIONS_SHOWN } from './impact-draft.ts';
import { type Query, type Row, ScoutRefused } from './scout.ts';

let preparedSoFar = 0;

const WHY_LENGTH = 200;

export function whyOf(error: unknown): string {
  const sqlstate = sqlstateOf(error);
  if (sqlstate === '57014') return 'it took the server too long';
  if (sqlstate === '55P03') return 'a lock on it was not free';
  if (sqlstate === null) return 'the database could not be asked';
  const message = error instanceof Error ? error.message : '';
  return message.length <= WHY_LENGTH ? message : `${message.slice(0, WHY_LENGTH)}…`;
}

/** null: not an answer of the server's, so the connection is gone. */
const sqlstateOf = (error: unknown): string | null => (error instanceof ScoutRefused ? error.sqlstate : null);

export class Measurement {
  readonly #draft: ImpactDraft;
  readonly #question: ImpactQuestion;
  readonly #query: Query;
  #found = new Map<string, Found>();
  /** Relations that other objects' fates bring in, by OID. */
  readonly #brought = new Map<number, string>();
  #prepared: string | null = null;

  constructor(draft: ImpactDraft, question: ImpactQuestion, query: Query) {
    this.#draft = draft;
    this.#question = question;
    this.#query = query;
  }

  async run(): Promise<void> {
    const { outline } = this.#draft;
    if (outline === null) return;
    await this.#step('the relations', () => this.#relations());
    await this.#step('foreign keys and triggers', () => this.#effects());
    await this.#step('what depends on it', () => this.#dependents());
    await this.#step('locks held now', () => this.#locks());
    // From here on tables are locked, for reading or as an EXPLAIN does.
    const { plan } = outline;
    if (plan !== null && 'text' in plan) {
      const planned = await this.#step('the plan', () => this.#plan(plan));
      if (planned !== null) this.#draft.rows = { known: false, why: planned };
    }
    await this.#step('sizes', () => this.#sizes());
  }

  /** null, or why it failed, which is noted. */
  async #step(what: string, work: () => Promise<void>): Promise<string | null> {
    await this.#query('SAVEPOINT countersign_step');
    try {
      await work();
      await this.#query('RELEASE SAVEPOINT countersign_step');
      return null;
    } catch (error) {
      if (sqlstateOf(error) === null) throw error;
      await this.#query('ROLLBACK TO SAVEPOINT countersign_step');
      const why = whyOf(error);
      if (what !== 'the plan') this.#draft.unknown.push(`${what}: ${why}`);
      return why;
    } finally {
      // No rollback undoes a PREPARE.
      const name = this.#prepared;
      this.#prepared = null;
      if (name !== null) await this.#query(`DEALLOCATE ${name}`);
    }
  }

  async #relations(): Promise<void> {
    const named = this.#draft.named();
    if (named.length === 0) return;
    for (const row of await this.#query(relationsNamed(named))) {
      const name = named[Number(row['i'])];
      if (name === undefined) continue;
      const found = { oid: Number(row['oid']), kind: row['relkind'] ?? '', relation: row['relation'] ?? '' };
      this.#found.set(keyOf(name), found);
    }
    this.#draft.found = this.#found;
    if (this.#question.searchPath === null && named.some(({ schema }) => schema === null)) {
      this.#draft.unknown.push(
        'the session’s search_path, which this server does not report: names were looked up by the role’s own',
      );
    }
  }

  async #effects(): Promise<void> {
    const draft = this.#draft;
    const events = (draft.outline?.events ?? []).flatMap((event) => this.#eventOn(event));
    if (events.length === 0) return;
    const cascade = draft.outline?.cascade ?? false;
    const cascades = await this.#query(cascadesOf(events, cascade));
    const fired: Pick<EventOn, 'oid' | 'event'>[] = [...events];
    for (const row of cascades.slice(0, CASCADES_SHOWN)) {
      const [oid, relation] = [Number(row['oid']), row['relation'] ?? ''];
      this.#brought.set(oid, relation);
      draft.cascades.push({
        constraint: row['constraint'] ?? '',
        relation,
        action: row['action'] ?? '',
        rows: null,
      });
      const event = row['event'];
      if (event === 'update' || event === 'delete' || event === 'truncate') fired.push({ oid, event });
    }
    if (cascades.length > CASCADES_SHOWN) draft.unknown.push('more foreign keys than are shown');
    const triggers = await this.#query(triggersOf(fired));
    for (const row of triggers.slice(0, TRIGGERS_SHOWN)) {
      const { trigger, relation, calls } = row;
      draft.triggers.push({ trigger: trigger ?? '', relation: relation ?? '', calls: calls ?? '' });
    }
    if (triggers.length > TRIGGERS_SHOWN) draft.unknown.push('more triggers than are shown');
    // TRUNCATE … CASCADE locks as it locks its own table.
    for (const { relation, action } of draft.cascades) {
      if (action === 'TRUNCATE') draft.lock(relation, 'ACCESS EXCLUSIVE');
    }
  }

  #eventOn({ event, columns, ...name }: RelationEvent): EventOn[] {
    const found = this.#found.get(keyOf(name));
    return found === undefined ? [] : [{ oid: found.oid, event, columns }];
  }

  async #dependents(): Promise<void> {
    const { outline } = this.#draft;
    if (outline === null || outline.drops.length === 0 || !outline.cascade) return;
    const gone = await this.#query(dependentsOf(outline.drops));
    for (const row of gone.slice(0, DEPENDENTS_SHOWN)) this.#draft.dependents.push(row['object'] ?? '');
    if (gone.length > DEPENDENTS_SHOWN) this.#draft.unknown.push('more dependents than are shown');
    const oids = [
      ...new Set(gone.flatMap(({ oid }) => (oid === null || oid === undefined ? [] : [Number(oid)]))),
    ];
    if (oids.length === 0) return;
    const names = await this.#query(
      `SELECT c.oid, n.nspname || '.' || c.relname AS relation FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY ('{${oids.join(',')}}'::oid[])`,
    );
    for (const row of names) {
      this.#brought.set(Number(row['oid']), row['relation'] ?? '');
      this.#draft.lock(row['relation'] ?? '', 'ACCESS EXCLUSIVE');
    }
  }

  async #locks(): Promise<void> {
    const byName = new Map([...this.#brought].map(([oid, relation]) => [relation, oid]));
    for (const { oid, relation } of this.#found.values()) byName.set(relation, oid);
    const needs = this.#draft.locks.flatMap((lock) => {
      const oid = byName.get(lock.relation);
      return oid === undefined ? [] : [{ lock, oid, mode: lock.mode }];
    });
    if (needs.length === 0) return;
    for (const row of await this.#query(lockHolders(needs, this.#question.backend))) {
      const lock = needs[Number(row['i'])]?.lock;
      if (lock === undefined) continue;
      lock.blockers = Number(row['blockers']);
      lock.waiting = Number(row['waiting']);
    }
  }

  async #plan(plan: Plannable): Promise<void> {
    const relations = [...this.#found.values()].map(({ oid }) => oid);
    const code = await this.#query(runInPlanning(plan, relations));
    if (code.length > 0) {
      const what = code.map((row) => row['what'] ?? '').join(', ');
      this.#draft.rows = { known: false, why: `planning it might run code of this database: ${what}` };
      return;
    }
    if (plan.parameters > 0) return await this.#planPrepared(plan);
    const explain = `EXPLAIN (FORMAT JSON, VERBOSE) ${plan.text}`;
    if (!explainsOnly(explain, plan.text)) {
      this.#draft.rows = { known: false, why: 'its text could not be put behind EXPLAIN' };
      return;
    }
    this.#draft.rows = rowsOfPlan(planIn(await this.#query(explain)), false);
  }

  /** By the very values where they are known, else as a plan for any. */
  async #planPrepared(plan: Plannable): Promise<void> {
    const { parameterTypes: given, values } = this.#question;
    const oids = Array.from({ length: plan.parameters }, (_, i) => given[i] ?? 0);
    const types = await this.#query(parameterTypes(oids));
    if (types.some(({ safe }) => safe !== 't')) {
      this.#draft.rows = { known: false, why: 'a parameter is of a type of this database' };
      return;
    }
    // Where the time limit cuts in, one may stay behind.
    const name = `countersign_impact_${++preparedSoFar}`;
    const prepare = `PREPARE ${name} (${types.map(({ type }) => type ?? 'unknown').join(', ')}) AS ${plan.text}`;
    if (!preparesOnly(prepare, plan.text)) {
      this.#draft.rows = { known: false, why: 'its text could not be put behind PREPARE' };
      return;
    }
    const exact = values !== null && values.length === plan.parameters && !values.some(isUnsayable);
    const args = exact
      ? values.map((value) => (value === null ? 'NULL' : literal(value)))
      : oids.map(() => 'NULL');
    await this.#query(`SET LOCAL plan_cache_mode = ${exact ? 'force_custom_plan' : 'force_generic_plan'}`);
    await this.#query(prepare);
    this.#prepared = name;
    const answer = await this.#query(`EXPLAIN (FORMAT JSON, VERBOSE) EXECUTE ${name} (${args.join(', ')})`);
    this.#draft.rows = rowsOfPlan(planIn(answer), !exact);
  }

  async #sizes(): Promise<void> {
    const known = new Map<number, { relation: string; kind: string }>();
    for (const { oid, relation, kind } of this.#found.values()) known.set(oid, { relation, kind });
    for (const [oid, relation] of this.#brought) if (!known.has(oid)) known.set(oid, { relation, kind: '' });
    if (known.size === 0) return;
    for (const row of await this.#query(sizesOf([...known.keys()]))) {
      const of = known.get(Number(row['oid']));
      if (of === undefined) continue;
      const rows = row['rows'] === null || row['rows'] === undefined ? null : Number(row['rows']);
      for (const cascade of this.#draft.cascades) if (cascade.relation === of.relation) cascade.rows = rows;
      if (of.kind === '') continue;
      this.#draft.relations.push({ ...of, bytes: Number(row['bytes']), rows });
    }
    this.#draft.relations.sort((a, b) => b.bytes - a.bytes);
    if (this.#draft.relations.length > RELATIONS_SHOWN)
      this.#draft.unknown.push('more relations than are shown');
  }
}

const isUnsayable = (value: string | null): boolean => value?.includes('\0') ?? false;

function planIn(answer: readonly Row[]): unknown {
  const text = Object.values(answer[0] ?? {})[0];
  try {
    return typeof text === 'string' ? (JSON.parse(text) as unknown) : null;
  } catch {
    return null;
  }
}
