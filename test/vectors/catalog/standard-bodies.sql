-- Functions whose bodies the server keeps parsed. PostgreSQL 14 or newer.
CREATE FUNCTION pure(n int) RETURNS int LANGUAGE sql IMMUTABLE RETURN n + 1;
CREATE FUNCTION impure(n int) RETURNS int LANGUAGE sql STABLE RETURN purge_user(n);
CREATE FUNCTION pure_block(n int) RETURNS int LANGUAGE sql STABLE BEGIN ATOMIC SELECT id FROM users WHERE id = n; END;
CREATE FUNCTION impure_block(n int) RETURNS int LANGUAGE sql STABLE BEGIN ATOMIC SELECT 1; SELECT wrapped(n); END;
