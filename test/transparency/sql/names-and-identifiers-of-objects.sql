-- uuid, the reg* types, pg_lsn, txid snapshots: everything that names something.
SELECT 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, '{a0eebc999c0b4ef8bb6d6bb9bd380a11}'::uuid, 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid, gen_random_uuid() <> gen_random_uuid();
SELECT 'a0eebc99'::uuid;
SELECT 'pg_class'::regclass, 'pg_catalog.pg_class'::regclass, 'int4'::regtype, 'timestamp with time zone'::regtype, 'sum(int4)'::regprocedure, 'now'::regproc, '+(int4,int4)'::regoperator, '"C"'::regcollation, 'english'::regconfig, 'simple'::regdictionary, 'pg_catalog'::regnamespace, 'postgres'::regrole, 23::regtype, 0::regclass;
SELECT 'no_such_table'::regclass;
SELECT 'sum'::regproc;
SELECT 'no_such_type'::regtype;
SELECT 'a.b.c.d'::regclass;
SELECT 'nobody_here'::regrole;
SELECT to_regclass('no_such_table'), to_regtype('int'), to_regproc('now'), to_regrole('nobody_here');
SELECT '16/B374D848'::pg_lsn, '16/B374D848'::pg_lsn - '16/B374D840'::pg_lsn, '0/0'::pg_lsn < '0/1'::pg_lsn;
SELECT 'G/0'::pg_lsn;
SELECT '10:20:10,14,15'::pg_snapshot, '10:20:10,14,15'::txid_snapshot, pg_snapshot_xmin('10:20:10,14,15'), pg_visible_in_snapshot('14', '10:20:10,14,15'), '(1,2)'::tid, '12'::xid, '34'::cid, '56'::xid8;
SELECT '20:10:'::pg_snapshot;
SELECT '(1)'::tid;
SELECT pg_typeof(1), pg_typeof('a'), pg_typeof(NULL), pg_typeof(ARRAY[1]), format_type(1043, 14), format_type(1700, 655366), pg_get_userbyid(10), col_description('pg_class'::regclass, 1), obj_description('pg_class'::regclass);
CREATE TABLE "Weird ""Name""" ("a.b" int);
SELECT '"Weird ""Name"""'::regclass, quote_ident('Weird "Name"');
SELECT attname FROM pg_attribute WHERE attrelid = '"Weird ""Name"""'::regclass AND attnum > 0;
SELECT tableoid::regclass, "a.b" FROM "Weird ""Name""";
\d "Weird ""Name"""
SELECT current_database() = current_catalog, current_schema, current_user, session_user, user, current_role;
SELECT '1 2 3'::int2vector, '1 2 3'::oidvector, ('1 2 3'::oidvector)[0];
SELECT 'x'::int2vector;
