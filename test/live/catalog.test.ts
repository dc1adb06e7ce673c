// What only the database can tell, through a live proxy: which functions are harmless, what a view or a rule would run,
// and that no answer is older than what has happened since.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Stage } from './stage.ts';
import { frame, type WireClient } from './wire-client.ts';

let stage: Stage;
let client: WireClient;
beforeAll(async () => {
  stage = await Stage.open();
  client = await stage.wire();
});
afterAll(() => stage?.close());
afterEach(async () => {
  expect(await stage.holds()).toEqual([]);
});

/** Runs it, denies the hold that must come, and returns the reasons that the approver was shown. */
async function stopped(sql: string): Promise<readonly string[]> {
  const running = client.query(sql);
  const hold = await stage.deny(sql);
  expect((await running).join()).toContain('ErrorResponse 42501');
  return hold.statement.reasons;
}

const passed = async (sql: string): Promise<void> => {
  const answers = await client.query(sql);
  expect(answers.filter((answer) => answer.startsWith('ErrorResponse'))).toEqual([]);
};

describe('functions and views of the shop', () => {
  test('a steady function in SQL that calls nothing passes', () =>
    passed('SELECT full_name(u) FROM users u WHERE id = 1'));

  test('the same as an attribute', () => passed('SELECT u.full_name FROM users u WHERE id = 1'));

  test('a volatile function is held', async () => {
    expect(await stopped('SELECT purge_user(1)')).toEqual([
      'public.purge_user is volatile: it may change anything',
    ]);
  });

  test('so is a view that calls it', async () => {
    expect(await stopped('SELECT * FROM danger_view')).toEqual([
      'view public.danger_view: public.purge_user is volatile: it may change anything',
    ]);
  });

  test('a plain view passes', () => passed('SELECT * FROM active_users WHERE id = 1'));

  test('a materialized view passes', () => passed('SELECT * FROM order_totals WHERE user_id = 1'));
});

test('a Bind does not run what its planning would, of a user’s function', async () => {
  await stage.look('SET ROLE countersign');
  await stage.look(`CREATE FUNCTION peek() RETURNS int IMMUTABLE LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION '%', (SELECT email FROM users WHERE id = 1); END $$`);
  await stage.look('RESET ROLE');
  const answers = await client.run(frame.parse({ text: 'SELECT peek()' }), frame.bind({}), frame.sync());
  expect(answers.join()).toContain('ErrorResponse 42501');
  expect(answers.join()).not.toContain('@example.com');
});
