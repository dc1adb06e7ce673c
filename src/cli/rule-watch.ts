// Looks whether the rule files are still what was loaded, and has them loaded again when they are not. It looks instead of
// being told: an editor that puts a new file in the old one's place, a link that comes to point elsewhere (as Kubernetes
// does it), and a folder on the network are all the same to it.
import { readFileSync, statSync } from 'node:fs';
import { sha256Of } from '../base/yaml.ts';

const LOOK_MS = 500;

export class RuleFiles {
  readonly #loaded: () => ReadonlyMap<string, string>;
  readonly #load: () => void;
  /** As the files looked last time: a file that is still being written is let come to rest, for half a file can be rules too. */
  #looks = '';
  #atRest = false;
  /** What was loaded last, or could not be: it is not tried twice. Null: nothing yet but what `loaded` has. */
  #tried: string | null = null;
  #timer: NodeJS.Timeout | null = null;

  /** `loaded`: file → SHA-256, of the rules in force. `load` does not throw. */
  constructor(loaded: () => ReadonlyMap<string, string>, load: () => void) {
    this.#loaded = loaded;
    this.#load = load;
  }

  /** Until the process ends; nothing but this would keep it from ending. */
  watch(): void {
    this.#timer ??= setInterval(() => this.look(), LOOK_MS).unref();
  }

  /** Whatever the files look like. */
  reload(): void {
    const contents = this.#contents();
    const before = this.#loaded();
    this.#load();
    // A new set is known by what was read for it, also where a file changed a moment ago or is new in it.
    this.#tried = this.#loaded() === before ? contents : this.#inForce();
  }

  look(): void {
    const looks = [...this.#loaded().keys()].map(appearance).join();
    if (looks !== this.#looks) {
      this.#looks = looks;
      this.#atRest = false;
      return;
    }
    if (this.#atRest) return;
    this.#atRest = true;
    if (this.#contents() !== (this.#tried ?? this.#inForce())) this.reload();
  }

  #inForce(): string {
    return [...this.#loaded().values()].join();
  }

  #contents(): string {
    return [...this.#loaded().keys()].map(contentsOf).join();
  }
}

function appearance(file: string): string {
  try {
    const { mtimeNs, ctimeNs, size, ino } = statSync(file, { bigint: true });
    return `${mtimeNs} ${ctimeNs} ${size} ${ino}`;
  } catch {
    return 'missing';
  }
}

function contentsOf(file: string): string {
  try {
    return sha256Of(readFileSync(file));
  } catch {
    return 'missing';
  }
}
