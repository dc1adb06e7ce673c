// How many there may be at once: of sessions in all, of an agent's, of an address's, and of connections that have not
// said who they are. Counting only; listen.ts says when a place is taken and what becomes of who finds none.
import { subscriber } from '../identity/throttle.ts';

/** Whatever is counted, by key. What nobody holds is not remembered. */
export class Places {
  readonly #taken = new Map<string, number>();

  /** Returns what gives the place back, once however often it is called; null when there are `most` of this key already. */
  take(key: string, most: number): (() => void) | null {
    const taken = this.#taken.get(key) ?? 0;
    if (taken >= most) return null;
    this.#taken.set(key, taken + 1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const left = (this.#taken.get(key) ?? 1) - 1;
      if (left === 0) this.#taken.delete(key);
      else this.#taken.set(key, left);
    };
  }
}

/** One party's connections, however it writes its address. */
export const partyOf = (address: string | undefined): string => subscriber(address ?? 'unknown');

/**
 * Connections that have not proved who they are. Nobody who says nothing keeps others out: where there are too many, the
 * oldest of the party that has the most of them makes room for the newest. Who means it is through in a moment.
 */
export class Strangers<Connection> {
  readonly #byParty = new Map<string, Set<Connection>>();
  readonly #most: number;
  #size = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** Returns who has to go for it, if anybody. */
  add(party: string, connection: Connection): Connection | null {
    const own = this.#byParty.get(party);
    if (own === undefined) this.#byParty.set(party, new Set([connection]));
    else own.add(connection);
    this.#size++;
    return this.#size > this.#most ? this.#oldestOfMost() : null;
  }

  delete(party: string, connection: Connection): void {
    const own = this.#byParty.get(party);
    if (!own?.delete(connection)) return;
    this.#size--;
    if (own.size === 0) this.#byParty.delete(party);
  }

  #oldestOfMost(): Connection | null {
    let most: Set<Connection> = new Set();
    for (const own of this.#byParty.values()) if (own.size > most.size) most = own;
    for (const oldest of most) return oldest;
    return null;
  }
}
