-- Results that do not fit into one packet, one row, one line; and the widest rows that there can be.
SELECT i, repeat(chr(97 + i % 26), i % 200) FROM generate_series(1, 5000) i \g | cksum
SELECT i, md5(i::text) FROM generate_series(1, 20000) i \g | cksum
SELECT repeat('0123456789', 300000) AS three_megabytes \g | cksum
SELECT repeat('é', 100000), repeat('日本', 50000), NULL, '' \g | cksum
SELECT string_agg(chr(i), '') FROM generate_series(33, 55000) i \g | cksum
SELECT decode(repeat('00ff', 500000), 'hex') \g | cksum
SELECT array_agg(i) FROM generate_series(1, 40000) i \g | cksum
SELECT jsonb_agg(jsonb_build_object('i', i, 's', repeat('s', i % 50))) FROM generate_series(1, 5000) i \g | cksum
\pset format unaligned
SELECT i FROM generate_series(1, 40000) i \g | cksum
SELECT FROM generate_series(1, 1000) \g | cksum
\pset format aligned
-- Rows of which each is larger than what a socket takes at once, and an error behind them.
SELECT repeat('x', 400000), 1 / (6 - i) FROM generate_series(1, 9) i;
\errverbose
\set FETCH_COUNT 100
SELECT i, repeat('y', 3000) FROM generate_series(1, 2000) i \g | cksum
\unset FETCH_COUNT
COPY (SELECT i, repeat('z', 1000) FROM generate_series(1, 2000) i) TO STDOUT \g | cksum
-- As wide as can be.
SELECT 'SELECT ' || string_agg(i::text, ', ') FROM generate_series(1, 1664) i \g | cksum
SELECT 'SELECT ' || string_agg(i || ' AS "column ' || i || '"', ', ') AS q FROM generate_series(1, 1664) i \gset
\set ECHO none
:q \g | cksum
SELECT 'SELECT ' || string_agg(i::text, ', ') AS q FROM generate_series(1, 1665) i \gset
:q;
SELECT 'CREATE TABLE wide (' || string_agg('c' || i || ' int', ', ') || ')' AS q FROM generate_series(1, 1600) i \gset
:q;
SELECT 'CREATE TABLE wider (' || string_agg('c' || i || ' int', ', ') || ')' AS q FROM generate_series(1, 1601) i \gset
:q;
\set ECHO all
ALTER TABLE wide ADD COLUMN another int;
INSERT INTO wide (c1, c800, c1600) VALUES (1, 2, 3), (4, 5, 6);
SELECT * FROM wide \g | cksum
COPY wide TO STDOUT \g | cksum
SELECT count(*) FROM pg_attribute WHERE attrelid = 'wide'::regclass AND attnum > 0;
\o | cksum
\d wide
\o
CREATE TABLE tall AS SELECT i AS id, 'row ' || i AS v FROM generate_series(1, 20000) i;
UPDATE tall SET v = v || '!' WHERE id % 2 = 0 RETURNING id, v \g | cksum
DELETE FROM tall WHERE id > 10000 RETURNING v \g | cksum
SELECT count(*), sum(id) FROM tall;
-- Many small ones in one Query.
SELECT string_agg('SELECT ' || i, ' \; ') AS q FROM generate_series(1, 300) i \gset
:q \g | cksum
SELECT 'SELECT ' || i FROM generate_series(1, 20) i \gexec
SELECT 'end';
