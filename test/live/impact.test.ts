// What an approver sees of a statement's impact, from a real client through to the API, the terminal and the log. The
// numbers are those of the fixture.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readLast } from '../../src/audit/read.ts';
import type { HoldDocument } from '../../src/holds/document.ts';
import type { LockNeed } from '../../src/sql/impact.ts';
import { Stage } from './stage.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await Stage.open();
});
afterAll(async () => {
  await stage.close();
});

/** Sends `sql` as the agent, calls `look` while it is held, denies it. `before` is sent, and let through, first. */
async function whileHeld<T>(
  sql: string,
  look: (hold: HoldDocument) => Promise<T> | T,
  { before = [], values = [] }: { before?: readonly string[]; values?: readonly unknown[] } = {},
): Promise<T> {
  const client = await stage.pg();
  try {
    for (const first of before) await client.query(first);
    const refused = client.query(sql, [...values]).then(
      () => null,
      (error: Error) => error,
    );
    const hold = await stage.held(sql);
    const found = await look(hold);
    await stage.deny(sql);
    expect(await refused).not.toBeNull();
    return found;
  } finally {
    await client.end();
  }
}

const lockOn = ({ impact }: HoldDocument, relation: string): LockNeed | undefined =>
  impact[0]?.locks.find((lock) => lock.relation === relation);

describe('a held statement', () => {
  test('DELETE: rows and size in the document, on the terminal and in the log; nothing of it has run', async () => {
    const sql = 'DELETE FROM orders';
    const shown = await whileHeld(sql, async (hold) => {
      expect(hold.impact).toHaveLength(1);
      expect(hold.impact[0]).toMatchObject({
        tag: 'DELETE',
        rows: {
          known: true,
          writes: [{ kind: 'delete', relation: 'public.orders', rows: 100_000 }],
          generic: false,
        },
        relations: [{ relation: 'public.orders', kind: 'table', rows: 100_000 }],
        cascades: [],
      });
      return stage.show(hold.id);
    });
    expect(shown).toContain('delete about 100,000 rows from public.orders (by plan)');
    expect(shown).toMatch(/public\.orders: table, [\d.]+ MiB, about 100,000 rows in all/);
    expect(shown).toContain('ROW EXCLUSIVE on public.orders');
    for (const line of shown.split('\n')) expect(line.length).toBeLessThanOrEqual(80);

    const { leaf } = readLast(stage.auditDir, 1000).records.findLast(
      (one) => one.leaf['type'] === 'hold.requested',
    )!;
    expect(leaf['impact']).toEqual([
      expect.objectContaining({
        tag: 'DELETE',
        rows: {
          gathers: 0,
          returns: 0,
          writes: [{ kind: 'delete', relation: 'public.orders', rows: 100_000 }],
        },
      }),
    ]);
    expect(await stage.timesRun(sql)).toBe(0);
    expect(await stage.look('SELECT count(*)::int AS n FROM orders')).toEqual([{ n: 100_000 }]);
  });

  test('DROP … CASCADE: what it takes along', async () => {
    const shown = await whileHeld('DROP TABLE users CASCADE', (hold) => stage.show(hold.id));
    const unwrapped = shown.replaceAll(/\s+/g, ' ');
    expect(unwrapped).toContain('constraint orders_user_id_fkey on table orders');
    expect(unwrapped).toContain('view active_users');
    expect(unwrapped).toContain('ACCESS EXCLUSIVE on public.users');
    expect(unwrapped).toContain('ACCESS EXCLUSIVE on public.orders');
  });

  test('a session that really holds a lock is in the way; the asking one’s own locks are not', async () => {
    await stage.look('BEGIN');
    await stage.look('SELECT * FROM notes');
    const shown = await whileHeld('ALTER TABLE notes ADD COLUMN x int', async (hold) => {
      expect(lockOn(hold, 'public.notes')).toMatchObject({
        mode: 'ACCESS EXCLUSIVE',
        rewrites: false,
        blockers: 1,
      });
      return stage.show(hold.id);
    });
    await stage.look('ROLLBACK');
    expect(shown.replaceAll(/\s+/g, ' ')).toContain('1 session in its way now');
    await whileHeld(
      'DROP TABLE notes',
      (hold) => expect(lockOn(hold, 'public.notes')).toMatchObject({ blockers: 0 }),
      { before: ['BEGIN', 'SELECT * FROM notes'] },
    );
  });

  test('bound values count', async () => {
    const sql = 'DELETE FROM orders WHERE true OR id = $1';
    await whileHeld(
      sql,
      (hold) => expect(hold.impact[0]?.rows).toMatchObject({ known: true, generic: false }),
      {
        values: [5],
      },
    );
  });

  test('DO: every statement of its body, and EXECUTE as what it is', async () => {
    const sql = `DO $$ BEGIN
      DELETE FROM users WHERE id > 5;
      EXECUTE 'DROP TABLE ' || 'orders';
    END $$`;
    const shown = await whileHeld(sql, async (hold) => {
      expect(hold.impact[0]?.body?.statements).toMatchObject([
        { line: 2, text: 'DELETE FROM users WHERE id > 5', tags: ['DELETE'], classes: ['write'] },
        { line: 3, dynamic: true },
      ]);
      return stage.show(hold.id);
    });
    expect(shown).toContain('line 2: DELETE (write)');
    expect(shown).toContain('│ DELETE FROM users WHERE id > 5');
    expect(shown).toContain('line 3: EXECUTE of text that is made while it runs');
  });

  test('several statements, each with its own', async () => {
    const sql = 'DELETE FROM events; TRUNCATE orders';
    const shown = await whileHeld(sql, (hold) => stage.show(hold.id));
    expect(shown).toMatch(/Statement 1 +DELETE\n[\s\S]*about 200,000 rows[\s\S]*Statement 2 +TRUNCATE TABLE/);
  });
});

describe('where the impact cannot be had', () => {
  test('the plan waits for a lock: unknown, and why; the hold is there all the same', async () => {
    await stage.look('BEGIN');
    await stage.look('LOCK TABLE orders IN ACCESS EXCLUSIVE MODE');
    const shown = await whileHeld('DELETE FROM orders /* locked */', async (hold) => {
      expect(hold.impact[0]?.rows).toEqual({ known: false, why: 'a lock on it was not free' });
      expect(lockOn(hold, 'public.orders')).toMatchObject({ blockers: 1 });
      return stage.show(hold.id);
    });
    await stage.look('ROLLBACK');
    expect(shown).toContain('UNKNOWN: a lock on it was not free');
  });

  test('the server takes no further connection: unknown', async () => {
    const other = await Stage.open();
    const client = await other.pg();
    try {
      const { name } = other.database;
      await other.look(`ALTER DATABASE ${name} CONNECTION LIMIT 0`);
      const refused = client.query('DELETE FROM orders').catch((error: Error) => error);
      const hold = await other.held('DELETE FROM orders');
      expect(hold.impact[0]).toMatchObject({
        rows: { known: false, why: 'the database could not be asked' },
        locks: [{ relation: 'orders', mode: 'ROW EXCLUSIVE', blockers: null }],
      });
      await other.deny('DELETE FROM orders');
      await refused;
    } finally {
      await client.end();
      await other.close();
    }
  });
});
