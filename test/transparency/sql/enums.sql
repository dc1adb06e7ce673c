-- Enumerations and changes to them.
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE mood AS ENUM ('again');
CREATE TYPE doubled AS ENUM ('a', 'a');
CREATE TYPE none AS ENUM ();
SELECT 'ok'::mood, 'sad'::mood < 'happy'::mood, enum_range(NULL::mood), enum_first(NULL::mood), enum_last(NULL::mood), enum_range('ok'::mood, NULL), '{ok,sad}'::mood[];
SELECT 'OK'::mood;
SELECT ''::mood;
CREATE TABLE people (name text, m mood DEFAULT 'ok');
INSERT INTO people VALUES ('a'), ('b');
INSERT INTO people VALUES ('c', 'happy'), ('d', 'angry');
INSERT INTO people VALUES ('c', 'happy');
ALTER TYPE mood ADD VALUE 'angry' BEFORE 'sad';
ALTER TYPE mood ADD VALUE IF NOT EXISTS 'angry';
ALTER TYPE mood ADD VALUE 'angry';
ALTER TYPE mood ADD VALUE 'x' AFTER 'nothing';
ALTER TYPE mood RENAME VALUE 'ok' TO 'fine';
ALTER TYPE mood RENAME VALUE 'ok' TO 'fine';
SELECT * FROM people ORDER BY m DESC, name;
BEGIN;
ALTER TYPE mood ADD VALUE 'fresh';
SELECT 'fresh'::mood;
ROLLBACK;
SELECT m, count(*) FROM people GROUP BY m ORDER BY m;
SELECT m = 'fine', m::text, min(m) OVER () FROM people ORDER BY name LIMIT 1;
SELECT 'sad'::mood = 'sad'::text;
ALTER TABLE people ALTER m TYPE text;
\dT+ mood
DROP TYPE mood;
DROP TYPE mood CASCADE;
\d people
