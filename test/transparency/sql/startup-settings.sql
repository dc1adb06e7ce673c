-- Settings that psql sends when it connects, and connections that are made anew within a script.
\c -reuse-previous=on "options='-c work_mem=3MB -c DateStyle=German --search-path=a,b'"
SHOW work_mem;
SHOW search_path;
SELECT date '2020-12-31';
SET work_mem = '7MB';
RESET work_mem;
SHOW work_mem;
RESET ALL;
SHOW search_path;
SELECT name, setting, source, reset_val FROM pg_settings WHERE source = 'client' AND name NOT IN ('client_encoding', 'standard_conforming_strings') ORDER BY name;
\c -reuse-previous=on "application_name='é another name' options='-cgeqo=off -c statement_timeout=5s -c no.such=made\\ up'"
SHOW application_name;
SHOW geqo;
SHOW statement_timeout;
SHOW no.such;
SHOW work_mem;
\c -reuse-previous=on "options='-c client_encoding=utf8 -c client_min_messages=debug1' fallback_application_name=nobody client_encoding=UTF8"
SHOW client_encoding;
SHOW client_min_messages;
\encoding
\c -reuse-previous=on "options='-c default_transaction_read_only=on'"
CREATE TABLE t (id int);
\c -reuse-previous=on "options='' application_name=''"
SHOW application_name;
SHOW default_transaction_read_only;
CREATE TABLE t (id int);
BEGIN;
INSERT INTO t VALUES (1);
\c
SELECT count(*) FROM t;
CREATE TEMP TABLE u (id int);
PREPARE p AS SELECT 1;
SET work_mem = '1MB';
\c
SELECT * FROM u;
EXECUTE p;
SHOW work_mem;
