-- Another session ends this one while it is idle in a transaction: psql learns of it from its next statement.
SET application_name = 'the idle one';
BEGIN;
SELECT 'in time';
\! psql -qAt -c "SELECT pg_terminate_backend(pid, 10000), pg_sleep(0.5) FROM pg_stat_activity WHERE application_name = 'the idle one' AND datname = current_database()"
SELECT 'too late';
SELECT 'never sent';
