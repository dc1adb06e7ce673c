-- What the statements beside this file are written against, besides shop.sql: a user's own functions, views, rules,
-- operators, casts and domains, some harmless and some not. Loaded as the owner of the shop. PostgreSQL 14 or newer
-- also loads standard-bodies.sql.
CREATE SCHEMA tools;
CREATE TABLE feelings (id int PRIMARY KEY, m mood, n int);
CREATE TABLE journal (id serial PRIMARY KEY, what text);
CREATE TABLE measured (day date NOT NULL, n int) PARTITION BY RANGE (day);
CREATE TABLE measured_2024 PARTITION OF measured FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');

-- Functions that may pass.
CREATE FUNCTION initials(t text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT upper(substr(t, 1, 1)) $$;
CREATE FUNCTION tools.initials_of(u int) RETURNS text LANGUAGE sql STABLE AS
  $$ SELECT initials(name) FROM users WHERE id = u $$;
CREATE FUNCTION countdown(n int) RETURNS int LANGUAGE sql STABLE AS
  $$ SELECT CASE WHEN n > 0 THEN 1 ELSE 0 END $$;
CREATE OR REPLACE FUNCTION countdown(n int) RETURNS int LANGUAGE sql STABLE AS
  $$ SELECT CASE WHEN n > 0 THEN countdown(n - 1) ELSE 0 END $$;
CREATE FUNCTION recent_orders(u int) RETURNS SETOF orders LANGUAGE sql STABLE AS
  $$ SELECT * FROM orders WHERE user_id = u ORDER BY id DESC LIMIT 5 $$;
CREATE FUNCTION round(t text) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$ SELECT t::numeric $$;
CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');

-- Functions that must be held, each for another reason.
CREATE FUNCTION careless() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;
CREATE FUNCTION claims_stable(u int) RETURNS int LANGUAGE plpgsql STABLE AS
  $$ BEGIN RETURN purge_user(u); END $$;
CREATE FUNCTION claims_immutable() RETURNS text LANGUAGE plpgsql IMMUTABLE AS
  $$ BEGIN RAISE EXCEPTION '%', (SELECT email FROM users WHERE id = 1); END $$;
CREATE FUNCTION wrapped(u int) RETURNS int LANGUAGE sql STABLE AS $$ SELECT purge_user(u) $$;
CREATE FUNCTION tools.twice_wrapped(u int) RETURNS int LANGUAGE sql STABLE AS $$ SELECT wrapped(u) $$;
CREATE FUNCTION as_owner(u int) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS
  $$ SELECT email FROM users WHERE id = u $$;
CREATE FUNCTION by_default(u int DEFAULT purge_user(19999)) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT u $$;
CREATE FUNCTION reads_a_file() RETURNS text LANGUAGE sql STABLE AS $$ SELECT pg_read_file('PG_VERSION') $$;
CREATE FUNCTION changes_a_setting() RETURNS text LANGUAGE sql STABLE AS
  $$ SELECT set_config('work_mem', '64kB', false) $$;
CREATE FUNCTION reads_the_view() RETURNS int LANGUAGE sql STABLE AS $$ SELECT purged FROM danger_view $$;
CREATE FUNCTION purge_row(u users) RETURNS int LANGUAGE plpgsql AS
  $$ BEGIN DELETE FROM users WHERE id = u.id; RETURN u.id; END $$;
CREATE FUNCTION "Mixed Case"() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;
CREATE FUNCTION reverse(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN -n; END $$;
CREATE FUNCTION sum_step(a int, b int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN a + b; END $$;
CREATE AGGREGATE harmful_total(int) (SFUNC = sum_step, STYPE = int, INITCOND = '0');
CREATE AGGREGATE writes_objects(bytea) (SFUNC = lowrite, STYPE = int, INITCOND = '0');
CREATE FUNCTION numbers(n int) RETURNS SETOF int LANGUAGE plpgsql AS
  $$ BEGIN RETURN QUERY SELECT generate_series(1, n); END $$;

-- Operators, casts, domains.
CREATE FUNCTION int_same(a int, b int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN a = b; END $$;
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int_same);
CREATE FUNCTION int_near(a int, b int) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT abs(a - b) < 2 $$;
CREATE OPERATOR <~> (LEFTARG = int, RIGHTARG = int, FUNCTION = int_near);
CREATE FUNCTION mood_is(a mood, b int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN b = 1; END $$;
CREATE OPERATOR = (LEFTARG = mood, RIGHTARG = int, FUNCTION = mood_is);
CREATE OPERATOR <=| (RIGHTARG = oid, FUNCTION = lo_unlink);
CREATE FUNCTION mood_rank(m mood) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN 1; END $$;
CREATE CAST (mood AS int) WITH FUNCTION mood_rank(mood) AS ASSIGNMENT;
CREATE FUNCTION mood_length(m mood) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$ SELECT length(m::text)::bigint $$;
CREATE CAST (mood AS bigint) WITH FUNCTION mood_length(mood);
CREATE FUNCTION even(n int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN n % 2 = 0; END $$;
CREATE DOMAIN checked AS int CHECK (even(VALUE));
CREATE DOMAIN checked_again AS checked;
CREATE DOMAIN positive AS int CHECK (VALUE > 0);

-- Views.
CREATE VIEW over_view AS SELECT purged + 1 AS p FROM danger_view;
CREATE VIEW tools.over_over_view AS WITH v AS (SELECT * FROM over_view) SELECT * FROM v;
CREATE VIEW with_operator AS SELECT id FROM feelings WHERE n === 1;
CREATE VIEW with_cast AS SELECT m::int AS rank FROM feelings;
CREATE VIEW with_domain AS SELECT n::checked AS c FROM feelings;
CREATE VIEW with_built_in AS SELECT query_to_xml('SELECT * FROM users', true, false, '') AS x;
CREATE VIEW with_function_in_from AS SELECT * FROM numbers(3) AS n;
CREATE VIEW plain_view AS SELECT a.id, full_name(u) AS name FROM active_users a JOIN users u USING (id) WHERE a.id < 10;
CREATE RECURSIVE VIEW up_to(n) AS VALUES (1) UNION ALL SELECT n + 1 FROM up_to WHERE n < 5;
CREATE VIEW with_near AS SELECT id FROM feelings WHERE n <~> 1;
CREATE MATERIALIZED VIEW purged_once AS SELECT 1 AS purged;

-- Rules.
CREATE TABLE inbox (id int, body text);
CREATE RULE empties AS ON INSERT TO inbox DO ALSO DELETE FROM notes;
CREATE TABLE guarded (id int, body text);
CREATE RULE calls AS ON UPDATE TO guarded DO ALSO SELECT purge_user(OLD.id);
CREATE RULE keeps AS ON DELETE TO guarded DO INSTEAD NOTHING;
CREATE VIEW inbox_view AS SELECT id, body FROM inbox;
CREATE VIEW written_through AS SELECT id, email FROM users;
CREATE RULE through AS ON INSERT TO written_through DO INSTEAD DELETE FROM journal;

-- What a table does by itself when it is written is its owner's affair.
CREATE FUNCTION note_it() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO journal (what) VALUES (TG_TABLE_NAME); RETURN NEW; END $$;
CREATE TABLE watched (id int, at timestamptz DEFAULT now(), token int DEFAULT careless(), CHECK (even(id)));
CREATE TRIGGER noted AFTER INSERT OR UPDATE OR DELETE ON watched FOR EACH ROW EXECUTE FUNCTION note_it();
CREATE TABLE tenants (id int);
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON tenants USING (even(id));
