-- Domains, their constraints by name, and errors that carry both.
CREATE DOMAIN positive AS int CHECK (VALUE > 0) DEFAULT 7;
CREATE DOMAIN us_postal AS text CONSTRAINT digits CHECK (VALUE ~ '^\d{5}$') CONSTRAINT there NOT NULL;
SELECT 5::positive, '12345'::us_postal, NULL::positive;
SELECT 0::positive;
SELECT '123'::us_postal;
SELECT NULL::us_postal;
SELECT 'x'::positive;
CREATE DOMAIN small AS positive CHECK (VALUE < 10);
SELECT 12::small;
SELECT (-1)::small;
SELECT '{1,2,0}'::positive[];
CREATE TABLE t (id positive, code us_postal, list positive[]);
INSERT INTO t VALUES (DEFAULT, '99999', '{1}');
INSERT INTO t VALUES (0, '99999');
INSERT INTO t VALUES (1);
INSERT INTO t (code) VALUES ('00000'), ('1');
SELECT id, code, pg_typeof(id), pg_typeof(id + 1) FROM t;
ALTER DOMAIN positive ADD CONSTRAINT odd CHECK (VALUE % 2 = 1);
INSERT INTO t VALUES (4, '11111');
ALTER DOMAIN positive ADD CONSTRAINT big CHECK (VALUE > 100);
ALTER DOMAIN positive ADD CONSTRAINT big CHECK (VALUE > 100) NOT VALID;
ALTER DOMAIN positive VALIDATE CONSTRAINT big;
ALTER DOMAIN positive DROP CONSTRAINT nothing;
ALTER DOMAIN positive DROP CONSTRAINT IF EXISTS nothing;
ALTER DOMAIN positive DROP CONSTRAINT big;
ALTER DOMAIN positive SET NOT NULL;
ALTER DOMAIN positive DROP DEFAULT;
INSERT INTO t (code) VALUES ('22222');
CREATE DOMAIN looped AS int CHECK (VALUE = (SELECT 1));
CREATE DOMAIN pair AS int[] CHECK (array_length(VALUE, 1) = 2);
SELECT '{1,2}'::pair, (ARRAY[1, 2]::pair)[1];
SELECT '{1}'::pair;
\dD
\dD+ us_postal
DROP DOMAIN positive;
DROP DOMAIN positive CASCADE;
\d t
