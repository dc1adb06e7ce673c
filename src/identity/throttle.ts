// Failed logins, counted by address: each makes the next answer slower, many shut the door for a while.
// Values and a Clock; waiting and refusing are the caller's. Counts halve with time, so nobody is shut out for good.
import ipaddr from 'ipaddr.js';
import type { Clock } from '../base/clock.ts';

export interface ThrottleOptions {
  /** Failures, as decayed, from which on an address is refused. */
  readonly blockAt?: number;
  readonly halfLifeMs?: number;
  readonly maxDelayMs?: number;
  /** Addresses remembered; past it the one that has been quiet the longest is forgotten. */
  readonly maxAddresses?: number;
}

/** One mistyped password costs this much; each further one twice the last. */
const FIRST_DELAY_MS = 100;

interface Count {
  readonly failures: number;
  readonly atMs: number;
}

export class FailedLogins {
  readonly #clock: Clock;
  readonly #blockAt: number;
  readonly #halfLifeMs: number;
  readonly #maxDelayMs: number;
  readonly #maxAddresses: number;
  /** In the order of their last failure. */
  readonly #counts = new Map<string, Count>();

  constructor(clock: Clock, options: ThrottleOptions = {}) {
    this.#clock = clock;
    this.#blockAt = options.blockAt ?? 20;
    this.#halfLifeMs = options.halfLifeMs ?? 60_000;
    this.#maxDelayMs = options.maxDelayMs ?? 3_000;
    this.#maxAddresses = options.maxAddresses ?? 10_000;
  }

  /** How long to keep the answer to a failed login back; after `record`. */
  delayMs(address: string): number {
    const failures = this.#failures(subscriber(address));
    if (failures < 0.5) return 0;
    return Math.min(this.#maxDelayMs, Math.round(FIRST_DELAY_MS * 2 ** (failures - 1)));
  }

  /** Whether to refuse a connection from there before asking it anything. */
  isBlocked(address: string): boolean {
    return this.#failures(subscriber(address)) >= this.#blockAt;
  }

  record(address: string): void {
    const key = subscriber(address);
    // No higher than twice the limit: whoever hammered for an hour is let in a minute after he stopped.
    const failures = Math.min(this.#failures(key) + 1, this.#blockAt * 2);
    this.#counts.delete(key);
    this.#counts.set(key, { failures, atMs: this.#monoMs() });
    if (this.#counts.size > this.#maxAddresses) {
      for (const oldest of this.#counts.keys()) {
        this.#counts.delete(oldest);
        break;
      }
    }
  }

  #failures(key: string): number {
    const count = this.#counts.get(key);
    if (count === undefined) return 0;
    return count.failures * 2 ** (-(this.#monoMs() - count.atMs) / this.#halfLifeMs);
  }

  #monoMs(): number {
    return this.#clock.monoUs() / 1000;
  }
}

/** What one party is taken to own: an IPv4 address however written, or an IPv6 /64. */
export function subscriber(address: string): string {
  if (!ipaddr.isValid(address)) return address;
  const parsed = ipaddr.process(address);
  if (!(parsed instanceof ipaddr.IPv6)) return parsed.toString();
  return `${parsed.parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(':')}::/64`;
}
