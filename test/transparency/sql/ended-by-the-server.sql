-- The server ends the session in a transaction: psql, which runs a script, gives up with it.
CREATE TABLE t (id int);
CREATE FUNCTION leave() RETURNS bool LANGUAGE sql AS 'SELECT pg_terminate_backend(pg_backend_pid())';
BEGIN;
INSERT INTO t VALUES (1);
SELECT leave();
SELECT 'never sent';
