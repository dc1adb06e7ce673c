-- A second psql, started from the first: what one session sees of another, and hears from it.
CREATE TABLE t (id int PRIMARY KEY, v text);
INSERT INTO t VALUES (1, 'first');
BEGIN;
INSERT INTO t VALUES (2, 'uncommitted');
\! psql -c 'TABLE t' -c "SET lock_timeout = 50" -c "INSERT INTO t VALUES (2, 'other')" -c "INSERT INTO t VALUES (3, 'other')" 2>&1
COMMIT;
TABLE t;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM t;
\! psql -qc "UPDATE t SET v = 'changed' WHERE id = 1" -c "DELETE FROM t WHERE id = 3" 2>&1
SELECT * FROM t ORDER BY id;
UPDATE t SET v = 'mine' WHERE id = 1;
SELECT 'doomed';
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT sum(id) FROM t;
\! printf "BEGIN ISOLATION LEVEL SERIALIZABLE;\nSELECT sum(id) FROM t;\nINSERT INTO t VALUES (10, 'skew');\nCOMMIT;\n" | psql -q 2>&1
INSERT INTO t VALUES (11, 'skew');
COMMIT;
TABLE t;
BEGIN;
UPDATE t SET v = 'locked' WHERE id = 1;
\! psql -c "SELECT * FROM t WHERE id = 1 FOR UPDATE NOWAIT" -c "SELECT id FROM t ORDER BY id FOR UPDATE SKIP LOCKED" -c "SET statement_timeout = 50; UPDATE t SET v = 'x'" 2>&1
\! psql -c "SET lock_timeout = 50; ALTER TABLE t ADD COLUMN w int" 2>&1
ROLLBACK;
PREPARE p AS SELECT * FROM t ORDER BY id LIMIT 1;
EXECUTE p;
\! psql -qc "ALTER TABLE t ADD COLUMN w int DEFAULT 7"
EXECUTE p;
SELECT * FROM t ORDER BY id LIMIT 1;
\! psql -qc "DROP TABLE t"
SELECT * FROM t;
\o heard
LISTEN a;
\! psql -qc "NOTIFY a, 'from another'" -c "NOTIFY b, 'to nobody'"
SELECT 'between';
BEGIN;
\! psql -qc "NOTIFY a, 'amid a transaction'"
SELECT 'still inside';
COMMIT;
SELECT 'behind';
\o
\! sed 's/PID [0-9]*/PID/' heard
\! psql -c 'SELECT nothing' -c 'SELECT 1'; echo "ended with $?"
\! psql -v ON_ERROR_STOP=1 -f /nonexistent; echo "ended with $?"
\! printf 'SELECT 1;\nSELECT nothing;\nSELECT 2;\n' | psql -1 -v ON_ERROR_STOP=1; echo "ended with $?"
\! printf 'SELECT 1;\nSELECT nothing;\nSELECT 2;\n' | psql -b; echo "ended with $?"
\! psql -l -At "$PGDATABASE" | cut -d'|' -f1 | grep -c template
