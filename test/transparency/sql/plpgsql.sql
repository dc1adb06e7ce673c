-- PL/pgSQL from within: loops, dynamic SQL, subtransactions, cursors, diagnostics, its own warnings and errors.
CREATE TABLE t (id int PRIMARY KEY, v text);
DO $$
DECLARE
  r record;
  n int;
  arr int[] := '{3,1,2}';
  c CURSOR (upto int) FOR SELECT i FROM generate_series(1, upto) i;
BEGIN
  FOR i IN REVERSE 6..1 BY 2 LOOP RAISE NOTICE 'down %', i; END LOOP;
  FOREACH n IN ARRAY arr LOOP CONTINUE WHEN n = 1; RAISE NOTICE 'each %', n; END LOOP;
  <<outer_loop>> LOOP
    LOOP EXIT outer_loop; END LOOP;
  END LOOP;
  FOR r IN c(2) LOOP RAISE NOTICE 'cursor %', r.i; END LOOP;
  EXECUTE format('INSERT INTO %I VALUES ($1, %L)', 't', 'quo''ted') USING 1;
  GET DIAGNOSTICS n = ROW_COUNT;
  RAISE NOTICE 'rows %', n;
  BEGIN
    INSERT INTO t VALUES (2, 'rolled back');
    INSERT INTO t VALUES (1, 'double');
  EXCEPTION WHEN unique_violation THEN
    RAISE NOTICE 'caught % in %', SQLSTATE, SQLERRM;
    BEGIN
      PERFORM 1 / 0;
    EXCEPTION WHEN OTHERS THEN
      RAISE WARNING 'nested %', SQLERRM;
    END;
  END;
  PERFORM * FROM t WHERE id = 1;
  RAISE NOTICE 'found % null %', FOUND, r IS NULL;
  SELECT v INTO STRICT r FROM t WHERE id = 9;
END $$;
SELECT * FROM t;
DO $$ DECLARE r record; BEGIN RAISE NOTICE '%', r.x; END $$;
DO $$ DECLARE x int NOT NULL := NULL; BEGIN END $$;
DO $$ DECLARE x CONSTANT int := 1; BEGIN x := 2; END $$;
DO $$ DECLARE x int; x int; BEGIN END $$;
DO $$ BEGIN CASE 5 WHEN 1 THEN NULL; END CASE; END $$;
DO $$ BEGIN FOREACH x IN ARRAY NULL LOOP END LOOP; END $$;
DO $$ BEGIN EXIT; END $$;
DO $$ BEGIN RETURN 1; END $$;
DO $$ BEGIN FOR i IN 1..NULL LOOP END LOOP; END $$;
DO $$ BEGIN FOR i IN 1..3 BY 0 LOOP END LOOP; END $$;
DO $$ BEGIN EXECUTE NULL; END $$;
DO $$ BEGIN EXECUTE 'SELECT $1'; END $$;
DO $$ BEGIN INSERT INTO t VALUES (1, 'x'); END $$;
DO $$
BEGIN
  SELECT id
    FROM nothing
   WHERE id = 1;
END $$;
DO $$ DECLARE id int := 1; BEGIN PERFORM id FROM t; END $$;
SET plpgsql.extra_warnings = 'all';
CREATE FUNCTION shadow(a int) RETURNS int LANGUAGE plpgsql AS $$ DECLARE a int; BEGIN RETURN a; END $$;
DO $$ DECLARE a int; b int; BEGIN SELECT 1 INTO a, b; SELECT 1, 2 INTO a; END $$;
SET plpgsql.extra_errors = 'all';
DO $$ DECLARE a int; BEGIN SELECT id INTO a FROM (VALUES (1), (2)) v (id); END $$;
RESET plpgsql.extra_errors;
RESET plpgsql.extra_warnings;
SET plpgsql.variable_conflict = use_column;
DO $$ DECLARE id int := 7; BEGIN RAISE NOTICE '%', (SELECT max(id) FROM t); END $$;
SET plpgsql.check_asserts = off;
DO $$ BEGIN ASSERT false; RAISE NOTICE 'not asserted'; END $$;
SET plpgsql.no_such = 1;
CREATE FUNCTION no_end() RETURNS int LANGUAGE plpgsql AS $$ BEGIN END $$;
SELECT no_end();
CREATE FUNCTION wrong() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 'x'; END $$;
SELECT wrong();
CREATE FUNCTION broken() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  RETURN 1
END $$;
SET check_function_bodies = off;
CREATE FUNCTION broken() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  RETURN 1
END $$;
SELECT broken();
CREATE FUNCTION set_of() RETURNS SETOF t LANGUAGE plpgsql AS $$ BEGIN RETURN NEXT ROW (5, 'five'); RETURN QUERY EXECUTE 'SELECT 1'; END $$;
SELECT * FROM set_of();
CREATE FUNCTION many() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1..200 LOOP
    BEGIN
      INSERT INTO t VALUES (i % 3 + 100, 'x');
    EXCEPTION WHEN unique_violation THEN
      IF i % 50 = 0 THEN RAISE NOTICE 'still %', i; END IF;
    END;
  END LOOP;
END $$;
SELECT many();
SELECT count(*) FROM t;
