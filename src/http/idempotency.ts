// Idempotency-Key: a vote sent again by a client that lost the reply gets the first answer again, and votes once.
// Kept in this process only; across nodes the hold's version already refuses the second vote.
import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { CountersignError } from '../base/errors.ts';
import { type Answer, problem } from './problem.ts';

/** Answers are small; a hold's life is half an hour, so no honest retry comes later than an hour. */
const MAX_KEYS = 10_000;
const KEPT_MS = 3_600_000;

const KEY = /^[\x21-\x7e]{1,255}$/;

interface Kept {
  readonly fingerprint: string;
  readonly answer: Promise<Answer>;
}

export class IdempotentAnswers {
  readonly #kept = new LRUCache<string, Kept>({ max: MAX_KEYS, ttl: KEPT_MS });

  /**
   * Answers of `work`, once per caller and key. A second request that comes while the first is at work shares its answer.
   * What failed on our side is forgotten, so that it can be tried again under the same key.
   */
  async once(
    caller: string,
    key: string | undefined,
    request: unknown,
    work: () => Promise<Answer>,
  ): Promise<Answer> {
    if (key === undefined) return work();
    if (!KEY.test(key)) {
      throw new CountersignError('bad_request', 'Idempotency-Key must be 1 to 255 visible ASCII characters');
    }
    const name = JSON.stringify([caller, key]);
    const fingerprint = createHash('sha256').update(JSON.stringify(request)).digest('hex');
    const kept = this.#kept.get(name);
    if (kept !== undefined) {
      if (kept.fingerprint === fingerprint) return kept.answer;
      return problem('idempotency_key_reused', 'this Idempotency-Key was used with another request');
    }
    const answer = work();
    this.#kept.set(name, { fingerprint, answer });
    try {
      const settled = await answer;
      if (settled.status >= 500) this.#kept.delete(name);
      return settled;
    } catch (error) {
      this.#kept.delete(name);
      throw error;
    }
  }
}
