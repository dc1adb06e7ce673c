-- COPY TO STDOUT in every format and with every option, errors amid it, and psql's own \copy.
CREATE TABLE t (id int, v text, n numeric, b bytea, a int[]);
INSERT INTO t VALUES (1, 'plain', 1.50, '\x00ff', '{1,2}'), (2, E'tab\tnew\nline\\back\rreturn', NULL, NULL, '{}'),
  (3, '', -0.1, '', NULL), (4, 'say "hi", é 日本', 'NaN', '\xdeadbeef', '{NULL}'), (5, '\.', 0, NULL, NULL), (6, NULL, NULL, NULL, NULL);
COPY t TO STDOUT;
COPY t (v, id) TO STDOUT;
COPY t TO STDOUT CSV;
COPY t TO STDOUT (FORMAT csv, HEADER, DELIMITER ';', NULL 'nothing', FORCE_QUOTE (id, v), ESCAPE '\');
COPY t TO STDOUT (FORMAT csv, FORCE_QUOTE *, QUOTE '''');
COPY t TO STDOUT (FORMAT text, HEADER true, DELIMITER '|', NULL '-');
COPY t TO STDOUT WITH DELIMITER AS ',' NULL AS '';
COPY (SELECT id, v FROM t WHERE id < 3 ORDER BY id DESC) TO STDOUT;
COPY (INSERT INTO t VALUES (7, 'returned') RETURNING id, v) TO STDOUT;
COPY (DELETE FROM t WHERE id = 7) TO STDOUT;
COPY (VALUES (1, 'x'), (2, 'y')) TO STDOUT CSV HEADER;
COPY (SELECT) TO STDOUT;
COPY (SELECT FROM generate_series(1, 3)) TO STDOUT CSV;
COPY (SELECT 1 WHERE false) TO STDOUT;
COPY (SELECT 10 / (3 - id) FROM generate_series(1, 5) id) TO STDOUT;
COPY (SELECT repeat('x', 20000), 1 / (2 - i) FROM generate_series(1, 3) i) TO STDOUT;
COPY nothing TO STDOUT;
COPY t (nothing) TO STDOUT;
COPY (SELECT 1; SELECT 2) TO STDOUT;
COPY t TO STDOUT (FORMAT xml);
COPY t TO STDOUT (DELIMITER 'ab');
COPY t TO STDOUT (FORMAT csv, FORMAT text);
COPY t TO STDOUT (FORCE_QUOTE *);
COPY t TO STDOUT (NULL E'\n');
COPY t TO STDOUT (ENCODING 'no such');
COPY (SELECT 'é') TO STDOUT (ENCODING 'LATIN1');
COPY (SELECT '日') TO STDOUT (ENCODING 'LATIN1');
CREATE VIEW v AS SELECT id FROM t;
COPY v TO STDOUT;
CREATE SEQUENCE s;
COPY s TO STDOUT;
COPY pg_catalog.pg_am (amname) TO STDOUT;
COPY t TO '/no/such/folder/file';
COPY t TO 'relative';
COPY (SELECT i, 'v' || i FROM generate_series(1, 3) i) TO PROGRAM 'cat > /dev/null; exit 3';
\copy t to stdout csv
\copy (select id from t order by id) to 'copied'
\! cat copied
\copy t to 'copied.bin' binary
\! cksum copied.bin
\copy t to program 'sort -r'
\copy nothing to stdout
\copy t to '/no/such/folder/file'
\copy t (id
COPY t TO STDOUT \g gathered
\! cat gathered
COPY (SELECT 'x') TO STDOUT \g | tr x y
\o elsewhere
COPY (SELECT 'elsewhere') TO STDOUT;
\copy (select 'here') to stdout
\copy (select 'there') to pstdout
\o
\! cat elsewhere
BEGIN;
COPY (SELECT 1 / 0) TO STDOUT;
COPY t TO STDOUT;
ROLLBACK;
DO $$ BEGIN COPY pg_am TO STDOUT; END $$;
