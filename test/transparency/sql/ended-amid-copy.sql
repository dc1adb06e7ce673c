-- The server ends the session amid a COPY to the client, after a notice.
CREATE FUNCTION leave() RETURNS bool LANGUAGE sql AS 'SELECT pg_terminate_backend(pg_backend_pid())';
SET client_min_messages = debug1;
DO $$ BEGIN RAISE NOTICE 'farewell'; END $$;
COPY (SELECT i, CASE WHEN i = 300 THEN leave() END FROM generate_series(1, 500) i) TO STDOUT;
SELECT 'never sent';
