-- Empty queries, comments of every kind and place, dollar quotes, odd identifiers, Unicode, deep nesting.
;
;;
-- nothing
/* nothing */
/* nothing */;
/* outer /* inner; */ still a comment; */ SELECT 1 AS one;
SELECT /* in */ 2 /* between */ AS /* ; */ two -- and behind; it
;
--
/**/
SELECT 1--1
;
SELECT 1 /* unclosed in a string: */ || '/*', '--', '*/';
SELECT $$plain$$, $a$with $$ inside$a$, $_é$unicode tag$_é$, $$;$$, $$--$$, $$/*$$;
SELECT $a$ $b$ $a$;
SELECT 'a' 'b';
SELECT 'a'
  'b', 'c' -- a comment between
  'd';
SELECT E'\u00e9\U0001F600\x41\101\b\f\n\r\t\\', U&'d\0061t\+000061', U&'d!0061' UESCAPE '!', N'national', B'01', X'af';
SELECT E'\u0000';
SELECT E'\ud83d\ude00', E'\ud83d';
SELECT U&"d\0061ta" FROM (SELECT 1 AS data) t;
SELECT "A b", "a""b", "é", "日本", " ", "select" FROM (SELECT 1 AS "A b", 2 AS "a""b", 3 AS "é", 4 AS "日本", 5 AS " ", 6 AS "select") t;
SELECT é FROM (SELECT 1 AS É) t;
SELECT 1 AS "", 2;
SELECT 1 AS a_name_of_exactly_sixty_three_bytes_which_is_all_that_there_is_, 2 AS a_name_of_exactly_sixty_three_bytes_which_is_all_that_there_is_x;
CREATE TABLE ééééééééééééééééééééééééééééééééééé (id int);
SELECT relname FROM pg_class WHERE relname ~ '^é';
SELECT 'Ⅷ', 'ß' = 'ss', upper('straße'), 'e' || U&'\0301', normalize('e' || U&'\0301'), length('👨‍👩‍👧'), reverse('añb'), chr(128512), ascii('€'), initcap('élan vital');
SELECT '‮right to left', '​zero width', '﻿byte order mark', 'a b';
SELECT 1 AS x;
SELECT 1 ;
SELECT 1 = 1 AND NOT 2 != 3 OR 4 <> 5, 1 <= 2, 2 >= 1, 5 !=-1, 2 ^ 3 ^ 2, - 2 ^ 2, 5 - -3, 1::int::text::int, @ -5;
SELECT 1.e5, .5, 1e-3, 0.1e+2, 1_000;
SELECT 1a;
SELECT 0x10;
SELECT 1.2.3;
SELECT ?;
SELECT ~;
SELECT #;
SELECT {fn now()};
SELECT a -> 'b' FROM (SELECT '{"b": 1}'::jsonb AS a) t;
SELECT 'x' OPERATOR(pg_catalog.||) 'y', 3 OPERATOR(pg_catalog.+) 4, 2 OPERATOR(nothing.+) 2;
SELECT :::int;
SELECT 5 BETWEEN 1 AND 9 AND true, 'a' IS DISTINCT FROM NULL, NULL IS NOT UNKNOWN, 'abc' LIKE 'a%' ESCAPE '!', 'x' COLLATE "C" < 'y', ROW (1, 2) = (1, 2), (1, 2) < (1, 3);
SELECT CAST('1' AS int), int '7', interval '1' DAY, date '2020-01-01', numeric(4, 1) '1.25', position('b' IN 'abc'), substring('abc' FROM 2), trim(BOTH 'x' FROM 'xax'), extract(year FROM date '2020-01-01'), overlay('abc' PLACING 'x' FROM 2);
select 'lower', Select 'no';
SELECT ALL 1; TABLE pg_am ORDER BY 1 LIMIT 0; VALUES (1); (SELECT 1); ((SELECT 2));
SELECT repeat('(', 3) || 'x';
SELECT ((((((((((((((((((((((((((((((((((((((((((((((((((1))))))))))))))))))))))))))))))))))))))))))))))))));
SELECT (SELECT (SELECT (SELECT (SELECT (SELECT (SELECT (SELECT (SELECT (SELECT (SELECT 'ten deep'))))))))));
SELECT 'SELECT ' || repeat('(', 500) || '1' || repeat(')', 500) \gexec
SELECT 'SELECT ' || repeat('1 + ', 2000) || '1' AS q \gset
\set ECHO none
:q;
SELECT 'SELECT ' || repeat('(', 20000) || '1' || repeat(')', 20000) AS q \gset
\set VERBOSITY sqlstate
:q;
\set VERBOSITY verbose
SELECT 'SELECT ''' || repeat('x', 300000) || ''' = repeat(''x'', 300000) AS same' AS q \gset
:q;
SELECT 'SELECT 1 IN (' || string_agg(i::text, ', ') || ') AS found' AS q FROM generate_series(1, 5000) i \gset
:q;
SELECT 'SELECT ' || string_agg('x' || i, ' || ') || ' FROM nothing' AS q FROM generate_series(1, 300) i \gset
:q;
SELECT 'after all that';
