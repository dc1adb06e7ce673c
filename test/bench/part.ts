// What a part of the bench is: it measures every target once per round and hands back what it read.
import type { Flags } from './flags.ts';
import type { Reading } from './readings.ts';
import type { Server } from './server.ts';
import type { Target } from './targets.ts';

export interface Bench {
  readonly flags: Flags;
  readonly server: Server;
  /** In the order of this round: nobody is always first, or always after the same neighbour. */
  readonly targets: readonly Target[];
  /** What is being done, for who watches. */
  say(text: string): void;
}

export interface Part {
  readonly title: string;
  round(bench: Bench): Promise<Reading[]>;
}
