-- Notices of every level, what client_min_messages lets through, and what the server itself has to say.
CREATE FUNCTION say() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  RAISE DEBUG 'debug %', 1;
  RAISE LOG 'log %', 2;
  RAISE INFO 'info %', 3;
  RAISE NOTICE 'notice % %%', 4;
  RAISE WARNING 'warning % é 日本', 5;
  RETURN 6;
END $$;
SELECT say();
SET client_min_messages = debug1;
SELECT say();
SET client_min_messages = log;
SELECT say();
SET client_min_messages = warning;
SELECT say();
SET client_min_messages = error;
SELECT say();
SET client_min_messages = panic;
SET client_min_messages = loud;
RESET client_min_messages;
DO $$
BEGIN
  RAISE NOTICE USING MESSAGE = 'with everything', DETAIL = E'a detail\nof two lines', HINT = 'a hint', ERRCODE = 'ABCDE',
    COLUMN = 'a column', CONSTRAINT = 'a constraint', DATATYPE = 'a type', TABLE = 'a table', SCHEMA = 'a schema';
  RAISE WARNING division_by_zero;
  RAISE NOTICE '';
  RAISE NOTICE '%', repeat('long ', 100);
  RAISE NOTICE E'tab\tnewline\nreturn\r.';
END $$;
-- Between the rows of a result.
SELECT i, say() FROM generate_series(1, 2) i;
-- The server's own.
DROP TABLE IF EXISTS nothing;
DROP SCHEMA IF EXISTS nothing CASCADE;
CREATE TABLE t (id int);
CREATE TABLE IF NOT EXISTS t (id int);
CREATE SCHEMA IF NOT EXISTS public;
ALTER TABLE t ADD COLUMN IF NOT EXISTS id int;
CREATE VIEW v AS SELECT id FROM t;
DROP TABLE t CASCADE;
COMMIT;
ROLLBACK;
BEGIN;
BEGIN;
COMMIT;
SET LOCAL work_mem = '1MB';
SAVEPOINT outside;
LOCK TABLE pg_class;
CREATE TABLE "a_name_that_is_longer_than_the_sixty_three_bytes_that_a_name_may_have" (id int);
SELECT 1 AS "a_column_whose_name_is_longer_than_the_sixty_three_bytes_that_a_name_may_have";
VACUUM no_such_table;
ANALYZE VERBOSE pg_no_such;
CREATE INDEX i ON pg_class (relname);
CREATE TABLE parent (id int);
CREATE TABLE child (id int) INHERITS (parent);
CREATE TEMP TABLE other (id int) INHERITS (parent);
\set VERBOSITY terse
SELECT say();
\set VERBOSITY default
SELECT say();
\set QUIET on
SELECT say();
\o a_file
SELECT say();
\o
