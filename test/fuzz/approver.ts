// A person in a hurry, by the real API: lets some of what may be let through run, and refuses or overlooks the rest.
import { setTimeout as delay } from 'node:timers/promises';
import { Approver } from '../services/scene.ts';
import type { Ground } from './ground.ts';
import { Random } from './random.ts';

/** Between two looks. Not for anything to happen: people do not look all the time either. */
const LOOK_MS = 40;

export interface Decisions {
  readonly approved: number;
  readonly denied: number;
  stop(): Promise<void>;
}

export function startApprover(ground: Ground, seed: string): Decisions {
  const token = { name: 'alice@example.com', token: ground.approverToken };
  const approver = new Approver(ground.proxies.default.running, token);
  const counts = { approved: 0, denied: 0 };
  let stopping = false;
  const running = (async () => {
    const seen = new Set<string>();
    while (!stopping) {
      const holds = await approver.list();
      for (const hold of holds.filter(({ id }) => !seen.has(id))) {
        seen.add(hold.id);
        const decision = decide(hold.statement.text, new Random(seed, hold.id));
        if (decision === null) continue;
        const { status } = await approver.vote(hold, decision);
        if (status === 200) counts[decision === 'approve' ? 'approved' : 'denied']++;
      }
      await delay(LOOK_MS);
    }
  })();
  // What it rejects with is told by `stop`; until then nobody listens.
  running.catch(() => {});
  return {
    get approved() {
      return counts.approved;
    },
    get denied() {
      return counts.denied;
    },
    async stop() {
      stopping = true;
      await running;
    },
  };
}

/** Only what says `maybe_` and nothing worse, whatever a mutation has made of it. */
function decide(text: string, random: Random): 'approve' | 'deny' | null {
  if (random.chance(40)) return null;
  const harmless = /^\s*(CREATE TABLE IF NOT EXISTS|DROP TABLE IF EXISTS) maybe_\w+( \(id int\))?\s*$/.test(
    text,
  );
  return harmless && random.chance(70) ? 'approve' : 'deny';
}
