-- What an error says besides its message: detail, hint, context, and the names of schema, table, column, type, constraint.
CREATE TABLE parent (id int PRIMARY KEY, name text NOT NULL UNIQUE, age int CONSTRAINT adult CHECK (age >= 18));
CREATE TABLE child (
  id int GENERATED ALWAYS AS IDENTITY,
  parent int CONSTRAINT has_parent REFERENCES parent,
  during int4range,
  CONSTRAINT no_overlap EXCLUDE USING gist (during WITH &&)
);
INSERT INTO parent VALUES (1, 'one', 20);
INSERT INTO parent VALUES (1, 'two', 20);
INSERT INTO parent VALUES (2, 'one', 20);
INSERT INTO parent VALUES (3, NULL, 20);
INSERT INTO parent VALUES (4, 'four', 17);
INSERT INTO child (parent, during) VALUES (9, NULL);
INSERT INTO child (parent, during) VALUES (1, '[1,5)');
INSERT INTO child (parent, during) VALUES (1, '[4,6)');
INSERT INTO child (id) VALUES (1);
DELETE FROM parent;
UPDATE parent SET id = 2;
TRUNCATE parent;
DROP TABLE parent;
ALTER TABLE parent DROP COLUMN nothing;
ALTER TABLE parent ADD CONSTRAINT adult CHECK (age > 0);
ALTER TABLE parent ADD CONSTRAINT older CHECK (age > 99);
ALTER TABLE parent ALTER name TYPE int USING name::int;
ALTER TABLE parent ALTER age TYPE text;
SELECT parnet.id FROM parent;
SELECT nmae FROM parent;
SELECT id FROM parent, child;
SELECT parent.id FROM parent p;
SELECT lenght('x');
SELECT length(1);
SELECT round(1.5::float8, 1);
SELECT 'a' = 1::text::int;
SELECT ''::int;
SELECT '{"a":}'::json;
SELECT * FROM json_populate_record(NULL::parent, '{"id": "x"}');
SELECT to_timestamp('2020', 'YYYY-MM-Q');
SELECT 'x' SIMILAR TO 'a' ESCAPE 'ab';
SELECT 'x' ~ '(';
SELECT regexp_replace('a', '[', '');
SET work_mem = 'lots';
SET work_mem = '1kB';
SET no_such_setting = 1;
SET no.such_setting = 1;
SHOW no.such_setting;
SHOW nothing.at_all;
SET server_version = '1';
SET max_connections = 5;
SET log_statement = 'every';
SELECT set_config('work_mem', 'x', false);
\errverbose
\set VERBOSITY terse
INSERT INTO parent VALUES (1, 'two', 20);
\errverbose
\set VERBOSITY sqlstate
INSERT INTO parent VALUES (1, 'two', 20);
SELECT 1/0;
\set VERBOSITY default
\set SHOW_CONTEXT always
INSERT INTO parent VALUES (1, 'two', 20);
DO 'BEGIN PERFORM 1/0; END';
\set SHOW_CONTEXT never
DO 'BEGIN PERFORM 1/0; END';
\errverbose
\echo :LAST_ERROR_SQLSTATE :LAST_ERROR_MESSAGE :ERROR :SQLSTATE :ROW_COUNT
