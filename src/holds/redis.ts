// The hold store that several nodes share. Redis keeps the holds and wakes the nodes up; the machine decides, and one
// script (transition.ts) writes. Nothing here trusts a wake-up: it only makes a node look, and it looks anyway.
import type { Redis } from 'ioredis';
import type { Clock } from '../base/clock.ts';
import { CountersignError } from '../base/errors.ts';
import { type HoldId, parseHoldId, randomSecret } from '../base/ids.ts';
import { type FollowedStore, Following } from './following.ts';
import type { Hold, HoldChange, HoldEvent, HoldRequest, HoldStore, StepResult } from './hold.ts';
import { Listeners } from './listeners.ts';
import { dueMs, isOpen, newHold, step } from './machine.ts';
import { connectRedis, ended, isRefusal, prefixOf, reasonOf, unavailable } from './redis-connection.ts';
import { DamagedHold, parseEvent, parseHold } from './stored.ts';
import {
  parseTransitionAnswer,
  TRANSITION,
  type TransitionAnswer,
  transitionArguments,
} from './transition.ts';

export interface RedisTimings {
  /** No reply to a command in this time: the connection is given up. */
  readonly commandMs: number;
  /** Everything watched is looked at this often, whether or not a wake-up came. */
  readonly pollMs: number;
  /** A subscriber behind a dead link stays silent for ever, so it has to be asked. */
  readonly pingMs: number;
  /** Silence after which those who wait are told. Less than the 5 s they were promised, by a tick. */
  readonly lostMs: number;
}

const TIMINGS: RedisTimings = { commandMs: 2_000, pollMs: 2_000, pingMs: 5_000, lostMs: 4_500 };
const TICK_MS = 250;

/** Somebody else changed the hold between reading and writing. A hold has few changes in its whole life. */
const ATTEMPTS = 10;
/** Ended by one sweep at most. Every node sweeps every second or so. */
const SWEEP_COUNT = 100;
/** Listed at most, the newest. */
const LIST_COUNT = 1_000;
/** Events read at once. */
const EVENTS_COUNT = 100;

export interface RedisHoldStoreOptions {
  /** redis:// or rediss://, with user, password and database number where needed. */
  readonly url: string;
  readonly clock: Clock;
  /** Installations that share a Redis tell themselves apart by this. */
  readonly tenant?: string;
  /** For the operator's log: lost and damaged things, once per outage. Names no host and no secret. */
  readonly onProblem?: (error: unknown) => void;
  readonly timings?: Partial<RedisTimings>;
}

/** Needs Redis 6.2 or later, without eviction (`maxmemory-policy noeviction`). */
export class RedisHoldStore implements HoldStore {
  readonly #clock: Clock;
  readonly #timings: RedisTimings;
  readonly #onProblem: (error: unknown) => void;
  readonly #listeners: Listeners;
  readonly #following: Following;
  readonly #prefix: string;
  readonly #channel: string;
  readonly #commands: Redis;
  readonly #wakeups: Redis;
  readonly #timers: NodeJS.Timeout[] = [];
  #subscribed = false;
  #heardUs: number;
  /** The outage has been reported. */
  #reported = false;
  #closed = false;
  #onOpen: (() => void) | null = null;

  /** Connects in the background, for as long as it takes, again and again. */
  constructor(options: RedisHoldStoreOptions) {
    this.#clock = options.clock;
    this.#timings = { ...TIMINGS, ...options.timings };
    this.#onProblem = options.onProblem ?? (() => {});
    this.#listeners = new Listeners(this.#onProblem);
    this.#prefix = prefixOf(options.tenant);
    this.#channel = `${this.#prefix}changes`;
    this.#heardUs = this.#clock.monoUs();
    this.#following = new Following(this.#followed(), this.#listeners, (error) => this.#report(error));

    const connect = (): Redis =>
      connectRedis(options.url, this.#timings.commandMs, (error) => this.#report(error));
    this.#commands = connect();
    this.#wakeups = connect();
    this.#commands.on('ready', () => {
      this.#reported = false;
      void this.#poll();
    });
    this.#wakeups.on('ready', () => void this.#subscribe());
    this.#wakeups.on('close', () => {
      this.#subscribed = false;
    });
    this.#wakeups.on('message', (_channel: string, text: string) => {
      if (this.ready()) this.#following.wake(parseHoldId(text));
    });

    this.#every(TICK_MS, () => this.#tick());
    this.#every(this.#timings.pollMs, () => void this.#poll());
    this.#every(this.#timings.pingMs, () => void this.#ping());
  }

  /** A store that has connected and listens, or has had its time for it: then it goes on trying. */
  static async open(options: RedisHoldStoreOptions): Promise<RedisHoldStore> {
    const store = new RedisHoldStore(options);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, store.#timings.commandMs);
      store.#onOpen = () => {
        clearTimeout(timer);
        resolve();
      };
      store.#openedPerhaps();
    });
    return store;
  }

  /** Its times are moved to Redis's clock, keeping their distance: nodes whose clocks differ must agree on the end. */
  async create(request: HoldRequest): Promise<Hold> {
    const nowMs = await this.#ask(() => this.#time());
    const lifeMs = request.deadlineMs - request.requestedAtMs;
    const hold = newHold({ ...request, requestedAtMs: nowMs, deadlineMs: nowMs + lifeMs });
    const answer = await this.#write(hold, null);
    if (answer !== 'done') throw new CountersignError('internal', 'a hold of that id exists already');
    return hold;
  }

  async get(id: HoldId): Promise<Hold | null> {
    return (await this.#read(id))?.hold ?? null;
  }

  async list(which: 'open' | 'all'): Promise<readonly Hold[]> {
    const ids =
      which === 'open'
        ? await this.#ask(() => this.#commands.zrange(this.#key('open'), '0', String(LIST_COUNT - 1)))
        : await this.#ask(() => this.#commands.zrange(this.#key('index'), String(-LIST_COUNT), '-1'));
    const found = await Promise.all(ids.map((id) => this.#readListed(id)));
    return found
      .filter((hold) => hold !== null)
      .filter((hold) => which === 'all' || isOpen(hold.state))
      .sort((a, b) => a.request.requestedAtMs - b.request.requestedAtMs);
  }

  async apply(id: HoldId, event: HoldEvent): Promise<StepResult> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const found = await this.#read(id);
      if (found === null) return { ok: false, refusal: 'not_found', message: 'no such hold', hold: null };
      const result = step(found.hold, event, found.nowMs);
      if (!result.ok) return result;
      const answer = await this.#write(result.hold, event);
      if (answer === 'done') return result;
      if (answer === 'binding') throw new DamagedHold();
      // Another was faster, or the clock has just struck: the machine has to see what there is now.
    }
    throw unavailable('the hold changes all the time');
  }

  watch(id: HoldId, listener: (hold: Hold) => void, lost: (error: Error) => void): () => void {
    const stop = this.#listeners.watch(id, listener, lost);
    void this.#following.look(id);
    return stop;
  }

  onChange(listener: (change: HoldChange) => void): () => void {
    return this.#listeners.onChange(listener);
  }

  async sweep(): Promise<readonly HoldChange[]> {
    const nowMs = await this.#ask(() => this.#time());
    const due = await this.#ask(() =>
      this.#commands.zrangebyscore(this.#key('open'), '-inf', nowMs, 'LIMIT', 0, SWEEP_COUNT),
    );
    const changes: HoldChange[] = [];
    for (const text of due) {
      const hold = await this.#readListed(text);
      if (hold === null || dueMs(hold) === null) {
        // Expired, damaged or no id at all: it must not stand before the others for ever.
        await this.#ask(() => this.#commands.zrem(this.#key('open'), text));
        continue;
      }
      const result = step(hold, { type: hold.state === 'pending' ? 'expire' : 'lapse' }, nowMs);
      // Not done: another node's sweep, or a decision in the last moment. Whoever wrote it tells of it.
      if (result.ok && (await this.#write(result.hold, result.event)) === 'done') {
        changes.push({ hold: result.hold, event: result.event });
      }
    }
    return changes;
  }

  ready(): boolean {
    return !this.#closed && this.#commands.status === 'ready';
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers) clearInterval(timer);
    this.#listeners.clear();
    await Promise.all([ended(this.#commands), ended(this.#wakeups)]);
  }

  // ── Talking to Redis ────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Runs an idempotent question and, when its reply got lost, once more. Everything that fails becomes
   * `approvals_unavailable`, at once where there is no connection, else within about 5 s.
   */
  async #ask<T>(question: () => Promise<T>): Promise<T> {
    if (!this.ready()) throw unavailable('no connection');
    let reply: T;
    try {
      reply = await question();
    } catch (error) {
      if (isRefusal(error) || !(await this.#readyAgain())) throw unavailable(reasonOf(error));
      try {
        reply = await question();
      } catch (again) {
        throw unavailable(reasonOf(again));
      }
    }
    this.#heardUs = this.#clock.monoUs();
    return reply;
  }

  async #readyAgain(): Promise<boolean> {
    if (this.ready() || this.#closed) return this.ready();
    const client = this.#commands;
    return await new Promise((resolve) => {
      const settle = (): void => {
        clearTimeout(timer);
        client.off('ready', settle);
        resolve(this.ready());
      };
      const timer = setTimeout(settle, this.#timings.commandMs / 2);
      client.once('ready', settle);
    });
  }

  async #time(): Promise<number> {
    const [seconds = 0, microseconds = 0] = (await this.#commands.time()).map(Number);
    const nowMs = seconds * 1000 + Math.floor(microseconds / 1000);
    if (!Number.isSafeInteger(nowMs)) throw new Error('TIME is not a time');
    return nowMs;
  }

  /** The hold and Redis's time not before it was read. Throws when what lies there is not a hold. */
  async #read(id: HoldId): Promise<{ readonly hold: Hold; readonly nowMs: number } | null> {
    const [[request, progress], nowMs] = await this.#ask(() =>
      Promise.all([this.#commands.hmget(this.#holdKey(id), 'request', 'progress'), this.#time()]),
    );
    if (request == null && progress == null) return null;
    return { hold: parseHold(id, request ?? '', progress ?? ''), nowMs };
  }

  /** One damaged hold must not hide the others, and it cannot be approved: it is left out and reported. */
  async #readListed(text: string): Promise<Hold | null> {
    const id = parseHoldId(text);
    try {
      return id === null ? null : ((await this.#read(id))?.hold ?? null);
    } catch (error) {
      if (!(error instanceof DamagedHold)) throw error;
      this.#report(error);
      return null;
    }
  }

  async #write(next: Hold, event: HoldEvent | null): Promise<TransitionAnswer> {
    const operation = randomSecret(12).toString('base64url');
    const keys = [this.#holdKey(next.request.id), this.#key('open'), this.#key('index'), this.#key('events')];
    const values = transitionArguments(operation, this.#channel, next, event);
    const reply = await this.#ask(() => this.#commands.eval(TRANSITION, keys.length, ...keys, ...values));
    const answer = parseTransitionAnswer(reply);
    if (answer === null) throw unavailable('an answer that is none');
    return answer;
  }

  #key(name: 'open' | 'index' | 'events'): string {
    return `${this.#prefix}${name}`;
  }

  #holdKey(id: HoldId): string {
    return `${this.#prefix}hold:${id}`;
  }

  // ── Hearing of changes ──────────────────────────────────────────────────────────────────────────────────────────

  #followed(): FollowedStore {
    const stream = this.#key('events');
    return {
      read: (id) => this.get(id),
      versions: async (ids) => {
        const [versions] = await this.#ask(() =>
          Promise.all([
            Promise.all(ids.map((id) => this.#commands.hget(this.#holdKey(id), 'version'))),
            // An answer also when nothing is watched: silence is how an outage is noticed.
            this.#commands.ping(),
          ]),
        );
        return versions;
      },
      endOfEvents: async () => {
        const newest = await this.#ask(() => this.#commands.xrevrange(stream, '+', '-', 'COUNT', 1));
        return newest[0]?.[0] ?? '0-0';
      },
      eventsAfter: async (position) => {
        const entries = await this.#ask(() =>
          this.#commands.xrange(stream, `(${position}`, '+', 'COUNT', EVENTS_COUNT),
        );
        return await Promise.all(
          entries.map(async ([at, fields]) => ({ position: at, change: await this.#parseChange(fields) })),
        );
      },
    };
  }

  async #parseChange(fields: readonly string[]): Promise<HoldChange | null> {
    const entry = new Map<string, string>();
    for (let i = 0; i + 1 < fields.length; i += 2) entry.set(fields[i] ?? '', fields[i + 1] ?? '');
    try {
      const id = parseHoldId(entry.get('id') ?? '');
      if (id === null) throw new DamagedHold();
      const event = parseEvent(entry.get('event') ?? '');
      const request = await this.#ask(() => this.#commands.hget(this.#holdKey(id), 'request'));
      return request === null ? null : { hold: parseHold(id, request, entry.get('progress') ?? ''), event };
    } catch (error) {
      if (!(error instanceof DamagedHold)) throw error;
      this.#onProblem(error);
      return null;
    }
  }

  async #poll(): Promise<void> {
    if (!this.ready()) return;
    await this.#following.poll();
    this.#openedPerhaps();
  }

  async #subscribe(): Promise<void> {
    try {
      await this.#wakeups.subscribe(this.#channel);
    } catch (error) {
      // Tried again at the next ping. Until then polling finds the changes.
      this.#report(error);
      return;
    }
    this.#subscribed = true;
    // The other connection polls when it comes up.
    if (!this.ready()) return;
    // Whatever was published while nobody listened.
    for (const id of this.#listeners.watchedIds()) void this.#following.look(id);
    await this.#following.readEvents();
    this.#openedPerhaps();
  }

  async #ping(): Promise<void> {
    if (this.#wakeups.status !== 'ready') return;
    if (!this.#subscribed) return await this.#subscribe();
    // No answer: socketTimeout then closes the connection, and the next one subscribes again.
    await this.#wakeups.ping().catch(() => {});
  }

  #tick(): void {
    const silentMs = (this.#clock.monoUs() - this.#heardUs) / 1000;
    if (silentMs >= this.#timings.lostMs) {
      this.#listeners.lose(this.#listeners.watchedIds(), unavailable('no answer'));
    }
  }

  #openedPerhaps(): void {
    if (this.#subscribed && this.#following.started) this.#onOpen?.();
  }

  #report(error: unknown): void {
    if (error instanceof DamagedHold) this.#onProblem(error);
    else if (!this.#reported && !this.#closed) this.#reportOutage(error);
  }

  #reportOutage(error: unknown): void {
    this.#reported = true;
    this.#onProblem(error instanceof CountersignError ? error : unavailable(reasonOf(error)));
  }

  #every(periodMs: number, run: () => void): void {
    this.#timers.push(setInterval(run, periodMs).unref());
  }
}
