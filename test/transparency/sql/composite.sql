-- Composite types: rows as values, their literals, fields, arrays, and changes to them.
CREATE TYPE point3 AS (x int, y float8, label text);
SELECT row(1, 2.5, 'a')::point3, '(1,2.5,"a b")'::point3, '(,,)'::point3, '(1,2,"say ""hi"", \\ done")'::point3, row(NULL, NULL, '')::point3;
SELECT '(1,2)'::point3;
SELECT '(1,2,3,4)'::point3;
SELECT '1,2,3'::point3;
SELECT '(x,2,3)'::point3;
SELECT row(1, 2)::point3;
SELECT (row(1, 2.5, 'a')::point3).x, (row(1, 2.5, 'a')::point3).*;
SELECT (row(1, 2.5, 'a')::point3).z;
CREATE TABLE places (id int, at point3, route point3[]);
INSERT INTO places VALUES (1, row(1, 2, 'a'), ARRAY[row(1, 1, 'b')::point3, NULL]), (2, NULL, '{}');
INSERT INTO places (id, at.x, at.label) VALUES (3, 9, 'partly');
UPDATE places SET at.y = 7 WHERE id = 3;
UPDATE places SET at.q = 7 WHERE id = 3;
SELECT id, (at).x, (at).label, route, (route[1]).label FROM places ORDER BY id;
SELECT at IS NULL, at IS NOT NULL, places IS NOT NULL FROM places ORDER BY id;
SELECT places FROM places ORDER BY id;
SELECT (places).id, places.at FROM places ORDER BY places;
SELECT id, row_to_json(places), to_jsonb(at) FROM places ORDER BY id;
ALTER TYPE point3 ADD ATTRIBUTE z numeric;
ALTER TYPE point3 ADD ATTRIBUTE z numeric CASCADE;
CREATE TYPE free AS (a int);
ALTER TYPE free ADD ATTRIBUTE b text, ALTER ATTRIBUTE a TYPE bigint, RENAME ATTRIBUTE a TO first;
ALTER TYPE free RENAME ATTRIBUTE first TO "First One";
SELECT row(1, 'x')::free;
\d free
\dT+ free
DROP TYPE point3;
DROP TYPE point3 CASCADE;
\d places
CREATE FUNCTION pairs(n int, OUT a int, OUT b text) RETURNS SETOF record LANGUAGE sql AS $$ SELECT i, repeat('x', i) FROM generate_series(1, n) i $$;
SELECT pairs(2);
SELECT * FROM pairs(2);
SELECT (pairs(2)).*;
SELECT * FROM json_to_record('{"a":1,"b":[1,2]}') AS r(a int, b int[]);
SELECT * FROM json_to_record('{"a":1}');
CREATE FUNCTION whatever() RETURNS record LANGUAGE sql AS $$ SELECT 1, 'x'::text $$;
SELECT whatever();
SELECT * FROM whatever() AS r(a int, b int);
SELECT * FROM whatever() AS r(a int, b text);
SELECT row(1, row(2, row(3, NULL, '')));
