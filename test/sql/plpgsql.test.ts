// What an approver is told of a body in PL/pgSQL: every statement in it by our own facts, EXECUTE as what it is, and a
// body that cannot be read as that.
import { beforeAll, describe, expect, test } from 'vitest';
import type { Body } from '../../src/sql/impact.ts';
import { loadParser, parse } from '../../src/sql/parse.ts';
import { bodyOf } from '../../src/sql/plpgsql.ts';
import { nodeOf } from '../../src/sql/tree.ts';

beforeAll(loadParser);

function body(sql: string): Body | null {
  const parsed = parse(sql);
  const [statement] = parsed.ok ? parsed.statements : [];
  if (statement === undefined) throw new Error('no statement');
  return bodyOf(nodeOf(statement.tree), statement.text);
}

/** `line text tags` or `line EXECUTE text`. */
function lines(sql: string): string[] {
  const read = body(sql);
  expect(read?.unread).toBeNull();
  return (read?.statements ?? []).map(
    ({ line, text, dynamic, tags }) =>
      `${line} ${dynamic ? 'EXECUTE ' : ''}${text}${dynamic ? '' : ` → ${tags.join()}`}`,
  );
}

describe('PL/pgSQL', () => {
  test('statements with the lines they stand on, in their order', () => {
    const sql = `DO $$
      DECLARE r record; n int;
      BEGIN
        FOR r IN SELECT id FROM users LOOP
          UPDATE orders SET status = 'x' WHERE user_id = r.id;
        END LOOP;
        PERFORM purge_user(1);
        CALL archive_orders();
        SELECT count(*) INTO n FROM orders;
      EXCEPTION WHEN others THEN
        DELETE FROM orders;
      END $$`;
    expect(lines(sql)).toEqual([
      '4 SELECT id FROM users → SELECT',
      "5 UPDATE orders SET status = 'x' WHERE user_id = r.id → UPDATE",
      '7 SELECT purge_user(1) → SELECT',
      '8 CALL archive_orders() → CALL',
      expect.stringMatching(/^9 SELECT count\(\*\) +FROM orders → SELECT$/),
      '11 DELETE FROM orders → DELETE',
    ]);
  });

  test('whatever runs a string is marked: EXECUTE, FOR … IN EXECUTE, OPEN … FOR EXECUTE, RETURN QUERY EXECUTE', () => {
    const sql = `CREATE FUNCTION g(t text) RETURNS SETOF int LANGUAGE plpgsql AS $$
      DECLARE c refcursor; r record;
      BEGIN
        EXECUTE 'DROP TABLE ' || t USING 1;
        FOR r IN EXECUTE 'SELECT 1' USING t LOOP NULL; END LOOP;
        OPEN c FOR EXECUTE 'SELECT 2' USING t;
        RETURN QUERY EXECUTE 'SELECT 3' USING t;
      END $$`;
    expect(lines(sql)).toEqual([
      "4 EXECUTE 'DROP TABLE ' || t",
      "5 EXECUTE 'SELECT 1'",
      "6 EXECUTE 'SELECT 2'",
      "7 EXECUTE 'SELECT 3'",
    ]);
  });

  test('classes are those of our own facts; expressions are named only where they do more than read', () => {
    const sql = `DO LANGUAGE plpgsql $$
      DECLARE t text := pg_read_file('/etc/passwd'); n int := 1 + 1;
      BEGIN
        n := n + 1;
        IF lo_import('/etc/passwd') > 0 THEN GRANT admin TO bob; END IF;
        n := pg_terminate_backend(7)::int;
      END $$`;
    const found = body(sql)?.statements ?? [];
    expect(found.map(({ text, classes }) => [text, [...classes].sort()])).toEqual([
      ["pg_read_file('/etc/passwd')", ['code', 'read']],
      ["lo_import('/etc/passwd') > 0", ['code', 'read']],
      ['GRANT admin TO bob', ['privilege']],
      ['n := pg_terminate_backend(7)::int', ['code', 'read']],
    ]);
  });

  test('a cursor’s query is among them', () => {
    const sql = `CREATE PROCEDURE p() LANGUAGE plpgsql AS $$
      DECLARE c CURSOR FOR DELETE FROM users RETURNING id;
      BEGIN OPEN c; CLOSE c; END $$`;
    expect(lines(sql)).toEqual(['2 DELETE FROM users RETURNING id → DELETE']);
  });

  test('a body that cannot be read is shown as such', () => {
    expect(body(`DO $$ BEGIN IF true DELETE FROM users; END $$`)?.unread).toMatch(
      /could not be read: .*THEN/,
    );
    expect(body(`CREATE FUNCTION f() RETURNS int LANGUAGE plpython3u AS $$ return 1 $$`)?.unread).toMatch(
      /plpython3u/,
    );
    // The parser goes on in order after that.
    expect(lines('DO $$ BEGIN DELETE FROM users; END $$')).toEqual(['1 DELETE FROM users → DELETE']);
  });

  test('a statement that the body’s own grammar takes and ours does not is unknown, not left out', () => {
    const found = body(`DO $$ BEGIN SELECT FROM WHERE; END $$`);
    expect(found?.unread ?? found?.statements.map(({ classes }) => classes)).toBeTruthy();
    expect(JSON.stringify(found)).toMatch(/unknown|could not be read/);
  });

  test('a body in SQL, and statements without a body', () => {
    expect(lines(`CREATE PROCEDURE p() LANGUAGE sql AS $$ DELETE FROM users; SELECT 1 $$`)).toEqual([
      '0 DELETE FROM users → DELETE',
      '0 SELECT 1 → SELECT',
    ]);
    expect(body('DROP TABLE users')).toBeNull();
    expect(body('CREATE FUNCTION f() RETURNS int LANGUAGE sql RETURN 1')).toBeNull();
  });

  test('bounded, however long it is', () => {
    const read = body(`DO $$ BEGIN ${'DELETE FROM users; '.repeat(500)} END $$`);
    expect(read).toMatchObject({ cut: true, unread: null });
    expect(read?.statements).toHaveLength(50);
    const long = body(`DO $$ BEGIN DELETE FROM users WHERE name = '${'x'.repeat(10_000)}'; END $$`);
    expect(long?.statements[0]?.text.length).toBeLessThan(600);
  });
});
