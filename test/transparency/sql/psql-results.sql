-- What psql does with a result: \gdesc (which uses the extended protocol), \gexec, \gset, \gx, \crosstabview, formats, pagers.
SELECT 1 AS one, 'x'::varchar(7) AS "Two Two", NULL, now() AS t, ARRAY[1.5::numeric(4, 2)] AS list \gdesc
SELECT \gdesc
CREATE TABLE t (id int) \gdesc
INSERT INTO t VALUES (1) \gdesc
INSERT INTO t VALUES (1) RETURNING id, 'x' AS y \gdesc
SELECT nothing \gdesc
SELEC \gdesc
SELECT 1; \gdesc
SELECT $1::int \gdesc
BEGIN;
SELECT 1/0 AS fine \gdesc
SELECT 1/0;
SELECT 1 AS doomed \gdesc
ROLLBACK;
SELECT count(*) FROM t;
SELECT format('CREATE TABLE t%s (id int)', i) AS make, format('INSERT INTO t%s VALUES (%s)', i, i * i) FROM generate_series(1, 3) i \gexec
SELECT format('SELECT id, %L FROM t%s', i, i) FROM generate_series(1, 4) i \gexec
SELECT 'SELECT 1 ' || chr(92) || '; SELECT 2' UNION ALL SELECT NULL UNION ALL SELECT '' UNION ALL SELECT 'SELECT ''last''' \gexec
SELECT 'BEGIN', 'SELECT 1/0', 'SELECT 2', 'ROLLBACK' \gexec
SELECT 1 AS a, 'two words' AS b, NULL AS c, 'quote''s' AS d \gset
\echo :a :b :c :{?c} :d :'d' :"b"
SELECT 10 AS a, 20 AS b \gset pre_
SELECT :pre_a + :pre_b, :'b', :"a" FROM (SELECT 1 AS "1") q;
SELECT 1 AS a UNION SELECT 2 \gset
SELECT 1 WHERE false \gset
SELECT 1 AS "not valid!" \gset
SELECT 1/0 AS a \gset
\echo :a
SELECT 'wide' AS w, repeat('x', 30) AS x, E'two\nlines' AS y \gx
SELECT 1 AS x \g (format=unaligned tuples_only=on)
SELECT 1 AS x, 2 AS y \g (format=csv) results.csv
\! cat results.csv
SELECT 'piped' \g | tr a-z A-Z
SELECT v AS row, h AS col, v || h AS what FROM (VALUES ('a', 'x'), ('b', 'y'), ('a', 'y')) AS t (v, h) \crosstabview
SELECT v, h, n FROM (VALUES ('a', 'x', 1), ('a', 'x', 2)) AS t (v, h, n) \crosstabview
SELECT 1, 2 \crosstabview
SELECT v, h, s, n FROM (VALUES ('a', 'x', 2, 1), ('b', 'y', 1, 2)) AS t (v, h, s, n) \crosstabview v h n s
SELECT 1, 2, 3 \crosstabview nothing
SELECT 1/0, 2, 3 \crosstabview
\pset format html
SELECT '<b>' AS "a & b", NULL AS n;
\pset format latex
SELECT 1 AS x_y, '50%' AS p;
\pset format asciidoc
SELECT 1, 'a|b';
\pset format troff-ms
SELECT 1;
\pset format wrapped
\pset columns 40
SELECT repeat('word ', 20) AS long, 1 AS n;
\pset format aligned
\pset border 2
\pset linestyle unicode
\pset null '∅'
\pset numericlocale on
\pset footer off
\pset title 'A title'
SELECT 1234567.891 AS n, NULL AS nothing, 'é日本👍' AS wide;
\pset title
\pset expanded auto
SELECT 1, 2;
\t \a
\f ;
SELECT 1, 2;
\pset recordsep_zero
SELECT 'zero' UNION ALL SELECT 'two';
\pset fieldsep_zero
SELECT 'zero', 'one';
