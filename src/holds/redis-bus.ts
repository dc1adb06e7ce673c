// Carries short texts between the nodes that share a Redis, to whoever listens at that moment. Nothing is stored, nothing
// is repeated, and nothing that arrives is trusted: what a text means, and whether it is true, is for its reader to see.
import type { Redis } from 'ioredis';
import { CountersignError } from '../base/errors.ts';
import { connectRedis, ended, isRefusal, prefixOf, reasonOf, unavailable } from './redis-connection.ts';

const COMMAND_MS = 2_000;
/** A subscriber behind a dead link stays silent for ever, so it has to be asked. */
const PING_MS = 5_000;

export interface RedisBusOptions {
  readonly url: string;
  /** As of the hold store. */
  readonly tenant?: string;
  /** Redis does not let us listen. Outages are not told: the hold store has the same Redis and tells of them. */
  readonly onProblem: (error: CountersignError) => void;
}

export class RedisBus {
  readonly #prefix: string;
  readonly #onProblem: RedisBusOptions['onProblem'];
  readonly #commands: Redis;
  readonly #subscriber: Redis;
  readonly #listeners = new Map<string, (text: string) => void>();
  readonly #pinging: NodeJS.Timeout;
  /** Channels that the subscriber's connection, the one it has now, listens to. */
  readonly #subscribed = new Set<string>();

  constructor({ url, tenant, onProblem }: RedisBusOptions) {
    this.#prefix = `${prefixOf(tenant)}bus:`;
    this.#onProblem = onProblem;
    this.#commands = connectRedis(url, COMMAND_MS, () => {});
    this.#subscriber = connectRedis(url, COMMAND_MS, () => {});
    this.#subscriber.on('close', () => this.#subscribed.clear());
    this.#subscriber.on('ready', () => void this.#subscribe());
    this.#subscriber.on('message', (channel: string, text: string) => this.#listeners.get(channel)?.(text));
    this.#pinging = setInterval(() => void this.#ping(), PING_MS).unref();
  }

  /** Resolves when it listens, or when that has had its time: it goes on trying. */
  async listen(address: string, listener: (text: string) => void): Promise<void> {
    this.#listeners.set(this.#prefix + address, listener);
    await becameReady(this.#subscriber);
    await this.#subscribe();
  }

  /**
   * How many listen to this very address: PUBLISH would also count whoever watches everything by a pattern.
   * Rejects with CountersignError `approvals_unavailable`, as `send` does.
   */
  async listeners(address: string): Promise<number> {
    const [, count] = await this.#ask(() => this.#commands.pubsub('NUMSUB', this.#prefix + address));
    return Number(count);
  }

  async send(address: string, text: string): Promise<void> {
    await this.#ask(() => this.#commands.publish(this.#prefix + address, text));
  }

  async close(): Promise<void> {
    clearInterval(this.#pinging);
    this.#listeners.clear();
    await Promise.all([ended(this.#commands), ended(this.#subscriber)]);
  }

  async #ask<T>(question: () => Promise<T>): Promise<T> {
    try {
      return await question();
    } catch (error) {
      throw unavailable(reasonOf(error));
    }
  }

  async #subscribe(): Promise<void> {
    const missing = [...this.#listeners.keys()].filter((channel) => !this.#subscribed.has(channel));
    if (missing.length === 0 || this.#subscriber.status !== 'ready') return;
    try {
      await this.#subscriber.subscribe(...missing);
      for (const channel of missing) this.#subscribed.add(channel);
    } catch (error) {
      // Tried again at the next ping.
      if (isRefusal(error)) {
        this.#onProblem(
          new CountersignError(
            'config',
            `cancel requests from other nodes are not heard: ${reasonOf(error)}`,
          ),
        );
      }
    }
  }

  async #ping(): Promise<void> {
    if (this.#subscriber.status !== 'ready') return;
    await this.#subscribe();
    // No answer: socketTimeout then closes the connection, and the next one subscribes again.
    await this.#subscriber.ping().catch(() => {});
  }
}

function becameReady(client: Redis): Promise<void> {
  if (client.status === 'ready') return Promise.resolve();
  return new Promise((resolve) => {
    const settle = (): void => {
      clearTimeout(timer);
      client.off('ready', settle);
      resolve();
    };
    const timer = setTimeout(settle, COMMAND_MS);
    client.once('ready', settle);
  });
}
