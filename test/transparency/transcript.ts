// Plays one scene with a driver on both ways to a database; what the driver gives back must be the same to the last field.
import { expect } from 'vitest';
import { type Pair, WAYS, type Way } from './observed.ts';

/** Writes down what a driver gave: a result, a row, an error. */
export type Say = (what: unknown) => void;

export type Scene<Client> = (client: Client, say: Say, way: Way) => Promise<unknown>;

interface Stage<Client> {
  readonly connect: (way: Way) => Promise<Client>;
  readonly disconnect: (client: Client) => Promise<unknown>;
}

/**
 * Returns what was said, which is the same both ways. `leastSaid`: a scene that came to nothing on both must not pass
 * for one that went well.
 */
export async function play<Client>(
  { connect, disconnect }: Stage<Client>,
  scene: Scene<Client>,
  leastSaid: number,
): Promise<void> {
  const [direct, through] = await Promise.all(
    WAYS.map(async (way) => {
      const said: unknown[] = [];
      const client = await connect(way);
      try {
        await scene(client, (what) => said.push(plain(what)), way);
      } finally {
        await disconnect(client);
      }
      return said;
    }),
  );
  expect(through).toEqual(direct);
  expect(direct!.length).toBeGreaterThanOrEqual(leastSaid);
}

/** What `work` comes to: its result, or the error with which it failed. */
export const outcome = (work: PromiseLike<unknown>): Promise<unknown> =>
  Promise.resolve(work).catch((error: unknown) => error);

/** Objects of the drivers' classes as plain data: all fields that have a value, and of errors the message too. */
function plain(what: unknown): unknown {
  if (Buffer.isBuffer(what)) return `bytes ${what.toString('hex')}`;
  if (what instanceof Date) return what.toJSON() ?? 'no date';
  if (Array.isArray(what)) {
    const elements = what.map(plain);
    const named = Object.entries(what).filter(([name]) => !/^\d+$/.test(name));
    return named.length === 0 ? elements : { elements, ...fields(named) };
  }
  if (what instanceof Error) return { message: what.message, ...fields(Object.entries(what)) };
  if (typeof what === 'object' && what !== null) return fields(Object.entries(what));
  return what;
}

/** Ids of tables and types that the scene has made differ between any two databases. */
const FIRST_NORMAL_OID = 16_384;
const OIDS: ReadonlySet<string> = new Set(['tableID', 'dataTypeID', 'table', 'type']);

function fields(entries: readonly (readonly [string, unknown])[]): Record<string, unknown> {
  return Object.fromEntries(
    entries
      .filter(([, value]) => typeof value !== 'function' && value !== undefined)
      .map(([name, value]) => [
        name,
        OIDS.has(name) && typeof value === 'number' && value >= FIRST_NORMAL_OID
          ? 'of its own'
          : plain(value),
      ]),
  );
}

/** Waits on the server until this text runs there, by way of somebody else. */
export async function running(pair: Pair, way: Way, sql: string): Promise<boolean> {
  const rows = await pair.look(
    way,
    `SELECT FROM pg_stat_activity
     WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()
       AND query = '${sql.replaceAll("'", "''")}'`,
  );
  return rows.length > 0;
}
