-- Statements that run out of their time or are cancelled, in every state, and go on or not.
SET statement_timeout = 50;
SELECT pg_sleep(30);
BEGIN;
SELECT pg_sleep(30);
SELECT 'doomed';
ROLLBACK;
SELECT 'before' AS a \; SELECT pg_sleep(30) \; SELECT 'behind' AS b;
COPY (SELECT pg_sleep(30)) TO STDOUT;
DO $$ BEGIN PERFORM pg_sleep(30); END $$;
DO $$ BEGIN PERFORM pg_sleep(30); EXCEPTION WHEN query_canceled THEN RAISE NOTICE 'caught %', SQLERRM; END $$;
SELECT count(*) FROM generate_series(1, 1000000000) a;
RESET statement_timeout;
SELECT pg_cancel_backend(pg_backend_pid());
SELECT 'after a cancel';
BEGIN;
SELECT pg_cancel_backend(pg_backend_pid()) \; SELECT 'behind';
ROLLBACK;
