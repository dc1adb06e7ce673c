-- standard_conforming_strings off: a backslash means something else, and psql follows what the server reports.
SELECT 'a\nb', 'it''s', '\', 'end';
SET standard_conforming_strings = off;
SHOW standard_conforming_strings;
SELECT 'a\nb', 'it''s';
SELECT 'it\'s one string; still', 'the second';
SET escape_string_warning = off;
SELECT 'a\nb', '\x41\102\u00e9', '\\';
SELECT U&'\0041';
SELECT E'\\', $$a\nb$$, "?column?" FROM (SELECT 'x\ty') t;
CREATE TABLE t (v text DEFAULT 'back\\slash');
INSERT INTO t VALUES (DEFAULT), ('\101'), ('\');
SELECT v, length(v) FROM t;
'); SELECT 'that was one statement';
SELECT v, length(v) FROM t;
DO 'BEGIN RAISE NOTICE \'quoted %\', 1; END';
CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT \'inside\'';
SELECT f();
BEGIN;
SET LOCAL standard_conforming_strings = on;
SELECT 'a\nb', '\';
ROLLBACK;
SELECT 'a\nb';
COPY t TO STDOUT;
COPY t FROM STDIN;
copied\tin
\.
SELECT v FROM t;
RESET standard_conforming_strings;
SELECT 'a\nb', '\';
