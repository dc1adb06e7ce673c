-- Bytes that are not UTF-8, sent as what they are: this file is no text in any one encoding.
CREATE TABLE t (v text);
SELECT 'not UTF-8: È';
SELECT 1 AS "ˇ";
INSERT INTO t VALUES ('√('), ('fine');
SELECT 'cut short: Êó';
SELECT 'a surrogate: Ì†ΩÌ∏Ä';
SELECT 'beyond the end: ÙêÄÄ', 'overlong: ¿Ø';
-- Bytes that are not UTF-8 in a comment: È
SELECT 'after a comment' -- È
;
SELECT 'none of it' \; INSERT INTO t VALUES ('È') \; SELECT 'nor this';
COPY t FROM STDIN;
È
\.
SET client_encoding = 'LATIN1';
SELECT 'È', length('È'), 'as UTF-8 it would be one: √©';
INSERT INTO t VALUES ('È'), ('√©');
SELECT v, length(v), v::bytea FROM t ORDER BY t.v;
SELECT nothing, 'È' FROM t;
SELECT 'ÈÈÈ', nothing;
COPY t FROM STDIN;
copied È
\.
COPY t TO STDOUT;
DO $$ BEGIN RAISE NOTICE 'told È'; RAISE 'failed È'; END $$;
CREATE TABLE "tÈ" ("cÈ" int);
\d "tÈ"
SELECT "cÈ" FROM "tÈ";
DROP TABLE "tÈ";
PREPARE "pÈ" AS SELECT 'È';
EXECUTE "pÈ";
SET client_encoding = 'SJIS';
SELECT 'É\', length('É\');
SELECT 'ï\ is written with a backslash for its second byte', '\';
SET client_encoding = 'GBK';
SELECT 'ø\', length('ø\');
RESET client_encoding;
SELECT v, length(v) FROM t ORDER BY t.v;
EXECUTE "p√©";
