-- COPY FROM STDIN: every format, every option, errors at the start, in the middle and at the end of the data.
CREATE TABLE t (id int PRIMARY KEY, v text DEFAULT 'default', n numeric CHECK (n > 0));
COPY t FROM STDIN;
1	plain	1.5
2	tab\tnew\nline\\back \x41 \101	\N
3		7
\.
COPY t (v, id) FROM STDIN;
four	4
é 日本 👍	5
\.
COPY t (id) FROM STDIN;
6
\.
COPY t FROM STDIN;
\.
SELECT * FROM t ORDER BY id;
COPY t FROM STDIN CSV;
10,"say ""hi""",1
11,"two
lines",2
12,,3
13,"",
\.
COPY t FROM STDIN (FORMAT csv, HEADER, DELIMITER ';', NULL 'nothing', FORCE_NOT_NULL (v));
id;v;n
20;nothing;1
21;;nothing
\.
COPY t FROM STDIN (FORMAT csv, HEADER match);
id,v,m
22,x,1
\.
COPY t FROM STDIN (FORMAT text, DELIMITER '|', NULL '-') WHERE id % 2 = 1;
30|thirty|1
31|-|-
\.
-- Errors.
COPY t FROM STDIN;
40	fine	1
forty-one	not	1
42	never seen	1
\.
COPY t FROM STDIN;
43	too few
\.
COPY t FROM STDIN;
44	too	1	many
\.
COPY t FROM STDIN;
45	check	-1
\.
COPY t FROM STDIN;
1	double	1
\.
COPY t FROM STDIN CSV;
46,"never closed,1
\.
COPY t FROM STDIN CSV;
47,x,1
48,"x"y,1

\.
COPY t FROM STDIN;
49	bad \xff byte	1
\.
COPY t FROM STDIN (ENCODING 'LATIN1');
50	Ã©	1
\.
COPY nothing FROM STDIN;
\.
COPY t (nothing) FROM STDIN;
1
\.
COPY (SELECT 1) FROM STDIN;
\.
COPY t FROM STDIN (FORCE_QUOTE *);
\.
COPY t FROM '/no/such/file';
COPY t FROM PROGRAM 'echo 60,program,1; exit 2' CSV;
COPY t FROM PROGRAM 'printf "61,program,1\n"' CSV;
SELECT * FROM t WHERE id >= 10 ORDER BY id;
BEGIN;
COPY t FROM STDIN;
70	in a block	1
\.
COPY t FROM STDIN;
x	in a block	1
\.
SELECT 1;
COPY t FROM STDIN;
\.
ROLLBACK;
BEGIN;
TRUNCATE t;
COPY t FROM STDIN (FREEZE);
80	frozen	1
\.
COMMIT;
SELECT * FROM t;
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'row %', NEW.id; NEW.v = upper(NEW.v); IF NEW.id = 93 THEN RAISE 'not this one'; END IF; RETURN NEW; END $$;
CREATE TRIGGER shout BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION shout();
COPY t FROM STDIN;
91	a	1
92	b	1
\.
COPY t FROM STDIN;
93	c	1
94	d	1
\.
SELECT * FROM t ORDER BY id;
COPY t FROM STDIN;
95	the input ends before the data
