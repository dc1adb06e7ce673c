// Finds out what statements would do, for whoever is asked to approve them: on a connection of the proxy's own, in one
// read-only transaction, within a time limit. Never runs them: they are planned at most, and only where planning runs no
// code of a user's. Never fails: what could not be found out is said to be unknown, and why. measurement.ts asks.
import type { Facts, Unknown } from '../sql/facts.ts';
import type { Impact } from '../sql/impact.ts';
import { literal } from './impact-catalog.ts';
import { ImpactDraft } from './impact-draft.ts';
import { Measurement, whyOf } from './measurement.ts';
import type { Query } from './scout.ts';

/** Calls `work` with a query that runs in a transaction that can change nothing, and rolls it back. */
export type ReadOnly = <T>(
  work: (query: Query) => Promise<T>,
  limits: { readonly statementMs: number; readonly lockMs: number },
) => Promise<T>;

export interface ImpactTimes {
  /** For all of it. What is not known by then is unknown. */
  readonly totalMs: number;
  readonly statementMs: number;
  /** Short: whoever waits for a lock makes others wait. */
  readonly lockMs: number;
}

export const IMPACT_TIMES: ImpactTimes = { totalMs: 2_000, statementMs: 1_000, lockMs: 250 };

export interface ImpactQuestion {
  readonly statements: readonly (Facts | Unknown)[];
  /** Of the one statement, in the extended protocol. */
  readonly parameterTypes: readonly number[];
  /** As text; null for all where one of them has no text, or is not to be shown. */
  readonly values: readonly (string | null)[] | null;
  /** As the server reported it; null: it does not. */
  readonly searchPath: string | null;
  /** Process ID of the session that asks: its own locks are not in its way. */
  readonly backend: number | null;
}

/** Of one frame. A person looks at no more of them. */
const STATEMENTS_MEASURED = 10;

/** Never rejects. Settles within `times.totalMs`, or when `giveUp` does. */
export async function impactOf(
  question: ImpactQuestion,
  readOnly: ReadOnly,
  times: ImpactTimes = IMPACT_TIMES,
  giveUp: Promise<void> = new Promise(() => {}),
): Promise<readonly Impact[]> {
  const drafts = question.statements.slice(0, STATEMENTS_MEASURED).map((one) => new ImpactDraft(one));
  const measurable = drafts.filter(({ outline }) => outline !== null);
  let over = false;
  const late = new Late(times.totalMs, giveUp);
  if (measurable.length > 0) {
    const measure = (query: Query): Promise<void> => {
      const asked: Query = (sql) => (over ? Promise.reject(new Over()) : query(sql));
      return measureAll(measurable, question, asked);
    };
    const measuring = inTransaction(readOnly, measure, times).catch((error: unknown) => {
      for (const draft of measurable) if (!draft.done) draft.failed(whyOf(error));
    });
    const inTime = await Promise.race([measuring.then(() => true), late.happened]);
    over = true;
    if (!inTime) {
      for (const draft of measurable) if (!draft.done) draft.failed('the time limit for looking was over');
    }
  }
  late.clear();
  const more = question.statements.length - drafts.length;
  if (more > 0) drafts.at(-1)?.unknown.push(`${more} further statements were not looked at`);
  return drafts.map((draft) => draft.finish());
}

/** Where there is nothing to ask, that is a rejection as well. */
async function inTransaction(
  readOnly: ReadOnly,
  work: (query: Query) => Promise<void>,
  times: ImpactTimes,
): Promise<void> {
  await readOnly(work, times);
}

async function measureAll(
  drafts: readonly ImpactDraft[],
  question: ImpactQuestion,
  query: Query,
): Promise<void> {
  if (question.searchPath !== null) {
    await query(`SELECT set_config('search_path', ${literal(question.searchPath)}, true)`);
  }
  for (const draft of drafts) {
    await new Measurement(draft, question, query).run();
    draft.done = true;
  }
}

class Over extends Error {}

class Late {
  readonly happened: Promise<false>;
  #timer: NodeJS.Timeout | undefined;

  constructor(afterMs: number, giveUp: Promise<void>) {
    this.happened = new Promise((resolve) => {
      this.#timer = setTimeout(() => resolve(false), afterMs);
      giveUp.then(() => resolve(false));
    });
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}
