// A database that no longer lets the proxy ask: what passed for its text alone passes, what the catalog had cleared is
// held again, and what it had found is not forgotten.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../services/wait.ts';
import { Stage } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open();
});
afterAll(() => stage?.close());

test('the scout loses its connection and gets no other', async () => {
  const client = await stage.wire();
  const cleared = 'SELECT full_name(u) FROM users u WHERE id = 1';
  expect((await client.query(cleared)).join()).toContain('DataRow');
  await stage.look(`ALTER DATABASE ${stage.database.name} CONNECTION LIMIT 0`);
  await stage.look(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'countersign scout'",
  );
  // A name that is not in the catalog makes it ask.
  expect((await client.query('SELECT * FROM nowhere')).join()).toContain('ErrorResponse 42P01');
  await eventually(() => stage.proxy.stderr().includes('the catalog cannot be read'));
  expect((await client.query('SELECT id FROM users WHERE id = 1')).join()).toContain('DataRow 1');
  for (const sql of [cleared, 'SELECT * FROM danger_view']) {
    const running = client.query(sql);
    await stage.deny(sql);
    expect((await running).join()).toContain('ErrorResponse 42501');
  }
});
