-- The \d family on everything that is no relation, and \sf, \sv, \l and the like.
CREATE FUNCTION add(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT a + b';
CREATE FUNCTION rows_of(OUT x int, OUT y text) RETURNS SETOF record LANGUAGE plpgsql SECURITY DEFINER SET work_mem = '1MB' AS $$
BEGIN
  x := 1;
  RETURN NEXT;
END $$;
CREATE PROCEDURE proc(INOUT a int) LANGUAGE plpgsql AS $$ BEGIN a := 1; END $$;
CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE FUNCTION trig() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
COMMENT ON FUNCTION add IS 'adds';
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN positive AS int NOT NULL DEFAULT 1 CHECK (VALUE > 0);
CREATE TYPE span AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq, COMMUTATOR = ===);
CREATE CAST (mood AS int) WITH FUNCTION enum_len(mood);
CREATE COLLATION ours FROM "C";
CREATE TEXT SEARCH CONFIGURATION conf (COPY = simple);
CREATE OPERATOR CLASS ops FOR TYPE int4 USING btree AS OPERATOR 3 ===, FUNCTION 1 btint4cmp(int4, int4);
\df
\df add
\df+ add
\dfa
\dfp
\dft
\dfw
\df a* integer
\df *.now
\sf add
\sf+ rows_of
\sf proc
\sf nothing
\sf add(text)
\da total
\dT
\dT+ mood
\dT span
\dD
\dD+ positive
\do ===
\do pg_catalog.=
\do+ pg_catalog.|| text text
\dC mood
\dO
\dO ours
\dF
\dF+ conf
\dFd simple
\dFp
\dFt simple
\dc pg_catalog.utf8_to_iso_8859_1
\dAc btree integer
\dAf btree integer
\dAo btree integer_ops
\dAp btree integer_ops
\dL
\dL+ plpgsql
\dx
\dx+ plpgsql
\dy
\des
\dew
\det
\deu
\dconfig work_mem
\drds nobody_here
\dRs
\dg no_such_role
\dn pg_catalog
\dA
\dA+ heap
\l no_such_database
\db pg_default
\sv nothing
\dfoo
\dt+
\h ABORT
\h NO SUCH COMMAND
\copyright
\? nothing
