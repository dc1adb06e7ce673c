-- Functions in SQL and plpgsql, DO blocks, RAISE with all it can carry, contexts several calls deep.
CREATE FUNCTION add(a int, b int DEFAULT 10) RETURNS int LANGUAGE sql IMMUTABLE RETURN a + b;
SELECT add(1), add(1, 2), add(b => 1, a => 2), add(1, b := 5);
SELECT add();
SELECT add('x');
SELECT add(c => 1);
CREATE FUNCTION add(a int, b int) RETURNS int LANGUAGE sql AS 'SELECT 0';
CREATE OR REPLACE FUNCTION add(a int, b int) RETURNS text LANGUAGE sql AS 'SELECT 0';
CREATE FUNCTION several(OUT x int, OUT y text, z int DEFAULT 3) LANGUAGE sql AS $$ SELECT z, 'z' || z $$;
SELECT several(), (several(4)).y;
SELECT * FROM several(5);
CREATE FUNCTION rows_of(n int) RETURNS TABLE (i int, sq int) LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1..n LOOP
    sq := i * i;
    rows_of.i := i;
    RETURN NEXT;
  END LOOP;
  RETURN QUERY SELECT -1, -1;
END $$;
SELECT * FROM rows_of(3);
SELECT rows_of(2);
CREATE FUNCTION many(VARIADIC list text[]) RETURNS text LANGUAGE sql AS $$ SELECT array_to_string(list, '/') $$;
SELECT many('a', 'b'), many(VARIADIC ARRAY['c']);
CREATE FUNCTION poly(a anyelement, b anyarray) RETURNS anyarray LANGUAGE sql AS 'SELECT $2 || $1';
SELECT poly(1, '{2}'::int[]), poly('x'::text, '{y}');
SELECT poly(1, '{x}'::text[]);
CREATE FUNCTION deepest(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 10 / n; END $$;
CREATE FUNCTION deeper(n int) RETURNS int LANGUAGE sql AS 'SELECT deepest(n) + 1';
CREATE FUNCTION deep(n int) RETURNS int LANGUAGE plpgsql AS $$ DECLARE r int; BEGIN SELECT deeper(n) INTO r; RETURN r; END $$;
SELECT deep(1);
SELECT deep(0);
DO $$ BEGIN PERFORM deep(0); END $$;
DO $$ BEGIN RAISE EXCEPTION 'plain % and %', 1, 'two'; END $$;
DO $$ BEGIN RAISE EXCEPTION USING MESSAGE = 'all', DETAIL = 'the detail', HINT = 'the hint', ERRCODE = 'XY123', COLUMN = 'c', CONSTRAINT = 'd', DATATYPE = 'e', TABLE = 'f', SCHEMA = 'g'; END $$;
DO $$ BEGIN RAISE unique_violation USING MESSAGE = 'by name'; END $$;
DO $$ BEGIN RAISE SQLSTATE '00001'; END $$;
DO $$ BEGIN RAISE; END $$;
DO $$ BEGIN RAISE '%', 1, 2; END $$;
DO $$ BEGIN RAISE E'several\nlines\nof it' USING DETAIL = E'and\nhere'; END $$;
DO $$ BEGIN ASSERT 1 = 2, 'one is not two'; END $$;
DO $$
DECLARE state text; message text; detail text; context text;
BEGIN
  PERFORM deep(0);
EXCEPTION WHEN division_by_zero THEN
  GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, context = PG_EXCEPTION_CONTEXT;
  RAISE NOTICE '% | % | % | %', state, message, detail, context;
  RAISE;
END $$;
DO $$ BEGIN SELECT 1; END $$;
DO $$ BEGIN EXECUTE 'SELEC ' || 1; END $$;
DO $$ DECLARE x int; BEGIN SELECT i INTO STRICT x FROM generate_series(1, 2) i; END $$;
DO $$ DECLARE x int := 'x'; BEGIN END $$;
DO $$ BEGIN nonsense END $$;
DO $$ BEGIN x := 1; END $$;
DO LANGUAGE sql 'SELECT 1';
DO LANGUAGE nothing 'x';
DO $$ BEGIN COMMIT; RAISE NOTICE 'committed'; ROLLBACK; END $$;
BEGIN;
DO $$ BEGIN COMMIT; END $$;
ROLLBACK;
CREATE FUNCTION endless() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE OR REPLACE FUNCTION endless() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN endless(); END';
\set VERBOSITY terse
SELECT endless();
\set VERBOSITY verbose
\df add
\sf deep
\sf+ rows_of
DROP FUNCTION add;
DROP FUNCTION add(int, int);
DROP FUNCTION add(int, int);
DROP FUNCTION IF EXISTS add(int, int);
