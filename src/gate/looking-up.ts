// How one session asks the catalog of its database: under which search_path, and how far the answer can be trusted after
// what the session itself has sent.
import type { SearchPath } from '../sql/catalog.ts';
import type { Facts, Unknown } from '../sql/facts.ts';
import { plansBuiltIn, type Resolution } from '../sql/resolve.ts';
import type { Following } from './following.ts';
import type { LiveCatalog } from './live-catalog.ts';
import type { Portal } from './names.ts';
import { schemasOf } from './search-path.ts';
import type { Work } from './work.ts';

type Statement = Facts | Unknown;

/** It could not be read here, or only not in reasonable time. */
const UNREAD: ReadonlySet<Unknown['reason']> = new Set(['syntax', 'statement', 'limit', 'parser']);
/** Where others change the catalog all the time, what is known counts at its worst after so many tries. */
const REFRESHES_MAX = 3;

export class LookingUp {
  readonly #catalog: LiveCatalog | null;
  readonly #following: Following;
  readonly #role: string;
  /** What was sent may have changed the catalog, and its transaction has not ended. */
  #changing = false;
  /** Since a statement was last resolved. */
  #refreshes = 0;
  /** It may act as another role, whose "$user" is another schema. */
  #roleUncertain = false;

  constructor(catalog: LiveCatalog | null, following: Following, role: string) {
    this.#catalog = catalog;
    this.#following = following;
    this.#role = role;
  }

  /** The very same work where the catalog has nothing to say; null where it must be read first. */
  resolved(work: Work): Work | null {
    if (this.#catalog === null || work.portal?.suspended === true) return work;
    const path = this.#path(work.statements);
    let changed = false;
    const statements: Statement[] = [];
    for (const statement of work.statements) {
      const resolution = statement.known ? this.#resolve(statement, path) : null;
      if (statement.known && resolution === null) return null;
      const now = resolution?.facts ?? statement;
      if (now !== statement) changed = true;
      statements.push(now);
    }
    this.#refreshes = 0;
    // Whatever is kept with a prepared statement is for what its text alone says.
    return changed ? { ...work, statements, prepared: null } : work;
  }

  /** To be called when everything before is answered. */
  async resolvedAnew(work: Work): Promise<Work> {
    for (;;) {
      await this.refresh(work.statements);
      const resolved = this.resolved(work);
      if (resolved !== null) return resolved;
    }
  }

  /** Has the catalog read as far as these need it. To be called when everything before is answered. */
  async refresh(statements: readonly Statement[]): Promise<void> {
    this.#refreshes++;
    if (!this.#changing) await this.#catalog?.refresh(statements.filter((statement) => statement.known));
  }

  /** What a Bind to this portal would run of itself, and must not; null where the catalog must be read first. */
  plannedBy(portal: Portal): readonly Statement[] | null {
    const planned: Statement[] = [];
    for (const { statements } of portal.prepared) {
      const path = this.#path(statements);
      for (const statement of statements) {
        if (!statement.known) {
          // The server may well read it, and plan it.
          if (UNREAD.has(statement.reason)) planned.push(statement);
          continue;
        }
        const resolution = this.#catalog === null ? null : this.#resolve(statement, path);
        if (resolution === null && this.#catalog !== null) return null;
        if (plansBuiltIn(statement) || resolution?.inPlanning) planned.push(resolution?.facts ?? statement);
      }
    }
    return planned;
  }

  /** It goes to the server now. */
  sent({ statements }: Work): void {
    if (statements.some(mayChangeCatalog)) this.#changing = true;
    if (statements.some((one) => !one.known || one.classes.includes('privilege'))) this.#roleUncertain = true;
  }

  /** The server has said something: perhaps that all of it is done. */
  answered(): void {
    const { pipeline } = this.#following;
    if (this.#changing && pipeline.idle && pipeline.status === 'I') this.ended();
  }

  /** The session has ended, or the transaction that changed the catalog. */
  ended(): void {
    if (!this.#changing) return;
    this.#changing = false;
    this.#catalog?.changed();
  }

  #resolve(facts: Facts, path: SearchPath): Resolution | null {
    const { idle, copyIn } = this.#following.pipeline;
    // What is under way may be what makes the difference; once it is answered, a transaction may still be open.
    if (this.#changing && !idle && !copyIn) return null;
    const atWorst = this.#changing || this.#refreshes >= REFRESHES_MAX;
    return this.#catalog?.resolve(facts, path, atWorst) ?? null;
  }

  /** Where it is not certain under which path the server will read names, they are looked for in every schema. */
  #path(statements: readonly Statement[]): SearchPath {
    const { searchPath, pipeline } = this.#following;
    if (searchPath === null || !pipeline.idle || this.#roleUncertain) return null;
    return statements.every(leavesPath) ? schemasOf(searchPath, this.#role) : null;
  }
}

const leavesPath = (statement: Statement): boolean =>
  statement.known && statement.settings.every(({ name }) => name !== 'search_path' && name !== '*');

/** Temporary objects are in no snapshot. */
const mayChangeCatalog = (statement: Statement): boolean =>
  !statement.known ||
  statement.classes.includes('code') ||
  statement.classes.includes('privilege') ||
  (statement.classes.includes('ddl') && !statement.temporary);
