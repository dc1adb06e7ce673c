-- The server ends the session behind rows that it has sent, larger than a packet.
CREATE FUNCTION leave() RETURNS bool LANGUAGE sql AS 'SELECT pg_terminate_backend(pg_backend_pid())';
SELECT 'first' \; SELECT repeat('x', 50000), CASE WHEN i = 3 THEN leave() END FROM generate_series(1, 5) i;
SELECT 'never sent';
