-- psql's \copy with files: text, csv, binary there and back, programs, errors on either side.
CREATE TABLE t (id int PRIMARY KEY, v text, b bytea, at timestamptz, f float8, l int[]);
INSERT INTO t SELECT i, repeat('é', i), decode(lpad(to_hex(i), 8, '0'), 'hex'), '2020-01-01 00:00Z'::timestamptz + i * interval '1 hour', i / 3.0, ARRAY[i, NULL] FROM generate_series(1, 500) i;
\copy t to 'all.txt'
\copy t to 'all.csv' csv header
\copy t to 'all.bin' (format binary)
\! cksum all.txt all.csv all.bin
CREATE TABLE u (LIKE t INCLUDING ALL);
\copy u from 'all.txt'
SELECT count(*), (SELECT count(*) FROM (TABLE t EXCEPT TABLE u) d) AS different FROM u;
TRUNCATE u;
\copy u from 'all.csv' with csv header
SELECT count(*), (SELECT count(*) FROM (TABLE t EXCEPT TABLE u) d) AS different FROM u;
TRUNCATE u;
\copy u from 'all.bin' with (format binary)
SELECT count(*), (SELECT count(*) FROM (TABLE t EXCEPT TABLE u) d) AS different FROM u;
-- Once more: all of it is there already.
\copy u from 'all.txt'
\copy u from 'all.bin' with (format binary)
\copy u from 'all.csv' with (format binary)
\! head -c 700 all.bin > cut.bin
TRUNCATE u;
\copy u from 'cut.bin' with (format binary)
\! (cat all.bin; printf 'more') > long.bin
\copy u from 'long.bin' with (format binary)
\copy u from 'no such file'
\copy u (id, v) from program 'echo "1000	from a program"'
\copy u (id, v) from program 'echo "1001	before it fails"; exit 7'
\copy u (id, v) from stdin
1002	from the script
\.
\copy u (id, v) from pstdin
1003	from the script too
\.
\copy u (id, v) from stdin csv
1004,x
bad,y
1005,z
\.
SELECT 'still in step';
SELECT id, v FROM u ORDER BY id;
-- Large: many frames, and lines longer than a frame of psql's.
CREATE TABLE big (v text);
\copy big from program 'yes 0123456789abcdef | head -n 60000'
SELECT count(*), sum(length(v)) FROM big;
\copy big from program 'head -c 3000000 /dev/zero | tr "\\0" x'
SELECT max(length(v)) FROM big;
\copy big to program 'cksum'
\copy (select * from big where length(v) > 16) to program 'wc -c'
\copy big from program 'yes 0123456789abcdef | head -n 40000; printf "a\tb\n"; yes 0123456789abcdef | head -n 40000'
SELECT count(*) FROM big;
