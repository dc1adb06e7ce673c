// What an approver is told of a statement's impact, against a live server: numbers of the fixture, locks that a session
// really holds, what a DROP would take along; and that asking runs nothing of what is asked about.
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ImpactQuestion, type ImpactTimes, impactOf, type ReadOnly } from '../../src/gate/impact.ts';
import { Scout } from '../../src/gate/scout.ts';
import type { Impact, LockNeed } from '../../src/sql/impact.ts';
import { rowsOfPlan } from '../../src/sql/plan.ts';
import { loadParser, understand } from '../../src/sql/understand.ts';
import { createDatabase, type Database } from '../services/database.ts';
import { eventually } from '../services/wait.ts';

let database: Database;
let owner: pg.Client;
let scout: Scout;
let version = 0;

/** Whatever runs it leaves a line in the server's log, even if its transaction changes nothing. */
const TRAPS = `
  CREATE FUNCTION trap(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE LOG 'trapped'; RETURN n; END $$;
  CREATE FUNCTION trap_row(u users) RETURNS text LANGUAGE sql STABLE AS $$ SELECT trap(1)::text $$;
  CREATE VIEW trap_view AS SELECT * FROM users WHERE id = trap(1);
  CREATE VIEW trap_view_over_view AS SELECT * FROM trap_view;
  CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = trap_both);
  CREATE DOMAIN trap_domain AS int CHECK (trap_both(VALUE, 1));
  CREATE TABLE trap_default (id int DEFAULT trap(1), body text);
  CREATE TABLE trap_check (id int CHECK (id < 10 OR trap_both(1, 1)));
  CREATE TABLE trap_policy (id int);
  ALTER TABLE trap_policy ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
  CREATE POLICY trap ON trap_policy USING (trap_both(1, 1));
  CREATE TABLE trap_index (id int);
  CREATE INDEX ON trap_index (id) WHERE trap_both(1, 1);
  CREATE FUNCTION lower(varchar) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
    $$ BEGIN RAISE LOG 'trapped'; RETURN 'x'; END $$;
`;

const MORE = `
  CREATE TABLE parted (id int, body text) PARTITION BY RANGE (id);
  CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (1000);
  CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (1000) TO (9000);
  INSERT INTO parted SELECT i, 'x' FROM generate_series(0, 4999) i;
  CREATE TABLE items (id int PRIMARY KEY, order_id int REFERENCES orders ON DELETE SET NULL,
    user_id int REFERENCES users ON UPDATE CASCADE);
  CREATE TABLE wide (id int);
  CREATE TRIGGER watch AFTER DELETE ON orders FOR EACH ROW EXECUTE FUNCTION f();
  CREATE TRIGGER watch_updates AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION f();
  ANALYZE parted; ANALYZE wide;
`;

beforeAll(async () => {
  await loadParser();
  database = await createDatabase();
  const { host, port, user, password, name } = database;
  scout = new Scout({ host, port, user, password, database: name, tls: 'disable', ca: null });
  owner = new pg.Client({ connectionString: database.url, application_name: 'the test' });
  await owner.connect();
  await owner.query(`CREATE FUNCTION trap_both(a int, b int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
    $$ BEGIN RAISE LOG 'trapped'; RETURN true; END $$`);
  await owner.query(TRAPS);
  await owner.query(MORE);
  version = Number((await owner.query('SHOW server_version_num')).rows[0].server_version_num);
});
afterAll(async () => {
  scout.close();
  await owner.end();
  await database.close();
});

/** Generous: the machine may be busy, and what is late is unknown. */
const TIMES: ImpactTimes = { totalMs: 30_000, statementMs: 10_000, lockMs: 200 };
const readOnly: ReadOnly = (work, limits) => scout.readOnly(work, limits);

function question(sql: string, changes: Partial<ImpactQuestion> = {}): ImpactQuestion {
  const understood = understand(sql);
  return {
    statements: understood.known ? understood.statements : [understood],
    parameterTypes: [],
    values: null,
    searchPath: 'public',
    backend: null,
    ...changes,
  };
}

async function impact(sql: string, changes: Partial<ImpactQuestion> = {}): Promise<Impact> {
  const [first, ...others] = await impactOf(question(sql, changes), readOnly, TIMES);
  expect(others).toEqual([]);
  return first as Impact;
}

/** `kind relation rows` of each write, then what is returned and gathered. */
async function rows(sql: string, changes: Partial<ImpactQuestion> = {}): Promise<string> {
  const { rows: found } = await impact(sql, changes);
  if (found === null) return 'no plan';
  if (!found.known) return `unknown: ${found.why}`;
  const writes = found.writes.map(({ kind, relation, rows: count }) => `${kind} ${relation} ${count}`);
  const more = [`returns ${found.returns}`, ...(found.gathers > 0 ? [`gathers ${found.gathers}`] : [])];
  return [...writes, ...more, ...(found.generic ? ['generic'] : [])].join(', ');
}

describe('rows by plan', () => {
  test.each([
    ['DELETE FROM orders', 'delete public.orders 100000, returns 0'],
    ['DELETE FROM orders WHERE id = 7 RETURNING *', 'delete public.orders 1, returns 1'],
    ["UPDATE users SET name = 'x' WHERE id > 0", 'update public.users 20000, returns 0'],
    ['INSERT INTO notes (body) SELECT email FROM users', 'insert public.notes 20000, returns 0'],
    ["INSERT INTO notes (body) VALUES ('a'), ('b')", 'insert public.notes 2, returns 0'],
    [
      "INSERT INTO users (id, email) SELECT id, email FROM users ON CONFLICT (id) DO UPDATE SET name = 'x'",
      'insert public.users 20000, returns 0',
    ],
    [
      'WITH gone AS (DELETE FROM orders RETURNING *) INSERT INTO notes (body) SELECT status FROM gone',
      'delete public.orders 100000, insert public.notes 100000, returns 0',
    ],
    ['WITH gone AS (DELETE FROM notes RETURNING id) SELECT count(*) FROM users', 'delete public.notes'],
    ['DELETE FROM parted', 'delete public.parted 5000, returns 0'],
    ['UPDATE parted SET body = $$y$$ WHERE id >= 1000', 'update public.parted 4000, returns 0'],
    ['UPDATE active_users SET name = $$y$$', 'update public.users 20000, returns 0'],
    [
      'DELETE FROM orders USING users WHERE orders.user_id = users.id',
      'delete public.orders 100000, returns 0',
    ],
    ['SELECT * FROM orders', 'returns 100000'],
    ['SELECT count(*) FROM orders', 'returns 1'],
    ['SELECT * FROM orders LIMIT 7', 'returns 7'],
    ['SELECT string_agg(email, $$,$$) FROM users', 'returns 1, gathers 20000'],
    ['SELECT (SELECT json_agg(u) FROM users u), 1', 'returns 1, gathers 20000'],
    ['SELECT u.id, (SELECT array_agg(o.id) FROM orders o) FROM users u', 'returns 20000, gathers 100000'],
    ['TABLE users', 'returns 20000'],
    // What stands around a query.
    ['EXPLAIN ANALYZE DELETE FROM orders', 'delete public.orders 100000, returns 0'],
    [
      'EXPLAIN (ANALYZE, COSTS off) /* x */ DELETE FROM orders -- y',
      'delete public.orders 100000, returns 0',
    ],
    ['COPY (SELECT * FROM users) TO STDOUT', 'returns 20000'],
    ["COPY (SELECT ')' FROM users) TO STDOUT WITH (FORMAT csv, DELIMITER ';')", 'returns 20000'],
    ['DECLARE c CURSOR WITH HOLD FOR SELECT * FROM users', 'returns 20000'],
    ['PREPARE p AS DELETE FROM orders', 'delete public.orders 100000, returns 0'],
    ['CREATE TABLE copied AS SELECT * FROM users', 'returns 20000'],
    // Rows, and no plan to see beforehand.
    ['DO $$ BEGIN NULL; END $$', 'unknown: what it runs is planned only while it runs'],
    ['CALL archive_orders()', 'unknown: what it runs is planned only while it runs'],
    ['COPY users FROM STDIN', 'unknown: they come from whoever sends them'],
    ['COPY users TO STDOUT', 'unknown: it is a copy of the whole relation'],
    // No plan at all.
    ['DROP TABLE users', 'no plan'],
    ['EXPLAIN DELETE FROM orders', 'no plan'],
    ["SET search_path = ''", 'no plan'],
  ])('%s', async (sql, expected) => {
    expect(await rows(sql)).toMatch(
      expected.includes(', returns') || !expected.includes('delete') ? new RegExp(`^${expected}$`) : expected,
    );
  });

  test('MERGE', async () => {
    const merge =
      'MERGE INTO users u USING orders o ON u.id = o.user_id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN DO NOTHING';
    expect(await rows(merge)).toMatch(
      version >= 150000 ? /^merge public.users 100000, returns 0$/ : /^unknown: /,
    );
  });

  test('of a plan in parallel, the rows of all workers', async () => {
    await owner.query('BEGIN');
    await owner.query(`SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0;
      SET LOCAL min_parallel_table_scan_size = 0; SET LOCAL max_parallel_workers_per_gather = 3`);
    const { rows: answer } = await owner.query(
      "EXPLAIN (FORMAT JSON, VERBOSE) SELECT * FROM events WHERE payload->>'kind' <> 'x'",
    );
    await owner.query('ROLLBACK');
    const plan = answer[0]['QUERY PLAN'];
    expect(JSON.stringify(plan)).toContain('"Gather"');
    const read = rowsOfPlan(plan, false);
    if (!read.known) throw new Error(read.why);
    expect(Math.abs((read.scans[0]?.rows ?? 0) - read.returns)).toBeLessThan(10);
    expect(read.returns).toBeGreaterThan(150_000);
  });

  test('whatever is no plan is unknown', () => {
    for (const answer of [
      null,
      {},
      [],
      [{}],
      ['x'],
      [{ Plan: {} }],
      [{ Plan: { 'Node Type': 'ModifyTable', Operation: 'Burn' } }],
    ]) {
      expect(rowsOfPlan(answer, false), JSON.stringify(answer)).toMatchObject({ known: false });
    }
    const noInput = { 'Node Type': 'ModifyTable', Operation: 'Delete', 'Plan Rows': 0 };
    expect(rowsOfPlan([{ Plan: noInput }], false)).toMatchObject({ known: false });
  });
});

describe('parameters', () => {
  const over = 'DELETE FROM orders WHERE id > $1';

  test('the very values, where they are known', async () => {
    expect(await rows(over, { values: ['0'], parameterTypes: [23] })).toBe(
      'delete public.orders 100000, returns 0',
    );
    expect(await rows(over, { values: ['99999'], parameterTypes: [] })).toMatch(
      /^delete public.orders [1-9]?\d?, /,
    );
    const name = "DELETE FROM users WHERE name = $1 OR name = 'a''b'";
    expect(await rows(name, { values: ["x'; DROP TABLE users; --\\"] })).toMatch(
      /^delete public.users [12], returns 0$/,
    );
  });

  test('any values, where they are not: and that is said', async () => {
    expect(await rows(over)).toMatch(/^delete public.orders 33\d\d\d, returns 0, generic$/);
    expect(await rows(over, { values: ['a', 'b'] })).toMatch(/generic$/);
    expect(await rows('DELETE FROM users WHERE name = $1', { values: ['\0'] })).toMatch(/generic$/);
    expect(await rows('PREPARE p (int) AS DELETE FROM orders WHERE id > $1')).toMatch(/generic$/);
  });

  test('a value that the server does not take is unknown, and the next question is answered', async () => {
    expect(await rows(over, { values: ['x'], parameterTypes: [23] })).toMatch(
      /^unknown: invalid input syntax/,
    );
    expect(await rows(over, { values: ['0'], parameterTypes: [23] })).toMatch(/^delete/);
    await scout.readOnly(async (query) => {
      expect(await query('SELECT name FROM pg_prepared_statements')).toEqual([]);
    });
  });
});

const trapped = (): number => database.serverLog().filter(({ text }) => text.includes('trapped')).length;

describe('nothing of the agent’s runs', () => {
  test.each([
    ['a function', 'DELETE FROM users WHERE id = trap(1)'],
    ['a function in a FROM', 'SELECT * FROM trap(1)'],
    ['a function by its other notation', 'SELECT u.trap_row FROM users u'],
    ['the same of a whole row', 'SELECT (u).trap_row FROM users u'],
    ['a view', 'SELECT * FROM trap_view'],
    ['a view over a view', 'UPDATE trap_view_over_view SET name = $$x$$'],
    ['an operator', 'DELETE FROM users WHERE 1 === 1'],
    ['an operator with its schema', 'DELETE FROM users WHERE 1 OPERATOR(public.===) 1'],
    ['a domain', 'DELETE FROM users WHERE id = 1::trap_domain'],
    ['a default', "INSERT INTO trap_default (body) VALUES ('x')"],
    ['a check', 'SELECT * FROM trap_check WHERE id = 3'],
    ['a policy', 'DELETE FROM trap_policy'],
    ['a partial index', 'DELETE FROM trap_index WHERE id = 3'],
    ['a shadowed built-in', "DELETE FROM users WHERE email = lower('x'::varchar)"],
    ['a subquery', 'SELECT 1 WHERE EXISTS (SELECT FROM users ORDER BY trap(1))'],
    ['a prepared one', 'PREPARE p AS DELETE FROM users WHERE id = trap(1)'],
    ['EXPLAIN ANALYZE', 'EXPLAIN ANALYZE SELECT trap(1)'],
  ])('%s', async (_what, sql) => {
    const before = trapped();
    expect(await rows(sql)).toMatch(/^unknown: planning it might run code of this database: /);
    // The server's log is written in order: once this is in it, so would be whatever came before.
    const marker = `marker ${sql}`;
    await owner.query(`DO $do$ BEGIN RAISE LOG $m$${marker}$m$; END $do$`);
    await eventually(() =>
      database.serverLog().some(({ level, text }) => level === 'LOG' && text === marker),
    );
    expect(trapped()).toBe(before);
  });

  test('the trap works: planning it does run it', async () => {
    const before = trapped();
    await owner.query('EXPLAIN DELETE FROM users WHERE id = trap(1)');
    await eventually(() => trapped() > before);
  });

  test('nothing was changed, and no statement but EXPLAIN went to the server', async () => {
    await impact('DELETE FROM orders');
    await impact('TRUNCATE orders CASCADE');
    await impact("SELECT nextval('users_id_seq')");
    const { rows: counted } = await owner.query('SELECT count(*) FROM orders');
    expect(counted[0].count).toBe('100000');
  });

  test.each(["SELECT pg_read_file('/etc/passwd')", "SELECT * FROM ts_stat('DELETE FROM users')"])(
    '%s is planned without being run',
    async (sql) => {
      expect(await rows(sql)).toMatch(/^(returns|unknown: )/);
      expect(await rows('SELECT count(*) FROM users')).toBe('returns 1');
    },
  );
});

const lockOn = ({ locks }: Impact, relation: string): LockNeed | undefined =>
  locks.find((lock) => lock.relation === relation);

describe('locks', () => {
  test.each([
    ['DROP TABLE notes', 'ACCESS EXCLUSIVE', false],
    ['TRUNCATE notes', 'ACCESS EXCLUSIVE', false],
    ['CREATE INDEX ON notes (body)', 'SHARE', false],
    ['CREATE INDEX CONCURRENTLY ON notes (body)', 'SHARE UPDATE EXCLUSIVE', false],
    ['ALTER TABLE notes ADD COLUMN x int', 'ACCESS EXCLUSIVE', false],
    ['ALTER TABLE notes ADD COLUMN x int DEFAULT 5', 'ACCESS EXCLUSIVE', false],
    ['ALTER TABLE notes ADD COLUMN x timestamptz DEFAULT now()', 'ACCESS EXCLUSIVE', false],
    ['ALTER TABLE notes ADD COLUMN x double precision DEFAULT random()', 'ACCESS EXCLUSIVE', null],
    ['ALTER TABLE notes ADD COLUMN x serial', 'ACCESS EXCLUSIVE', true],
    ['ALTER TABLE notes ADD COLUMN x int GENERATED ALWAYS AS (id + 1) STORED', 'ACCESS EXCLUSIVE', true],
    ['ALTER TABLE notes ADD COLUMN x mood', 'ACCESS EXCLUSIVE', null],
    ['ALTER TABLE notes ALTER body TYPE varchar(10)', 'ACCESS EXCLUSIVE', null],
    ['ALTER TABLE notes SET UNLOGGED', 'ACCESS EXCLUSIVE', true],
    ['ALTER TABLE notes ALTER body SET STATISTICS 100', 'SHARE UPDATE EXCLUSIVE', false],
    ['ALTER TABLE notes SET (fillfactor = 70)', 'SHARE UPDATE EXCLUSIVE', false],
    ['ALTER TABLE notes ALTER body SET STATISTICS 100, DROP COLUMN body', 'ACCESS EXCLUSIVE', false],
    ['ALTER TABLE notes VALIDATE CONSTRAINT x', 'SHARE UPDATE EXCLUSIVE', false],
    ['ALTER TABLE notes ADD FOREIGN KEY (id) REFERENCES users', 'SHARE ROW EXCLUSIVE', false],
    ['ALTER TABLE notes DISABLE TRIGGER ALL', 'SHARE ROW EXCLUSIVE', false],
    ['CREATE TRIGGER t AFTER INSERT ON notes EXECUTE FUNCTION f()', 'SHARE ROW EXCLUSIVE', false],
    ['CREATE TABLE n (id int REFERENCES notes)', 'SHARE ROW EXCLUSIVE', false],
    ['ALTER TABLE notes RENAME TO n', 'ACCESS EXCLUSIVE', false],
    ['LOCK TABLE notes IN SHARE MODE', 'SHARE', false],
    ['LOCK notes', 'ACCESS EXCLUSIVE', false],
    ['VACUUM notes', 'SHARE UPDATE EXCLUSIVE', false],
    ['VACUUM FULL notes', 'ACCESS EXCLUSIVE', true],
    ['CLUSTER notes', 'ACCESS EXCLUSIVE', true],
    ['DELETE FROM notes', 'ROW EXCLUSIVE', false],
    ['COPY notes FROM STDIN', 'ROW EXCLUSIVE', false],
    ['SELECT * FROM notes FOR UPDATE', 'ROW SHARE', false],
    ['SELECT * FROM notes', 'ACCESS SHARE', false],
    ['CREATE VIEW v AS SELECT * FROM notes', 'ACCESS SHARE', false],
    ['COMMENT ON TABLE notes IS $$x$$', 'SHARE UPDATE EXCLUSIVE', false],
    ['DROP TRIGGER t ON notes', 'ACCESS EXCLUSIVE', false],
  ])('%s: %s', async (sql, mode, rewrites) => {
    expect(lockOn(await impact(sql), 'public.notes')).toMatchObject({
      mode,
      rewrites,
      blockers: 0,
      waiting: 0,
    });
  });

  test('the server takes the very lock that is named', async () => {
    const samples = [
      'DROP TABLE notes',
      'CREATE INDEX ON notes (body)',
      'ALTER TABLE notes ADD COLUMN x int',
      'ALTER TABLE notes ALTER body SET STATISTICS 100',
      'ALTER TABLE notes SET (fillfactor = 70)',
      'ALTER TABLE notes ADD FOREIGN KEY (id) REFERENCES users',
      'ALTER TABLE notes DISABLE TRIGGER ALL',
      'CREATE TRIGGER t AFTER INSERT ON notes EXECUTE FUNCTION f()',
      'CREATE TABLE n (id int REFERENCES notes)',
      'ALTER TABLE notes RENAME TO n',
      'ALTER TABLE notes ALTER body TYPE varchar(10)',
      'COMMENT ON TABLE notes IS $$x$$',
      'TRUNCATE notes',
      'DELETE FROM notes',
      'SELECT * FROM notes FOR UPDATE',
      'CREATE POLICY p ON notes USING (true)',
      'CREATE RULE r AS ON DELETE TO notes DO INSTEAD NOTHING',
      'CREATE STATISTICS s ON id, body FROM notes',
      'ALTER TABLE notes OWNER TO CURRENT_USER',
      'ALTER TABLE notes ALTER body SET DEFAULT 5',
      'ALTER TABLE notes ADD UNIQUE (body)',
      'ALTER TABLE notes ADD CHECK (id > 0) NOT VALID',
    ];
    for (const sql of samples) {
      const said = lockOn(await impact(sql), 'public.notes');
      await owner.query('BEGIN');
      const { rows: relation } = await owner.query("SELECT 'notes'::regclass::oid AS oid");
      await owner.query(sql);
      const { rows: held } = await owner.query(
        "SELECT mode FROM pg_locks WHERE locktype = 'relation' AND relation = $1 AND pid = pg_backend_pid()",
        [relation[0].oid],
      );
      await owner.query('ROLLBACK');
      const modes = held.map(({ mode }) => String(mode));
      const name = `${(said?.mode ?? '').toLowerCase().replaceAll(/(^| )(.)/g, (_, __, c) => c.toUpperCase())}Lock`;
      expect([sql, modes], sql).toEqual([sql, expect.arrayContaining([name])]);
      // And no stronger one.
      if (said?.mode !== 'ACCESS EXCLUSIVE')
        expect([sql, modes]).toEqual([sql, expect.not.arrayContaining(['AccessExclusiveLock'])]);
    }
  });

  test('who is in the way, and who waits already', async () => {
    const other = new pg.Client({ connectionString: database.url });
    await other.connect();
    try {
      await owner.query('BEGIN; SELECT * FROM wide');
      expect(lockOn(await impact('ALTER TABLE wide ADD COLUMN y int'), 'public.wide')).toMatchObject({
        blockers: 1,
        waiting: 0,
      });
      // A reader is in no writer's way.
      expect(lockOn(await impact('DELETE FROM wide'), 'public.wide')).toMatchObject({
        blockers: 0,
        waiting: 0,
      });
      const waiting = other.query('ALTER TABLE wide ADD COLUMN z int').catch(() => {});
      await eventually(async () => {
        const { rows: found } = await database.superuser.query(
          "SELECT FROM pg_locks WHERE NOT granted AND relation = 'wide'::regclass",
        );
        return found.length === 1;
      });
      const behind = await impact('ALTER TABLE wide ADD COLUMN y int');
      expect(lockOn(behind, 'public.wide')).toMatchObject({ blockers: 2, waiting: 1 });
      // A size is not to be had now, nor a plan, and neither is waited for; the rest is there.
      const blocked = await impact('DELETE FROM wide');
      expect(blocked.rows).toMatchObject({ known: false, why: 'a lock on it was not free' });
      expect(lockOn(blocked, 'public.wide')).toMatchObject({ blockers: 1, waiting: 1 });
      await owner.query('ROLLBACK');
      await waiting;
    } finally {
      await other.end();
    }
  });

  test('the locks of the session that asks are its own', async () => {
    const { rows: self } = await owner.query('SELECT pg_backend_pid() AS pid');
    await owner.query('BEGIN; SELECT * FROM wide');
    const backend = Number(self[0].pid);
    expect(lockOn(await impact('DROP TABLE wide', { backend }), 'public.wide')).toMatchObject({
      blockers: 0,
    });
    await owner.query('ROLLBACK');
  });
});

describe('what goes along', () => {
  test('DROP … CASCADE: by pg_depend, views over views as well', async () => {
    const { dependents, locks } = await impact('DROP TABLE users CASCADE');
    expect(dependents).toEqual(
      expect.arrayContaining([
        'constraint orders_user_id_fkey on table orders',
        'constraint items_user_id_fkey on table items',
        'view active_users',
        'view trap_view',
        'view trap_view_over_view',
        'function full_name(users)',
      ]),
    );
    // Its own parts are no news.
    expect(dependents.join()).not.toMatch(/index|policy|users_pkey|toast|type users|rule|sequence/);
    expect(locks).toContainEqual(
      expect.objectContaining({ relation: 'public.orders', mode: 'ACCESS EXCLUSIVE' }),
    );
    expect((await impact('DROP TABLE users')).dependents).toEqual([]);
  });

  test.each([
    ['DROP VIEW trap_view CASCADE', ['view trap_view_over_view']],
    [
      'ALTER TABLE users DROP COLUMN email CASCADE',
      ['view active_users', 'view trap_view', 'view trap_view_over_view'],
    ],
    ['DROP TYPE mood CASCADE', []],
    ['DROP FUNCTION purge_user CASCADE', ['view danger_view']],
    ['DROP FUNCTION purge_user(int) CASCADE', ['view danger_view']],
  ])('%s', async (sql, expected) => {
    expect((await impact(sql)).dependents).toEqual(expected);
  });

  test('DROP SCHEMA CASCADE names what is in it, and not without end', async () => {
    const { dependents, unknown } = await impact('DROP SCHEMA public CASCADE');
    expect(dependents).toContain('table orders');
    expect(dependents.length <= 50).toBe(true);
    expect(dependents.length < 50 || unknown.includes('more dependents than are shown')).toBe(true);
  });

  test('foreign keys of a DELETE, through those that cascade, with the triggers that then fire', async () => {
    const { cascades, triggers } = await impact('DELETE FROM users WHERE id = 1');
    expect(cascades).toEqual([
      {
        constraint: 'items_user_id_fkey',
        relation: 'public.items',
        action: 'NO ACTION',
        rows: expect.toBeOneOf([0, null]),
      },
      { constraint: 'orders_user_id_fkey', relation: 'public.orders', action: 'CASCADE', rows: 100_000 },
      {
        constraint: 'items_order_id_fkey',
        relation: 'public.items',
        action: 'SET NULL',
        rows: expect.toBeOneOf([0, null]),
      },
    ]);
    expect(triggers).toEqual([{ trigger: 'watch', relation: 'public.orders', calls: 'f' }]);
  });

  test('of an UPDATE, those of the columns that it sets', async () => {
    expect((await impact('UPDATE users SET id = id + 1')).cascades).toEqual([
      expect.objectContaining({ constraint: 'items_user_id_fkey', action: 'CASCADE' }),
      expect.objectContaining({ constraint: 'orders_user_id_fkey', action: 'NO ACTION' }),
    ]);
    const { cascades, triggers } = await impact("UPDATE users SET name = 'x'");
    expect(cascades).toEqual([]);
    expect(triggers).toEqual([{ trigger: 'watch_updates', relation: 'public.users', calls: 'f' }]);
    expect((await impact("INSERT INTO users (email) VALUES ('x')")).triggers).toEqual([]);
  });

  test('TRUNCATE … CASCADE takes whole tables', async () => {
    const { cascades, locks } = await impact('TRUNCATE users CASCADE');
    expect(cascades.map(({ relation, action }) => `${relation} ${action}`)).toEqual(
      expect.arrayContaining(['public.orders TRUNCATE', 'public.items TRUNCATE']),
    );
    expect(locks).toContainEqual(
      expect.objectContaining({ relation: 'public.orders', mode: 'ACCESS EXCLUSIVE' }),
    );
    expect((await impact('TRUNCATE users')).cascades[0]).toMatchObject({ action: 'RESTRICT' });
  });

  test('sizes: with partitions, largest first', async () => {
    const { relations } = await impact('SELECT FROM orders, users, parted');
    expect(relations.map(({ relation, kind, rows: all }) => [relation, kind, all])).toEqual([
      ['public.orders', 'table', 100_000],
      ['public.users', 'table', 20_000],
      ['public.parted', 'partitioned table', 5000],
    ]);
    const { rows: measured } = await owner.query("SELECT pg_total_relation_size('orders') AS bytes");
    expect(relations[0]?.bytes).toBe(Number(measured[0].bytes));
  });

  test('names are looked up by the session’s search_path', async () => {
    await owner.query('CREATE SCHEMA IF NOT EXISTS other; CREATE TABLE other.orders (id int)');
    const { locks } = await impact('DROP TABLE orders', { searchPath: 'other, public' });
    expect(locks.map(({ relation }) => relation)).toEqual(['other.orders']);
    const unsaid = await impact('DROP TABLE orders', { searchPath: null });
    expect(unsaid.locks[0]?.relation).toBe('public.orders');
    expect(unsaid.unknown.join()).toContain('search_path');
    expect((await impact('DROP TABLE public.orders', { searchPath: null })).unknown).toEqual([]);
  });
});

describe('what could not be found out', () => {
  const unanswered: ReadOnly = () => new Promise(() => {});

  test('no answer in time: unknown, with what the text alone tells', async () => {
    const [found] = await impactOf(question('DELETE FROM orders'), unanswered, { ...TIMES, totalMs: 1 });
    expect(found).toMatchObject({
      rows: { known: false, why: 'the time limit for looking was over' },
      locks: [{ relation: 'orders', mode: 'ROW EXCLUSIVE', blockers: null, waiting: null }],
      unknown: ['the time limit for looking was over'],
    });
  });

  test('nobody waits for it any more', async () => {
    const [found] = await impactOf(question('DELETE FROM orders'), unanswered, TIMES, Promise.resolve());
    expect(found?.rows).toMatchObject({ known: false });
  });

  test('no server: unknown, and no word of why it could not be reached', async () => {
    const lost = new Scout({
      host: '127.0.0.1',
      port: 1,
      user: 'x',
      password: 'x',
      database: 'x',
      tls: 'disable',
      ca: null,
    });
    const [found] = await impactOf(
      question('DROP TABLE users'),
      (work, limits) => lost.readOnly(work, limits),
      TIMES,
    );
    expect(found).toMatchObject({ rows: null, unknown: ['the database could not be asked'] });
    lost.close();
  });

  test('a database that nobody can ask, a text too long or too deep to be looked into: said, never thrown', async () => {
    const none: ReadOnly = () => {
      throw new Error('no such database');
    };
    const [found] = await impactOf(question('DROP TABLE users'), none, TIMES);
    expect(found?.unknown).toEqual(['the database could not be asked']);
    const long = `DELETE FROM users WHERE name = '${'x'.repeat(70_000)}'`;
    expect(await rows(long)).toMatch(/^unknown: its text is too long/);
    for (const depth of [200, 800, 1500, 3000]) {
      const sql = `DELETE FROM users WHERE id = ${'('.repeat(depth)}1${' + 1)'.repeat(depth)}`;
      expect(await rows(sql), String(depth)).toMatch(/^(delete|unknown: )/);
    }
  });

  test('a relation that is not there, a statement that is not understood', async () => {
    expect(await rows('DELETE FROM no_such_table')).toMatch(
      /^unknown: relation "no_such_table" does not exist/,
    );
    const [found] = await impactOf(question('DELETE FORM orders'), readOnly, TIMES);
    expect(found).toMatchObject({
      tag: '',
      rows: { known: false, why: expect.stringContaining('syntax error') },
    });
  });

  test('several statements, each for itself; one that fails leaves the others', async () => {
    const found = await impactOf(
      question('DELETE FROM orders; DELETE FROM nothing; DROP TABLE notes'),
      readOnly,
      TIMES,
    );
    expect(found.map(({ tag, rows: planned }) => [tag, planned?.known ?? null])).toEqual([
      ['DELETE', true],
      ['DELETE', false],
      ['DROP TABLE', null],
    ]);
    const many = await impactOf(question('DELETE FROM notes;'.repeat(12)), readOnly, TIMES);
    expect(many).toHaveLength(10);
    expect(many.at(-1)?.unknown).toEqual(['2 further statements were not looked at']);
  });
});
