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

describe('what happens meanwhile', () => {
  test('a function that somebody else makes after the start is known when it is first called', async () => {
    await stage.look("CREATE FUNCTION made_later() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'");
    await passed('SELECT made_later()');
  });

  test('a view that somebody else makes after the start, likewise', async () => {
    await stage.look('CREATE VIEW view_made_later AS SELECT purge_user(2) AS id');
    await stage.look('GRANT SELECT ON view_made_later TO countersign');
    await stopped('SELECT * FROM view_made_later');
  });

  test('a view that an approved statement has replaced is another one for every session, at once', async () => {
    const other = await stage.wire();
    await passed('SELECT * FROM active_users WHERE id = 1');
    const replacement =
      'CREATE OR REPLACE VIEW active_users AS SELECT purge_user(id) AS id, email, name FROM users';
    const running = other.query(replacement);
    await stage.approve(replacement);
    expect((await running).at(-1)).toBe('ReadyForQuery I');
    expect((await stopped('SELECT * FROM active_users WHERE id = 1')).join()).toContain('purge_user');
  });

  test('in a transaction that is still open the names of its own changes are held', async () => {
    await passed('BEGIN');
    const replacement =
      "CREATE OR REPLACE FUNCTION full_name(u users) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN purge_user(u.id); END'";
    const running = client.query(replacement);
    await stage.approve('CREATE OR REPLACE FUNCTION full_name');
    expect((await running).at(-1)).toBe('ReadyForQuery T');
    await stopped('SELECT full_name(u) FROM users u WHERE id = 3');
    expect((await client.query('ROLLBACK')).at(-1)).toBe('ReadyForQuery I');
    await passed('SELECT full_name(u) FROM users u WHERE id = 3');
  });

  test('what stands behind an approved change in one pipeline is judged by what it has made', async () => {
    await stage.look("CREATE FUNCTION public.changed() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'");
    await stage.look('ALTER FUNCTION changed() OWNER TO countersign');
    await passed('SELECT changed()');
    const change = 'ALTER FUNCTION changed() VOLATILE';
    client.write(frame.query(change), frame.query('SELECT changed()'));
    await stage.approve(change);
    await client.ready();
    await stage.deny('SELECT changed()');
    expect((await client.ready()).join()).toContain('ErrorResponse 42501');
  });

  test('a prepared statement is judged by what its names mean when it is executed', async () => {
    await stage.look("CREATE FUNCTION turned() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'");
    await client.run(frame.parse({ name: 'turned', text: 'SELECT turned()' }), frame.sync());
    const run = [frame.bind({ statement: 'turned' }), frame.execute(), frame.sync()];
    expect((await client.run(...run)).join()).toContain('DataRow 1');
    const change = 'ALTER FUNCTION turned() VOLATILE';
    await stage.look('ALTER FUNCTION turned() OWNER TO countersign');
    const other = await stage.wire();
    const changing = other.query(change);
    await stage.approve(change);
    await changing;
    const running = client.run(...run);
    await stage.deny('SELECT turned()');
    expect((await running).join()).toContain('ErrorResponse 42501');
  });

  test('a name that is nowhere is the server’s to refuse, and one of a temporary table is no function', async () => {
    expect((await client.query('SELECT * FROM nowhere_at_all')).join()).toContain('ErrorResponse 42P01');
    await passed('CREATE TEMP TABLE my_own (a int)');
    await passed('SELECT * FROM my_own');
    await stopped('SELECT no_such_function()');
  });
});

describe('a built-in function’s name', () => {
  beforeAll(async () => {
    await stage.look(
      "CREATE FUNCTION public.lower(t text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN purge_user(4)::text; END'",
    );
    // Known from a name that nobody had looked for.
    await client.query('SELECT * FROM nowhere_before_lower');
  });

  test.each(["SELECT lower('A')", "SELECT LOWER('A')", "SELECT public.lower('A')"])(
    'that stands for a user’s own function too is held: %s',
    async (sql) => {
      await stopped(sql);
    },
  );

  test('with the schema of the built-in ones it passes', () => passed("SELECT pg_catalog.lower('A')"));

  test('under a path that has the user’s first, it is held', async () => {
    await passed('SET search_path = public, pg_catalog');
    await stopped('SELECT lower(name) FROM users WHERE id = 1');
    await passed('RESET search_path');
  });
});

describe('Bind', () => {
  const bound = (sql: string): Promise<string[]> =>
    client.run(frame.parse({ text: sql }), frame.bind({}), frame.sync());

  test.each([
    'SELECT peek()',
    'SELECT * FROM peeking',
    'SELECT id FROM users WHERE id = peek()',
    'SELECT outer_peek()',
    'SELECT volatile_outer_peek()',
    'INSERT INTO notes (body) VALUES (peek()::text)',
    'SELECT no_such_function_to_plan()',
  ])('refuses what would run in planning: %s', async (sql) => {
    await stage.look('SET ROLE countersign');
    await stage.look(`
      CREATE OR REPLACE VIEW peeking AS SELECT peek() AS p;
      CREATE OR REPLACE FUNCTION outer_peek() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT peek()';
      CREATE OR REPLACE FUNCTION volatile_outer_peek() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT peek()'`);
    await stage.look('RESET ROLE');
    const answers = (await bound(sql)).join();
    expect(answers).toContain('ErrorResponse');
    expect(answers).not.toContain('@example.com');
    if (!sql.includes('no_such')) expect(answers).toContain('ErrorResponse 42501');
  });

  test('passes what only an Execute runs, and that is held', async () => {
    const running = client.run(
      frame.parse({ text: 'SELECT purge_user(5)' }),
      frame.bind({}),
      frame.execute(),
      frame.sync(),
    );
    await stage.deny('SELECT purge_user(5)');
    const answers = await running;
    expect(answers).toContain('BindComplete');
    expect(answers.join()).toContain('ErrorResponse 42501');
  });
});

test('a Bind does not plan a text that is too long to be read here', async () => {
  const long = `SELECT peek() /* ${'x'.repeat(17 * 1024 * 1024)} */`;
  const answers = (await client.run(frame.parse({ text: long }), frame.bind({}), frame.sync())).join();
  expect(answers).toContain('ErrorResponse 42501');
  expect(answers).not.toContain('@example.com');
});
