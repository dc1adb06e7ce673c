// The client that behaves, on the same proxy and the same database as the hostile ones: whatever they do, it is answered,
// and rightly.
import pg from 'pg';
import type { Side } from './differential.ts';

export interface Control {
  /** Rounds of right answers. */
  readonly rounds: number;
  /** Ends it. What went wrong, or null. */
  stop(): Promise<string | null>;
}

export async function startControl({ place, login }: Side, marker: string): Promise<Control> {
  const client = new pg.Client({ ...place, ...login, application_name: marker });
  client.on('error', () => {});
  await client.connect();
  let stopping = false;
  let rounds = 0;
  const running = (async (): Promise<string | null> => {
    try {
      await client.query('DELETE FROM control WHERE id >= 0');
      while (!stopping) await round(client, rounds++);
      return null;
    } catch (error) {
      return `the client that behaves was told: ${error instanceof Error ? error.message : String(error)}`;
    } finally {
      await client.end().catch(() => {});
    }
  })();
  return {
    get rounds() {
      return rounds;
    },
    async stop() {
      stopping = true;
      return await running;
    },
  };
}

async function round(client: pg.Client, number: number): Promise<void> {
  const body = `round ${number} 🐘`;
  const sum = await client.query('SELECT $1::int + 1 AS sum, $2::text AS body', [number, body]);
  expectSame(sum.rows, [{ sum: number + 1, body }]);
  await client.query('BEGIN');
  await client.query('INSERT INTO control VALUES ($1, $2)', [number, body]);
  const within = await client.query({
    name: 'find',
    text: 'SELECT body FROM control WHERE id = $1',
    values: [number],
  });
  expectSame(within.rows, [{ body }]);
  await client.query(number % 2 === 0 ? 'COMMIT' : 'ROLLBACK');
  const after = await client.query('SELECT count(*)::int AS count FROM control WHERE id >= 0');
  expectSame(after.rows, [{ count: Math.floor(number / 2) + 1 }]);
  // It is there to be answered, not to be one more burden.
  await client.query('SELECT pg_sleep(0.01)');
}

function expectSame(rows: unknown, wanted: unknown): void {
  if (JSON.stringify(rows) === JSON.stringify(wanted)) return;
  throw new Error(`the answer is ${JSON.stringify(rows)}, and should be ${JSON.stringify(wanted)}`);
}
