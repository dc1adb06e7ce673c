// Case N of a seed: what it is and what is played in it, always the same. And what must hold of it.
import { CONVERSATIONS } from './conversations.ts';
import { asForwarded, firstDifference, hear, misremembered } from './differential.ts';
import { CA, type Ground, type Lane } from './ground.ts';
import { Line, type Place } from './line.ts';
import { mutated } from './mutate.ts';
import { play } from './play.ts';
import { Random } from './random.ts';
import { attempt } from './startup.ts';
import type { Step } from './step.ts';
import { weird } from './weird.ts';

/**
 * `hostile`: mutated conversations under the default rules; whatever they do, the session is answered or closed.
 * `observed`: what the server would say, byte for byte, under rules that let everything through.
 * `refused`: what the server would say, given what the default rules refuse.
 * `startup`: connections that may become no session.
 */
export const KINDS = ['hostile', 'observed', 'refused', 'startup'] as const;
export type Kind = (typeof KINDS)[number];

export interface Case {
  readonly kind: Kind;
  /** Empty for `startup`, whose bytes depend on what it is answered. */
  readonly steps: readonly Step[];
}

export interface Played {
  readonly messages: number;
  readonly finding: string | null;
}

/** `kinds`: those to choose from. */
export function caseOf(seed: string, number: number, kinds: readonly Kind[] = KINDS): Case {
  const random = new Random(seed, number);
  const weights = { hostile: 55, observed: 20, refused: 20, startup: 5 } satisfies Record<Kind, number>;
  const kind = random.weighted(kinds.map((each) => [weights[each], each] as const));
  switch (kind) {
    case 'hostile':
      return { kind, steps: mutated(CONVERSATIONS, random) };
    case 'observed':
      return { kind, steps: weird({ denied: 2, held: 20 }, random) };
    case 'refused':
      return { kind, steps: weird({ denied: 15, held: 3 }, random) };
    case 'startup':
      return { kind, steps: [] };
    default:
      return kind satisfies never;
  }
}

/** Where a case is played: `marker` tells its session in the logs, and no two have the same. */
export interface Stand {
  readonly ground: Ground;
  readonly lane: Lane;
  readonly marker: string;
  readonly random: Random;
}

/** Rejects with Hang, which is a finding too, or when the ground is gone. */
export async function playCase({ kind, steps }: Case, stand: Stand): Promise<Played> {
  switch (kind) {
    case 'hostile':
      return await playHostile(steps, stand);
    case 'observed':
      return await playObserved(steps, stand);
    case 'refused':
      return await playRefused(steps, stand);
    case 'startup': {
      const { messages, fault } = await attempt(placeOf(stand), stand.marker, stand.random);
      return { messages, finding: fault };
    }
    default:
      return kind satisfies never;
  }
}

/** Each from an address of its own: nobody is shut out because of the failed logins of another. */
function placeOf({ ground, random }: Stand): Place {
  const parts = [random.between(1, 250), random.between(1, 250), random.between(1, 250)];
  return { ...ground.arena.place, from: `127.${parts.join('.')}` };
}

async function playHostile(steps: readonly Step[], { ground, marker, random }: Stand): Promise<Played> {
  const { place, login } = ground.arena;
  const line = await Line.open(random.chance(10) ? { ...place, ca: CA } : place, login, {
    application_name: marker,
  });
  const { messages } = await play(line, steps, { place });
  return { messages, finding: null };
}

async function playObserved(steps: readonly Step[], { ground, lane, marker }: Stand): Promise<Played> {
  await lane.reset();
  const direct = await hear(lane.direct, steps, marker);
  const through = await hear(lane.observe, steps, marker, direct.settled);
  const logged = await ground.witness.session(marker);
  return {
    messages: through.messages,
    finding: firstDifference(direct.frames, through.frames) ?? misremembered(through.frames, logged),
  };
}

async function playRefused(steps: readonly Step[], { ground, lane, marker }: Stand): Promise<Played> {
  await lane.reset();
  const through = await hear(lane.default, steps, marker);
  const logged = await ground.witness.session(marker);
  const direct = await hear(lane.direct, asForwarded(steps, logged.fates), marker);
  return {
    messages: through.messages,
    finding: firstDifference(direct.frames, through.frames) ?? misremembered(through.frames, logged),
  };
}
