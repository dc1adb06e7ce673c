-- COPY in binary, straight to psql's output and back from files, with every kind of damage.
CREATE TABLE t (id int, v text, n numeric, b bytea, j jsonb, a text[], at timestamptz, u uuid, f float4, ok bool);
INSERT INTO t VALUES (1, 'é 日本', 1.50, '\x00ff', '{"a": [1, null]}', '{x,NULL}', '2020-01-01 00:00Z', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 1.5, true), (2, NULL, 'NaN', '', NULL, '{}', 'infinity', NULL, '-infinity', false);
INSERT INTO t VALUES (3);
COPY t TO STDOUT (FORMAT binary);
COPY (SELECT 1, NULL, 'x') TO STDOUT WITH BINARY;
COPY BINARY t (id) TO STDOUT;
COPY (SELECT WHERE false) TO STDOUT (FORMAT binary);
COPY (SELECT 1 / (2 - i) FROM generate_series(1, 3) i) TO STDOUT (FORMAT binary);
COPY t TO STDOUT (FORMAT binary, DELIMITER ',');
COPY t TO STDOUT (FORMAT binary, HEADER);
\copy t to 'good' binary
\! cksum good
CREATE TABLE u (LIKE t);
\copy u from 'good' binary
TABLE u EXCEPT TABLE t;
\! head -c 11 good > damaged
\copy u from 'damaged' binary
\! (printf 'PGCOPY\n\377\r\n\0\200\0\0\0\0\0\0\0' ; tail -c +20 good) > damaged
\copy u from 'damaged' binary
\! (printf 'PGCOPX\n' ; tail -c +8 good) > damaged
\copy u from 'damaged' binary
\! (head -c 19 good; printf '\0\2\0\0\0\4\0\0\0\1') > damaged
\copy u from 'damaged' binary
\! (head -c 19 good; printf '\0\1\0\0\0\4\0\0\0\1\0\1\0\0\0\5\0\0\0\1\1') > damaged
\copy u (id) from 'damaged' binary
\! (head -c 19 good; printf '\0\1\0\0\0\4\0\0\0\1\0\1\0\0\0\4\0') > damaged
\copy u (id) from 'damaged' binary
\! (head -c 19 good; printf '\0\1\377\377\377\360') > damaged
\copy u (id) from 'damaged' binary
\! (head -c 19 good; printf '\0\1\0\0\0\2\303\050\377\377') > damaged
\copy u (v) from 'damaged' binary
\! (head -c 19 good; printf '\0\1\0\0\0\4\0\0\0\7\377\377more') > damaged
\copy u (id) from 'damaged' binary
\! (head -c 19 good; printf '\0\1\0\0\0\4\0\0\0\7') > damaged
\copy u (id) from 'damaged' binary
\! : > damaged
\copy u from 'damaged' binary
\copy u (id, u) from 'good' binary
\copy u from '/' binary
SELECT count(*), count(DISTINCT id) FROM u;
COPY t TO STDOUT (FORMAT binary) \g one
COPY (TABLE t) TO STDOUT (FORMAT binary) \g two
\! cmp one good && cmp two good && echo alike
SELECT 'the input of psql ends within the data';
COPY u FROM STDIN (FORMAT binary);
not binary, and not the end of it
