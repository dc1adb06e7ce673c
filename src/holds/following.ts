// Following the holds of a shared store: what this process watches, and every change in order. Wake-ups come from
// outside and are only a reason to look; whoever never gets one finds the same by `poll`.
import { CountersignError } from '../base/errors.ts';
import type { HoldId } from '../base/ids.ts';
import type { Hold, HoldChange } from './hold.ts';
import type { Listeners } from './listeners.ts';
import { DamagedHold } from './stored.ts';

/** What following needs of the store. All of it may reject with `approvals_unavailable`. */
export interface FollowedStore {
  /** Rejects with DamagedHold when what is there is not a hold. */
  read(id: HoldId): Promise<Hold | null>;
  /** As stored, in the order of `ids`; null for a hold that is not there. */
  versions(ids: readonly HoldId[]): Promise<readonly (string | null)[]>;
  /** Where the stream of events ends now. */
  endOfEvents(): Promise<string>;
  /** What follows `position`, oldest first; empty at the end. `change` null: damaged, or of a forgotten hold. */
  eventsAfter(
    position: string,
  ): Promise<readonly { readonly position: string; readonly change: HoldChange | null }[]>;
}

export class Following {
  readonly #store: FollowedStore;
  readonly #listeners: Listeners;
  readonly #onProblem: (error: unknown) => void;
  /** Holds being read for their watchers; `again` when there was reason to look once more meanwhile. */
  readonly #looks = new Map<HoldId, 'once' | 'again'>();
  #reading: 'idle' | 'once' | 'again' = 'idle';
  /** Where in the stream we are; null before the first look. */
  #position: string | null = null;
  #polling = false;

  constructor(store: FollowedStore, listeners: Listeners, onProblem: (error: unknown) => void) {
    this.#store = store;
    this.#listeners = listeners;
    this.#onProblem = onProblem;
  }

  /** From here on no event is missed, as long as the stream keeps it. */
  get started(): boolean {
    return this.#position !== null;
  }

  /** Something has happened, to `id` if that is known. */
  wake(id: HoldId | null): void {
    void this.readEvents();
    if (id !== null && this.#listeners.isWatched(id)) void this.look(id);
  }

  /** Reads a watched hold and tells its watchers. Never rejects: what fails now, the next poll finds. */
  async look(id: HoldId): Promise<void> {
    if (this.#looks.has(id)) {
      this.#looks.set(id, 'again');
      return;
    }
    try {
      do {
        this.#looks.set(id, 'once');
        const hold = await this.#store.read(id);
        if (hold === null) this.#listeners.lose([id], vanished());
        else this.#listeners.seen(hold);
      } while (this.#looks.get(id) === 'again');
    } catch (error) {
      // Out of reach: the poll comes back to it, and those who wait too long are told by the store's own clock.
      if (!(error instanceof DamagedHold)) return;
      this.#listeners.lose([id], error);
      this.#onProblem(error);
    } finally {
      this.#looks.delete(id);
    }
  }

  /** Looks for everything that a wake-up should have told. Never rejects. */
  async poll(): Promise<void> {
    if (this.#polling) return;
    this.#polling = true;
    try {
      const ids = this.#listeners.watchedIds();
      const versions = await this.#store.versions(ids);
      for (const [i, id] of ids.entries()) {
        const version = versions[i] ?? null;
        if (version === null || this.#listeners.wants(id, Number(version))) void this.look(id);
      }
      await this.readEvents();
    } catch (error) {
      this.#onProblem(error);
    } finally {
      this.#polling = false;
    }
  }

  /** Tells of every event since the last one, in order, each once. Never rejects. */
  async readEvents(): Promise<void> {
    if (this.#reading !== 'idle') {
      this.#reading = 'again';
      return;
    }
    try {
      do {
        this.#reading = 'once';
        if (await this.#readSomeEvents()) this.#reading = 'again';
      } while (this.#readAgain());
    } catch (error) {
      this.#onProblem(error);
    } finally {
      this.#reading = 'idle';
    }
  }

  // A method, because the compiler believes that nobody sets the field during an await.
  #readAgain(): boolean {
    return this.#reading === 'again';
  }

  /** true: there may be more. */
  async #readSomeEvents(): Promise<boolean> {
    if (this.#position === null) {
      this.#position = await this.#store.endOfEvents();
      return false;
    }
    const events = await this.#store.eventsAfter(this.#position);
    for (const { position, change } of events) {
      this.#position = position;
      if (change !== null) this.#listeners.changed(change);
    }
    return events.length > 0;
  }
}

/** A waiting client must not wait for a hold that nobody can decide any more. */
function vanished(): CountersignError {
  return new CountersignError('approvals_unavailable', 'approvals are unavailable: the hold is not there');
}
