// Who wants to hear of changes in this process. Both stores keep their listeners here, so that both deliver alike:
// later, never from within the call that made the change, each version once, oldest first.
import type { HoldId } from '../base/ids.ts';
import type { Hold, HoldChange } from './hold.ts';

interface Watcher {
  readonly listener: (hold: Hold) => void;
  readonly lost: (error: Error) => void;
  /** The newest version it has been told, or 1: everybody who watches knows that the hold was requested. */
  toldVersion: number;
  /** Told that the store is out of reach, and not yet told anything since. */
  toldLost: boolean;
}

export class Listeners {
  readonly #watchers = new Map<HoldId, Set<Watcher>>();
  readonly #changes = new Set<(change: HoldChange) => void>();
  readonly #onBug: (error: unknown) => void;

  /** `onBug` hears what a listener threw; the other listeners are still called. */
  constructor(onBug: (error: unknown) => void) {
    this.#onBug = onBug;
  }

  watch(id: HoldId, listener: (hold: Hold) => void, lost: (error: Error) => void): () => void {
    const watcher: Watcher = { listener, lost, toldVersion: 1, toldLost: false };
    const watchers = this.#watchers.get(id) ?? new Set();
    this.#watchers.set(id, watchers.add(watcher));
    return () => {
      watchers.delete(watcher);
      if (watchers.size === 0 && this.#watchers.get(id) === watchers) this.#watchers.delete(id);
    };
  }

  onChange(listener: (change: HoldChange) => void): () => void {
    // Wrapped, so that the same function given twice is two listeners and ending one leaves the other.
    const own = (change: HoldChange): void => listener(change);
    this.#changes.add(own);
    return () => {
      this.#changes.delete(own);
    };
  }

  watchedIds(): readonly HoldId[] {
    return [...this.#watchers.keys()];
  }

  isWatched(id: HoldId): boolean {
    return this.#watchers.has(id);
  }

  /** Somebody watches `id` and has not been told of `version`. */
  wants(id: HoldId, version: number): boolean {
    for (const watcher of this.#watchers.get(id) ?? []) {
      if (watcher.toldLost || watcher.toldVersion < version) return true;
    }
    return false;
  }

  /** The newest state of a hold: told to those of its watchers that know an older one. */
  seen(hold: Hold): void {
    for (const watcher of [...(this.#watchers.get(hold.request.id) ?? [])]) {
      watcher.toldLost = false;
      if (watcher.toldVersion >= hold.version) continue;
      watcher.toldVersion = hold.version;
      this.#later(() => {
        // Ended in the meantime: the caller was promised silence.
        if (this.#watchers.get(hold.request.id)?.has(watcher)) watcher.listener(hold);
      });
    }
  }

  changed(change: HoldChange): void {
    for (const listener of [...this.#changes]) {
      this.#later(() => {
        if (this.#changes.has(listener)) listener(change);
      });
    }
  }

  /** Out of reach: told once to every watcher of `ids`, and again only after it has been told something. */
  lose(ids: Iterable<HoldId>, error: Error): void {
    for (const id of ids) {
      for (const watcher of [...(this.#watchers.get(id) ?? [])]) {
        if (watcher.toldLost) continue;
        watcher.toldLost = true;
        this.#later(() => {
          if (this.#watchers.get(id)?.has(watcher)) watcher.lost(error);
        });
      }
    }
  }

  clear(): void {
    this.#watchers.clear();
    this.#changes.clear();
  }

  #later(call: () => void): void {
    queueMicrotask(() => {
      try {
        call();
      } catch (error) {
        this.#onBug(error);
      }
    });
  }
}
