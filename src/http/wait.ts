// The long poll: waits until a hold is no longer in a version that the caller knows, or time is up.
import type { HoldId } from '../base/ids.ts';
import type { Hold, HoldStore } from '../holds/hold.ts';

interface WaitOptions {
  readonly isKnown: (version: number) => boolean;
  readonly waitMs: number;
  /** Ends the wait early: the caller went away, or the server is closing. */
  readonly signal: AbortSignal;
}

/** The newest state when the wait ended, for whatever reason; null when there is no such hold. */
export function waitForChange(store: HoldStore, id: HoldId, options: WaitOptions): Promise<Hold | null> {
  return new Promise((resolve, reject) => {
    let newest: Hold | null = null;
    let finished = false;
    const finish = (end: () => void): void => {
      if (finished) return;
      finished = true;
      clearTimeout(timer);
      options.signal.removeEventListener('abort', stop);
      unwatch();
      end();
    };
    const stop = (): void => finish(() => resolve(newest));
    const offer = (hold: Hold): void => {
      newest = hold;
      if (!options.isKnown(hold.version)) stop();
    };
    const timer = setTimeout(stop, options.waitMs);
    // Watch first and look second: a change between the two is seen by one of them.
    const unwatch = store.watch(
      id,
      // Never inside watch() itself: `unwatch` does not exist until it has returned.
      (hold) => queueMicrotask(() => offer(hold)),
      (error) => queueMicrotask(() => finish(() => reject(error))),
    );
    options.signal.addEventListener('abort', stop);
    store.get(id).then(
      (hold) => (hold === null ? stop() : offer(hold)),
      (error: unknown) => finish(() => reject(error)),
    );
    if (options.signal.aborted) stop();
  });
}
