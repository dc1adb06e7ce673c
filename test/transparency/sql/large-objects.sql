-- Large objects: by SQL, and by psql, which calls the server's functions with FunctionCall messages.
SELECT lo_create(424242);
SELECT lo_create(424242);
SELECT lo_from_bytea(424243, '\x00010203ff');
SELECT lo_get(424243), lo_get(424243, 1, 2);
SELECT lo_put(424243, 8, '\xabcd');
SELECT lo_get(424243);
SELECT lo_get(999);
SELECT lo_put(999, 0, '\x00');
SELECT lo_unlink(999);
SELECT lo_open(424243, x'20000'::int);
BEGIN;
SELECT lo_open(424243, x'60000'::int);
SELECT loread(0, 3);
SELECT lo_lseek(0, -2, 2);
SELECT loread(0, 99);
SELECT lo_tell(0), lo_tell64(0);
SELECT lo_lseek64(0, 5000000000, 0);
SELECT lowrite(0, '\x01');
SELECT lo_truncate(0, 4);
SELECT loread(0, 1);
SELECT lo_close(0);
SELECT loread(0, 1);
SELECT lo_get(424243);
ROLLBACK;
BEGIN;
SELECT lo_open(424243, x'40000'::int);
SELECT lowrite(0, '\x01');
SAVEPOINT a;
SELECT lo_lseek(0, -1, 0);
ROLLBACK TO a;
SELECT lo_lseek(0, 0, 1);
COMMIT;
SELECT lo_lseek(0, 0, 1);
-- What psql says of an import has its OID, and a quiet psql says nothing.
\set QUIET on
\! printf 'line one\nline two\0\377' > a-file
\lo_import a-file 'a comment'
\set mine :LASTOID
\lo_export :mine another-file
\! cmp a-file another-file && echo alike
\lo_unlink :mine
\lo_unlink 0
\! head -c 1000000 /dev/zero | tr '\0' 'x' > big-file
\lo_import big-file 'a megabyte of x'
\set mine :LASTOID
SELECT description, length(lo_get(m.oid)) FROM pg_largeobject_metadata m LEFT JOIN pg_description d ON objoid = m.oid ORDER BY 2;
\lo_export :mine big-copy
\! cksum big-file big-copy
\lo_unlink :mine
\lo_import no-such-file
\lo_export 999 never-made
\! test -s never-made && echo made
\lo_unlink 999
\lo_export 424243 /no/such/folder/file
\lo_list
BEGIN;
\lo_import a-file
\lo_unlink 999
SELECT 'doomed';
\lo_import a-file
\lo_export 424243 x
\lo_unlink 424243
ROLLBACK;
\set AUTOCOMMIT off
\lo_import a-file
\lo_unlink :LASTOID
SELECT 'in a block';
ROLLBACK;
\set AUTOCOMMIT on
\set QUIET off
CREATE ROLE large_objects;
SET ROLE large_objects;
\lo_export 424243 x
\lo_unlink 424243
SELECT lo_import('/etc/passwd');
RESET ROLE;
DROP ROLE large_objects;
\lo_unlink 424242
\lo_unlink 424243
\dl
