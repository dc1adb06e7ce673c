-- The server ends the session while it takes the data of a COPY.
CREATE FUNCTION leave() RETURNS bool LANGUAGE sql AS 'SELECT pg_terminate_backend(pg_backend_pid())';
CREATE TABLE t (id int CHECK (id <> 3 OR leave()));
COPY t FROM STDIN;
1
2
3
4
\.
SELECT 'never sent';
