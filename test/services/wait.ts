// Waiting in tests: for something to become true, with a bound. Never for time to pass.
import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 20;

/**
 * Calls `attempt` until it neither throws nor returns false, and gives what it returned.
 * When `timeoutMs` have passed it throws the last failure, so that a failing test says what was still wrong.
 */
export async function eventually<T>(
  attempt: () => T | Promise<T>,
  { timeoutMs = 10_000, what = 'the condition' }: { timeoutMs?: number; what?: string } = {},
): Promise<Exclude<T, false>> {
  const deadline = performance.now() + timeoutMs;
  let last: unknown = new Error(`${what} was still false`);
  do {
    try {
      const value = await attempt();
      if (value !== false) return value as Exclude<T, false>;
    } catch (error) {
      last = error;
    }
    await delay(POLL_MS);
  } while (performance.now() < deadline);
  throw new Error(`${what} did not come about within ${timeoutMs} ms`, { cause: last });
}
