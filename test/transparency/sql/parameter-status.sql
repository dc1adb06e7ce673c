-- Settings whose change the server reports to its client, and what psql makes of the reports.
\echo :SERVER_VERSION_NUM = :VERSION_NUM
\echo :ENCODING :DBNAME :USER
\encoding
SET application_name = 'é name';
SHOW application_name;
SET application_name = 'plain';
SHOW application_name;
RESET application_name;
SHOW application_name;
BEGIN;
SET LOCAL application_name = 'for a while';
SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid();
ROLLBACK;
SHOW application_name;
SET DateStyle = 'German, DMY';
SELECT date '2020-12-31';
SET IntervalStyle = iso_8601;
SELECT interval '1 day 2 hours';
SET TimeZone = 'Asia/Kathmandu';
SELECT timestamptz '2020-01-01 00:00Z';
SET SESSION AUTHORIZATION DEFAULT;
SHOW is_superuser;
SHOW session_authorization;
SHOW in_hot_standby;
SHOW server_encoding;
SHOW integer_datetimes;
SHOW standard_conforming_strings;
SET client_encoding = 'UTF8';
SET client_encoding = 'utf-8';
SET client_encoding TO DEFAULT;
SHOW client_encoding;
SET client_encoding = 'no such encoding';
SET NAMES 'klingon';
\encoding utf8
\encoding klingon
\encoding
SET standard_conforming_strings = on;
SET standard_conforming_strings = maybe;
SET backslash_quote = safe_encoding;
SET escape_string_warning = on;
SELECT 'a\b', E'a\\b', E'a\'b';
SET backslash_quote = off;
SELECT E'a\'b';
SET backslash_quote = on;
SELECT E'a\'b';
RESET backslash_quote;
-- Several at once, in one Query, and given back at the end of a block.
SET application_name = 'one' \; SET DateStyle = 'SQL' \; SHOW application_name;
BEGIN;
SET DateStyle = 'ISO, YMD';
SET TimeZone = 'UTC';
SELECT 1/0;
ROLLBACK;
SHOW DateStyle;
SHOW TimeZone;
DO $$ BEGIN PERFORM set_config('application_name', 'from within', false); PERFORM set_config('DateStyle', 'ISO', false); END $$;
SHOW application_name;
CREATE FUNCTION styled() RETURNS text LANGUAGE plpgsql SET DateStyle = 'German' AS $$ BEGIN RAISE NOTICE '%', date '2020-12-31'; RETURN date '2020-12-31'::text; END $$;
SELECT styled(), date '2020-12-31'::text;
RESET ALL;
SHOW DateStyle;
DISCARD ALL;
SELECT date '2020-12-31', timestamptz '2020-01-01 00:00Z';
