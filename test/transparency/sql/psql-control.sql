-- psql's own control: AUTOCOMMIT off, ON_ERROR_ROLLBACK, FETCH_COUNT, variables, \if, \i, single-line mode, and ON_ERROR_STOP last.
CREATE TABLE t (id int PRIMARY KEY);
\set AUTOCOMMIT off
INSERT INTO t VALUES (1);
SELECT count(*) FROM t;
ROLLBACK;
SELECT count(*) FROM t;
SELECT 1/0;
SELECT 'doomed';
COMMIT;
VACUUM;
SAVEPOINT a;
INSERT INTO t VALUES (1);
ROLLBACK TO a;
COMMIT;
INSERT INTO t VALUES (2) \; INSERT INTO t VALUES (3);
COMMIT;
COPY t FROM STDIN;
4
\.
ROLLBACK;
SELECT * FROM t ORDER BY id;
COMMIT;
\set AUTOCOMMIT on
\set ON_ERROR_ROLLBACK on
BEGIN;
INSERT INTO t VALUES (10);
INSERT INTO t VALUES (10);
SELEC;
SELECT nothing;
SAVEPOINT mine;
INSERT INTO t VALUES (11);
INSERT INTO t VALUES (11) \; INSERT INTO t VALUES (12);
ROLLBACK TO mine;
RELEASE mine;
DECLARE c CURSOR FOR SELECT id FROM t ORDER BY id;
FETCH 1 FROM c;
SELECT 1/0;
FETCH 1 FROM c;
COPY t FROM STDIN;
x
\.
SELECT 'still well';
COMMIT;
SELECT * FROM t ORDER BY id;
\set ON_ERROR_ROLLBACK off
\set FETCH_COUNT 3
SELECT i, 'row ' || i AS v FROM generate_series(1, 8) i;
SELECT 10 / (5 - i) FROM generate_series(1, 8) i;
SELECT i FROM generate_series(1, 5) i \g counted
\! cat counted
SELECT i FROM generate_series(1, 4) i \gx
SELECT 1 WHERE false;
INSERT INTO t SELECT i FROM generate_series(20, 25) i RETURNING id;
WITH x AS (INSERT INTO t VALUES (30) RETURNING id) SELECT * FROM x;
BEGIN;
SELECT i FROM generate_series(1, 4) i;
SELECT nothing;
SELECT i FROM generate_series(1, 4) i;
ROLLBACK;
SELECT 1 \; SELECT i FROM generate_series(1, 4) i;
\unset FETCH_COUNT
\set number 42
\set text 'it''s'
\set list 'SELECT ' :number ', ' :'text' ';'
:list
SELECT :number AS n, :'text' AS t, :"text" FROM (SELECT 1 AS "it's") x;
SELECT :undefined;
SELECT '{1,2,3}'::int[], (ARRAY[1, 2, 3])[1:2], 'a:number', "a:b" FROM (SELECT 1 AS "a:b") x;
SELECT count(*) > 5 AS many FROM t \gset
\if :many
  SELECT 'many';
  \if no
    SELECT 'never sent';
  \elif yes
    SELECT 'sent';
  \endif
\else
  SELECT 'few';
\endif
\if nonsense
  SELECT 'skipped';
\endif
\if false
  SELECT 'never sent';
  \endif
\endif
\! printf 'SELECT 1 AS from_a_file;\nSELECT nothing;\nSELECT 2 AS after;\n' > included.sql
\i included.sql
\ir included.sql
\include nothing.sql
\o both
\qecho into the file
SELECT 'into the file too';
\warn on the other stream
\o
\! cat both
\set SINGLELINE on
SELECT 'no semicolon'
SELECT 'another'
\unset SINGLELINE
\p
SELECT 'never run' \r
\p
\set ECHO errors
SELECT 1/0;
\set ECHO queries
SELECT 'echoed';
\set ECHO all
\timing off
\echo :ROW_COUNT :SQLSTATE :ERROR
\set ON_ERROR_STOP on
\i included.sql
SELECT 'the script has ended before this';
