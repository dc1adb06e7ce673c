-- Where an error is: the caret under the right character, whatever comes before it.
SELEC 1;
SELECT 1 FORM t;
SELECT nothing;
SELECT 'é', '日本語', nothing;
SELECT '👍👍👍' AS thumb, "ŝtrange", 1;
SELECT 1,
       2,
       nothing,
       3;
	SELECT	1,	nothing;
/* a comment before
   that goes on */ SELECT nothing -- and one behind
;
SELECT $1;
SELECT 'not closed;
';
SELECT "";
SELECT 1 + 'x'::int;
SELECT 1 +;
SELECT (1;
SELECT 1);
SELECT a.b.c.d.e;
SELECT * FROM no_such_table;
SELECT * FROM no_such_schema.no_such_table;
SELECT * FROM no_such_database.public.t;
SELECT no_such_function(1, 'a', NULL);
SELECT pg_catalog.length(1, 2);
SELECT 1 ++++ 'a'::text;
SELECT 1 = ANY (2);
SELECT 'a' || 1 || point(1, 2);
SELECT x FROM (SELECT 1) AS t;
SELECT t.x FROM (SELECT 1 AS y) AS t;
SELECT y FROM (SELECT 1 AS y) AS a, (SELECT 2 AS y) AS b;
SELECT coalesce(1, 'x');
SELECT CASE WHEN true THEN 1 ELSE 'x' END;
SELECT 1 UNION SELECT 'a';
SELECT 1, 2 UNION SELECT 1;
SELECT sum(sum(1));
SELECT a, sum(b) FROM (VALUES (1, 2)) AS v(a, b);
SELECT 1 WHERE sum(1) > 0;
SELECT 1 ORDER BY 2;
SELECT 1 GROUP BY 3;
SELECT 1 LIMIT 'x';
SELECT 1 LIMIT -1;
SELECT 1 LIMIT nothing;
INSERT INTO pg_class (no_such_column) VALUES (1);
UPDATE pg_class SET oid = DEFAULT, no_such = 2;
SELECT '2020-01-01'::date + '2020-01-01'::date;
SELECT 99999999999999999999999::int;
SELECT U&'\+11FFFF';
SELECT E'\u12';
SELECT B'2';
SELECT 1 AS select;
SELECT 1 select;
CREATE TABLE t (a int, a int);
CREATE TABLE t (a no_such_type);
CREATE TABLE t (a int DEFAULT b);
CREATE TABLE t (a int CHECK (b > 0));
CREATE TABLE t (a int REFERENCES nothing);
ALTER TABLE nothing ADD COLUMN b int;
CREATE INDEX ON nothing (a);
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT nothing';
CREATE FUNCTION f() RETURNS int LANGUAGE nothing AS '';
