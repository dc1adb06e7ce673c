// Keeps one database's catalog at hand, so that judging is a look-up in memory, and sees that it is fresh: read again
// when it is old, when a statement may have changed it, and when a statement has a name that is not in it.
import { CountersignError } from '../base/errors.ts';
import { Catalog, type SearchPath } from '../sql/catalog.ts';
import type { Facts } from '../sql/facts.ts';
import { atWorst, namesNothing, type Resolution, resolve, unknownNames } from '../sql/resolve.ts';
import { type Definitions, readSnapshot } from './catalog-queries.ts';
import type { Scout } from './scout.ts';

export interface LiveCatalogOptions {
  readonly scout: Pick<Scout, 'readOnly'>;
  /** No answer is given from a snapshot that is older than this. */
  readonly maxAgeMs: number;
  /** Told once when the catalog cannot be read, and again when it was read in between. */
  readonly onUnreadable: (error: unknown) => void;
}

/** After a failure nobody waits for the next try for as long as this. */
const RETRY_MS = 5_000;
/** It will not soon be smaller, and finding that out is work for the server. */
const RETRY_TOO_LARGE_MS = 300_000;
/** Longer than this no statement waits for the catalog. */
const WAIT_MS = 3_000;
/** Names that a fresh snapshot has shown not to be there: temporary tables, mostly. */
const MISSING_MAX = 10_000;

interface Cached {
  readonly path: SearchPath;
  readonly resolution: Resolution;
}

export class LiveCatalog {
  readonly #options: LiveCatalogOptions;
  #catalog: Catalog | null = null;
  #definitions: Definitions = new Map();
  #resolutions = new WeakMap<Facts, Cached>();
  /** Counts what should be in the snapshot: changes that were seen, names that were asked for, times it grew old. */
  #wanted = 1;
  #has = 0;
  #reading: Promise<void> | null = null;
  /** It cannot be read, or takes too long: what is known counts at its worst, until this is over. */
  #down = false;
  #told = false;
  #closed = false;
  readonly #missing = new Set<string>();
  readonly #onGivenUp = new Set<() => void>();
  #age: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: LiveCatalogOptions) {
    this.#options = options;
  }

  /**
   * The statement as it is in this database; null where the catalog must be read first (`refresh`). `doubtful`: the
   * session itself has changed the catalog in a transaction that only it sees.
   */
  resolve(facts: Facts, path: SearchPath, doubtful: boolean): Resolution | null {
    if (namesNothing(facts)) return { facts, inPlanning: false };
    const catalog = this.#catalog;
    const certain = catalog !== null && this.#has >= this.#wanted && !doubtful;
    if (!certain && !this.#down && !doubtful) return null;
    if (catalog === null) return { facts, inPlanning: isForeign(facts) };
    const cached = this.#resolutions.get(facts);
    const known =
      cached !== undefined && samePath(cached.path, path)
        ? cached.resolution
        : this.#look(facts, path, catalog);
    if (known === null)
      return this.#down || doubtful ? this.#worst(facts, resolve(facts, catalog, path)) : null;
    return certain ? known : this.#worst(facts, known);
  }

  /** Null where it has names that nobody has looked for yet. */
  #look(facts: Facts, path: SearchPath, catalog: Catalog): Resolution | null {
    if (unknownNames(facts, catalog).some((name) => !this.#missing.has(name))) return null;
    const resolution = resolve(facts, catalog, path);
    this.#resolutions.set(facts, { path, resolution });
    return resolution;
  }

  #worst(facts: Facts, known: Resolution): Resolution {
    // What was volatile waits for its Execute as before; what was harmless may have become something that planning runs.
    const mayHaveTurned = isForeign(facts) && !known.facts.classes.includes('code');
    return { facts: atWorst(facts, known), inPlanning: known.inPlanning || mayHaveTurned };
  }

  /** A statement that may have changed the catalog is complete. */
  changed(): void {
    this.#wanted++;
    void this.#read();
  }

  /** Resolves when the catalog is as fresh as these statements need it, or cannot be had. Never rejects. */
  async refresh(statements: readonly Facts[]): Promise<void> {
    const unasked = this.#unasked(statements);
    if (unasked.length > 0) this.#wanted++;
    const first = this.#catalog === null;
    const wanted = this.#wanted;
    await this.#waitFor(wanted);
    if (this.#has < wanted) return;
    if (this.#missing.size > MISSING_MAX) this.#missing.clear();
    for (const name of first ? this.#unasked(statements) : unasked) this.#missing.add(name);
  }

  /** Names that the catalog has not got and that nobody has looked for yet. */
  #unasked(statements: readonly Facts[]): string[] {
    const catalog = this.#catalog;
    if (catalog === null) return [];
    return statements
      .flatMap((facts) => unknownNames(facts, catalog))
      .filter((name) => !this.#missing.has(name));
  }

  async #waitFor(wanted: number): Promise<void> {
    if (this.#has >= wanted || this.#down || this.#closed) return;
    let given = (): void => {};
    const givenUp = new Promise<void>((resolve) => {
      given = resolve;
    });
    this.#onGivenUp.add(given);
    const late = setTimeout(() => this.#giveUp(), WAIT_MS);
    while (this.#has < wanted && !this.#down && !this.#closed) await Promise.race([this.#read(), givenUp]);
    clearTimeout(late);
    this.#onGivenUp.delete(given);
  }

  #giveUp(): void {
    this.#down = true;
    for (const resolve of this.#onGivenUp) resolve();
    this.#onGivenUp.clear();
  }

  /** One at a time; whoever comes while one is under way gets that one, which may have begun too early for them. */
  #read(): Promise<void> {
    this.#reading ??= this.#readOnce().finally(() => {
      this.#reading = null;
    });
    return this.#reading;
  }

  async #readOnce(): Promise<void> {
    const wanted = this.#wanted;
    try {
      const { snapshot, definitions } = await this.#options.scout.readOnly((query) =>
        readSnapshot(query, this.#definitions),
      );
      if (this.#closed) return;
      this.#catalog = new Catalog(snapshot);
      this.#definitions = definitions;
      this.#resolutions = new WeakMap();
      this.#has = wanted;
      this.#down = false;
      this.#told = false;
      clearTimeout(this.#age);
      this.#age = setTimeout(() => this.#wanted++, this.#options.maxAgeMs).unref();
    } catch (error) {
      if (this.#closed) return;
      this.#giveUp();
      clearTimeout(this.#retry);
      const tooLarge = error instanceof CountersignError && error.code === 'limit';
      this.#retry = setTimeout(
        () => {
          this.#down = false;
        },
        tooLarge ? RETRY_TOO_LARGE_MS : RETRY_MS,
      ).unref();
      if (!this.#told) this.#options.onUnreadable(error);
      this.#told = true;
    }
  }

  close(): void {
    this.#closed = true;
    this.#giveUp();
    clearTimeout(this.#age);
    clearTimeout(this.#retry);
  }
}

/** The text alone has it held for names that are not built in. */
const isForeign = ({ classes, reasons, open }: Facts): boolean =>
  classes.length !== open.classes.length || reasons.length !== open.reasons.length;

function samePath(one: SearchPath, other: SearchPath): boolean {
  if (one === other) return true;
  if (one === null || other === null) return false;
  return one.length === other.length && one.every((schema, i) => schema === other[i]);
}
