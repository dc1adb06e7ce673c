// Ends sessions that do nothing for too long, as idle_session_timeout and idle_in_transaction_session_timeout of the
// server do. No message pays for it: one look at all sessions now and then, and what a session has done since the last
// look is told by the number of bytes its client has sent. So a session is ended late by up to three looks, never early.
import type { Clock } from '../base/clock.ts';
import { CountersignError } from '../base/errors.ts';

/** What a session that nothing is asked of is doing all the same. */
export type Idleness = 'busy' | 'idle' | 'idle in transaction';

export interface IdleLimits {
  /** null: as long as they like. */
  readonly idleMs: number | null;
  readonly idleInTransactionMs: number | null;
}

export interface Sweepable {
  readonly idleness: Idleness;
  /** Bytes from the client so far. */
  readonly heardBytes: number;
  endIdle(error: CountersignError): void;
}

interface Look {
  /** Since when it may have been as it is. */
  readonly sinceUs: number;
  readonly idleness: Idleness;
  readonly heardBytes: number;
  /** The look before this one found it too long already. */
  readonly due: boolean;
}

const LOOKS_PER_LIMIT = 10;
const SHORTEST_LOOK_MS = 10;
const LONGEST_LOOK_MS = 1_000;

/** Returns what stops it. */
export function endIdleSessions(
  sessions: ReadonlySet<Sweepable>,
  limits: IdleLimits,
  clock: Pick<Clock, 'monoUs'>,
): () => void {
  const given = [limits.idleMs, limits.idleInTransactionMs].filter((limit) => limit !== null);
  if (given.length === 0) return () => {};
  const everyMs = Math.min(...given) / LOOKS_PER_LIMIT;
  const seen = new WeakMap<Sweepable, Look>();
  const timer = setInterval(
    () => {
      for (const session of sessions)
        seen.set(session, look(session, seen.get(session), limits, clock.monoUs()));
    },
    Math.min(LONGEST_LOOK_MS, Math.max(SHORTEST_LOOK_MS, everyMs)),
  ).unref();
  return () => clearInterval(timer);
}

function look(session: Sweepable, before: Look | undefined, limits: IdleLimits, nowUs: number): Look {
  const { idleness, heardBytes } = session;
  const same =
    before !== undefined &&
    idleness !== 'busy' &&
    before.idleness === idleness &&
    before.heardBytes === heardBytes;
  if (!same) return { sinceUs: nowUs, idleness, heardBytes, due: false };
  const limitMs = idleness === 'idle' ? limits.idleMs : limits.idleInTransactionMs;
  if (limitMs === null || nowUs - before.sinceUs < limitMs * 1000) return before;
  // Not at the first look that finds it too long: where the process itself was held up, what the client has sent
  // meanwhile is still to be read, and has been by the next.
  if (before.due) session.endIdle(errorFor(idleness));
  return { ...before, due: true };
}

function errorFor(idleness: Exclude<Idleness, 'busy'>): CountersignError {
  return idleness === 'idle'
    ? new CountersignError('idle_session', 'terminating connection due to idle-session timeout', {
        limit: 'idle',
      })
    : new CountersignError(
        'idle_in_transaction',
        'terminating connection due to idle-in-transaction timeout',
        { limit: 'idleInTransaction' },
      );
}
