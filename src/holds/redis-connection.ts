// Connections to Redis as the store and the bus want them: nothing queued, nothing sent twice behind our back, a dead
// link noticed, and errors that name neither host nor key.
import { Redis, type RedisOptions } from 'ioredis';
import { CountersignError } from '../base/errors.ts';

const TENANT = /^[A-Za-z0-9_.-]{1,64}$/;

/** What every key and channel of an installation begins with. Throws CountersignError `config`. */
export function prefixOf(tenant = 'default'): string {
  if (!TENANT.test(tenant)) {
    throw new CountersignError('config', 'a tenant is 1 to 64 letters, digits, dots, dashes and underscores');
  }
  // The braces make Redis Cluster keep all of a tenant in one slot, which a script over several keys needs.
  return `cs:{${tenant}}:`;
}

/** Connects in the background, for as long as it takes, again and again. Throws CountersignError `config`. */
export function connectRedis(url: string, commandMs: number, onError: (error: unknown) => void): Redis {
  if (!/^rediss?:\/\//i.test(url) || !URL.canParse(url)) {
    throw new CountersignError('config', 'the address of Redis must be a redis:// or rediss:// URL');
  }
  const client = new Redis(url, {
    connectionName: 'countersign',
    connectTimeout: commandMs,
    commandTimeout: commandMs,
    // A link that swallows everything: `ready` for ever, were it not for this.
    socketTimeout: 2 * commandMs,
    retryStrategy: (times) => Math.min(50 * times, 1_000),
    // What cannot be asked now is refused now: nothing is queued, nothing is sent twice behind our back…
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // …and a subscription that fails on reconnecting must be ours to catch.
    autoResubscribe: false,
    // After a failover this may be a replica: only a new connection finds the new master.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
  } satisfies RedisOptions);
  client.on('error', onError);
  return client;
}

/** Without the original error: ioredis hangs the command onto it, with passwords and SQL among its arguments. */
export function unavailable(reason: string): CountersignError {
  return new CountersignError('approvals_unavailable', `approvals are unavailable: ${reason}`);
}

/** Redis did answer: with an error. ioredis exports the class without a type. */
export function isRefusal(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError';
}

/** The kind of failure only. Texts of the system and of Redis name hosts, users and keys. */
export function reasonOf(error: unknown): string {
  if (error instanceof CountersignError) return error.message;
  if (isRefusal(error)) return `Redis said ${/^[A-Z]+\b/.exec(error.message)?.[0] ?? 'no'}`;
  const code: unknown = error instanceof Error && 'code' in error ? error.code : null;
  return typeof code === 'string' && /^E[A-Z_]+$/.test(code) ? code : 'no answer';
}

/** Disconnects and waits until the socket is closed. */
export async function ended(client: Redis): Promise<void> {
  const open = client.status === 'connecting' || client.status === 'connect' || client.status === 'ready';
  const end = open ? new Promise<void>((resolve) => client.once('end', () => resolve())) : null;
  client.disconnect();
  await end;
}
