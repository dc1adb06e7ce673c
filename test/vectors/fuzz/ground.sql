-- What the fuzzer plays on. Small, and the same in every copy: object identifiers too, since all are made from one template.
CREATE TABLE plain (id int PRIMARY KEY, body text);
INSERT INTO plain SELECT g, 'row ' || g FROM generate_series(1, 20) g;
CREATE TABLE parent (id int PRIMARY KEY);
INSERT INTO parent VALUES (1);
CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE copied (id int, body text);
CREATE TABLE barred (id int);
CREATE FUNCTION bar() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''barred''; END';
CREATE TRIGGER bar BEFORE INSERT ON barred FOR EACH STATEMENT EXECUTE FUNCTION bar();
-- Only statements that are held, and never approved, name this one.
CREATE TABLE canary (id int PRIMARY KEY, alive boolean NOT NULL);
INSERT INTO canary SELECT g, true FROM generate_series(1, 10) g;
-- Of the client that behaves.
CREATE TABLE control (id bigint PRIMARY KEY, body text NOT NULL);
