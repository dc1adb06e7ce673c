// What the log says when somebody meets a limit.
import type { Limit } from '../base/limit.ts';
import type { Node } from './node.ts';
import type { Speaker } from './recording.ts';

/** Of one limit, in one second, by whoever has no session. */
const RECORDS_PER_SECOND = 10;

export function recordLimit({ log }: Node, { session, who }: Speaker, limit: Limit): void {
  log.append({ type: 'limit.hit', session, clientAddress: who.clientAddress, limit });
}

/** For those who have no session: they may meet a limit as often as they like, and must not fill the log's disk with it. */
export class StrangersLimitRecords {
  readonly #node: Node;
  readonly #recent = new Map<Limit, { sinceUs: number; count: number }>();

  constructor(node: Node) {
    this.#node = node;
  }

  record(limit: Limit, clientAddress: string): void {
    const { clock, log, problem } = this.#node;
    const nowUs = clock.monoUs();
    let recent = this.#recent.get(limit);
    if (recent === undefined || nowUs - recent.sinceUs >= 1_000_000) {
      recent = { sinceUs: nowUs, count: 0 };
      this.#recent.set(limit, recent);
    }
    if (++recent.count > RECORDS_PER_SECOND) return;
    try {
      log.append({ type: 'limit.hit', session: null, clientAddress, limit });
    } catch (error) {
      // The log has failed, and whoever owns it knows; a connection is refused all the same.
      problem(error, 'audit log');
    }
  }
}
