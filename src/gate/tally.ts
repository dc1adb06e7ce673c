// Counts what is ignored in silence. Anybody may cause it, as often as they like, so a line for each would fill the
// operator's log: the first is told at once, then the numbers, once a minute at most, while they grow.

export const IGNORED = [
  'cancel request with an unknown key',
  'cancel request that the other nodes could not be asked about',
  'cancel request that its node did not confirm in time',
  'cancel request beyond those that can be passed on at once',
] as const;
export type Ignored = (typeof IGNORED)[number];

const REPORT_MS = 60_000;

export class Tally {
  readonly #report: (counts: Readonly<Record<string, number>>) => void;
  readonly #counts = new Map<Ignored, number>();
  #grown = false;
  #timer: NodeJS.Timeout | null = null;

  /** `report` is given how often each has happened since the start. */
  constructor(report: (counts: Readonly<Record<string, number>>) => void) {
    this.#report = report;
  }

  count(what: Ignored): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
    this.#grown = true;
    if (this.#timer === null) this.#tell();
  }

  /** Tells what has not been told yet. */
  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#grown) this.#report(Object.fromEntries(this.#counts));
    this.#grown = false;
  }

  #tell(): void {
    if (!this.#grown) {
      this.#timer = null;
      return;
    }
    this.#grown = false;
    this.#report(Object.fromEntries(this.#counts));
    this.#timer = setTimeout(() => this.#tell(), REPORT_MS).unref();
  }
}
