-- Foreign data, extensions, publications and replication slots: objects that reach beyond a database.
CREATE EXTENSION nothing_of_this_name;
CREATE EXTENSION plpgsql;
CREATE EXTENSION IF NOT EXISTS plpgsql;
DROP EXTENSION nothing_of_this_name;
DROP EXTENSION IF EXISTS nothing_of_this_name;
SELECT extname, extrelocatable FROM pg_extension ORDER BY 1;
\dx
ALTER EXTENSION plpgsql ADD TABLE nothing;
ALTER EXTENSION plpgsql UPDATE TO 'nothing';
CREATE FOREIGN DATA WRAPPER w;
CREATE FOREIGN DATA WRAPPER w;
CREATE FOREIGN DATA WRAPPER x HANDLER nothing;
CREATE SERVER s TYPE 'kind' VERSION '1' FOREIGN DATA WRAPPER w OPTIONS (host 'é', port '1');
CREATE SERVER s FOREIGN DATA WRAPPER w;
CREATE SERVER IF NOT EXISTS s FOREIGN DATA WRAPPER w;
CREATE SERVER z FOREIGN DATA WRAPPER nothing;
CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (user 'u', password 'p');
CREATE USER MAPPING FOR PUBLIC SERVER s;
CREATE USER MAPPING FOR nobody_here SERVER s;
CREATE FOREIGN TABLE ft (id int OPTIONS (column 'x'), v text NOT NULL) SERVER s OPTIONS (table 't');
SELECT * FROM ft;
INSERT INTO ft VALUES (1, 'x');
ANALYZE ft;
TRUNCATE ft;
ALTER FOREIGN TABLE ft ADD COLUMN w int, ALTER id OPTIONS (SET column 'y');
ALTER FOREIGN TABLE ft OPTIONS (DROP nothing);
IMPORT FOREIGN SCHEMA remote FROM SERVER s INTO public;
IMPORT FOREIGN SCHEMA remote FROM SERVER nothing INTO public;
\d+ ft
\dew+ w
\des+
\deu
\det+
SELECT srvname, srvoptions FROM pg_foreign_server;
ALTER SERVER s OPTIONS (SET port '2', ADD x 'y');
ALTER SERVER s OPTIONS (ADD port '3');
DROP SERVER s;
DROP FOREIGN DATA WRAPPER w CASCADE;
CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE PUBLICATION p FOR TABLE t (id) WHERE (id > 3) WITH (publish = 'insert, delete');
CREATE PUBLICATION p FOR ALL TABLES;
CREATE PUBLICATION q FOR TABLE nothing;
CREATE PUBLICATION q FOR ALL TABLES WITH (publish = 'nothing');
CREATE PUBLICATION q FOR TABLES IN SCHEMA public;
ALTER PUBLICATION p ADD TABLE t;
ALTER PUBLICATION p SET (publish_via_partition_root);
\dRp+
\d t
CREATE SUBSCRIPTION sub CONNECTION 'host=127.0.0.1 port=1' PUBLICATION p WITH (connect = false, slot_name = NONE, enabled = false);
SELECT subname, subenabled, subpublications FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database());
ALTER SUBSCRIPTION sub ENABLE;
DROP SUBSCRIPTION sub;
DROP SUBSCRIPTION sub;
SELECT slot_name FROM pg_create_logical_replication_slot('foreign_data', 'test_decoding_of_nothing');
SELECT slot_name FROM pg_create_logical_replication_slot('foreign_data', 'pgoutput');
SELECT slot_name, plugin, slot_type, temporary, active FROM pg_replication_slots;
SELECT pg_create_logical_replication_slot('foreign_data', 'pgoutput');
SELECT slot_name FROM pg_create_physical_replication_slot('Not Valid');
SELECT pg_drop_replication_slot('foreign_data');
SELECT pg_drop_replication_slot('foreign_data');
DROP PUBLICATION p, q;
CREATE TABLESPACE bad LOCATION 'relative';
CREATE TABLESPACE pg_mine LOCATION '/nowhere';
CREATE DATABASE foreign_data TEMPLATE nothing;
CREATE DATABASE foreign_data ENCODING 'nothing';
DROP DATABASE nothing;
CREATE LANGUAGE nothing;
CREATE ACCESS METHOD nothing TYPE INDEX HANDLER nothing;
CREATE TRANSFORM FOR int LANGUAGE nothing (FROM SQL WITH FUNCTION f(internal));
CREATE CONVERSION c FOR 'UTF8' TO 'LATIN1' FROM nothing;
CREATE TEXT SEARCH DICTIONARY d (TEMPLATE = simple, STOPWORDS = nothing);
CREATE EVENT TRIGGER e ON nothing EXECUTE FUNCTION f();
IDENTIFY_SYSTEM;
START_REPLICATION SLOT x LOGICAL 0/0;
