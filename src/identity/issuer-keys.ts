// One issuer's public keys, fetched from its JWKS and kept: an outage of the issuer logs nobody out, and lets no new key in.
// jose fetches and selects; when to fetch is decided here, by our clock, so that no client can make us ask often.
import {
  createRemoteJWKSet,
  errors,
  type FlattenedJWSInput,
  type JWTHeaderParameters,
  type RemoteJWKSet,
} from 'jose';
import type { Clock } from '../base/clock.ts';
import { CountersignError } from '../base/errors.ts';

/** Older than this, keys are fetched again in the background … */
const RELOAD_MS = 5 * 60_000;
/** … and older than this, before they are used: a key that was withdrawn must not serve much longer. */
const RELOAD_FIRST_MS = 10 * 60_000;
/** Between fetches for the sake of a key that we do not know: a flood of made-up key ids costs the issuer nothing. */
const MISS_PAUSE_MS = 30_000;
/** Between fetches while they fail. */
const RETRY_PAUSE_MS = 5_000;
const FETCH_TIMEOUT_MS = 5_000;
const DEFAULT_STALE_LIMIT_MS = 24 * 60 * 60_000;

/** The issuer has not been reached for so long that its keys are no longer believed, or never yet. */
export class KeysUnavailable extends Error {}

export class IssuerKeys {
  readonly #keys: RemoteJWKSet;
  readonly #clock: Clock;
  readonly #staleLimitMs: number;
  #loadedAtMs: number | null = null;
  #triedAtMs = Number.NEGATIVE_INFINITY;
  #loading: Promise<void> | null = null;

  /** Throws CountersignError `config` for an address that is neither https nor loopback. */
  constructor(jwks: string, clock: Clock, staleLimitMs: number = DEFAULT_STALE_LIMIT_MS) {
    this.#keys = createRemoteJWKSet(keyAddress(jwks), {
      timeoutDuration: FETCH_TIMEOUT_MS,
      cooldownDuration: Number.POSITIVE_INFINITY,
      cacheMaxAge: Number.POSITIVE_INFINITY,
    });
    this.#clock = clock;
    this.#staleLimitMs = staleLimitMs;
  }

  /** The key for a token's header. Rejects with KeysUnavailable, or with jose's JWKSNoMatchingKey and its kin. */
  async keyFor(header: JWTHeaderParameters, token: FlattenedJWSInput) {
    await this.#refresh();
    try {
      return await this.#keys(header, token);
    } catch (error) {
      // A key that was added since we last looked; whoever finds a fetch under way waits for that one.
      const mayAsk = this.#loading !== null || this.#sinceTriedMs() >= MISS_PAUSE_MS;
      if (!(error instanceof errors.JWKSNoMatchingKey) || !mayAsk) throw error;
      await this.#load();
      return await this.#keys(header, token);
    }
  }

  /** Returns with keys to use, fetched if need be. */
  async #refresh(): Promise<void> {
    const age = this.#ageMs();
    if (this.#loading !== null && age > RELOAD_FIRST_MS) await this.#loading;
    else if (age > RELOAD_MS && this.#sinceTriedMs() >= RETRY_PAUSE_MS) {
      const loading = this.#load();
      if (age > RELOAD_FIRST_MS) await loading;
    }
    if (this.#ageMs() > this.#staleLimitMs) throw new KeysUnavailable();
  }

  /** Fetches once, however many wait for it. Never rejects: a failure leaves the keys we have. */
  #load(): Promise<void> {
    this.#loading ??= this.#fetch().finally(() => {
      this.#loading = null;
    });
    return this.#loading;
  }

  async #fetch(): Promise<void> {
    this.#triedAtMs = this.#monoMs();
    try {
      await this.#keys.reload();
      this.#loadedAtMs = this.#monoMs();
    } catch {
      // Told by the age of the keys: the caller finds them missing or too old, or goes on with them.
    }
  }

  #ageMs(): number {
    return this.#loadedAtMs === null ? Number.POSITIVE_INFINITY : this.#monoMs() - this.#loadedAtMs;
  }

  #sinceTriedMs(): number {
    return this.#monoMs() - this.#triedAtMs;
  }

  #monoMs(): number {
    return this.#clock.monoUs() / 1000;
  }
}

/** Keys that anybody on the way could have put there are nobody's keys. */
function keyAddress(jwks: string): URL {
  let url: URL;
  try {
    url = new URL(jwks);
  } catch (cause) {
    throw new CountersignError('config', 'the jwks address of an issuer is not a URL', { cause });
  }
  const loopback =
    url.hostname === 'localhost' || url.hostname === '[::1]' || /^127(\.\d+){3}$/.test(url.hostname);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopback)) {
    throw new CountersignError(
      'config',
      'the jwks address of an issuer must be https (http on loopback only)',
    );
  }
  return url;
}
