-- Character strings, byte strings in both output formats, and the functions on them.
SELECT 'plain', E'tab\tnew\nline\\slash\x41\u00e9', U&'d\0061t\+000061', U&'d!0061t' UESCAPE '!', 'it''s', $$dollar$$, 'con'
  'tinued';
SELECT E'\xff';
SELECT E'\u0000';
SELECT U&'\zzzz';
SELECT 'ab '::char(5) = 'ab'::char(5), length('ab '::char(5)), octet_length('ab'::char(5)), 'abcdef'::varchar(3), 'abcdef'::char(2);
CREATE TABLE t (v varchar(3), c char(3), n name);
INSERT INTO t VALUES ('abcd', 'x', 'y');
INSERT INTO t VALUES ('abc  ', 'abc  ', repeat('n', 70));
SELECT v, c, n, length(n::text), v || '|', c || '|' FROM t;
SELECT 'ü' < 'z', 'a' < 'B', 'a' < 'B' COLLATE "C", lower('ÄÖÜ'), upper('straße'), initcap('hello wORLD');
SELECT length('日本語'), octet_length('日本語'), substring('日本語' FROM 2 FOR 1), overlay('Txxxxas' PLACING 'hom' FROM 2 FOR 4), position('本' IN '日本語'), reverse('abc'), left('abcdef', -2), right('abcdef', 3), lpad('x', 5, 'ab'), rpad('x', 5, 'ab'), translate('12345', '143', 'ax');
SELECT format('%s %I %L %% %2$s', 'a', 'B c', NULL, 'd'), format('%10s|%-10s|', 'r', 'l'), quote_ident('a"b'), quote_literal(E'a\\b''c'), quote_nullable(NULL), concat_ws(',', 1, NULL, 'x'), repeat('ab', 3), split_part('a,b,c', ',', -1), string_to_array('1,2,,3', ',', ''), array_to_string(ARRAY[1, NULL, 3], '/', '*'), starts_with('abc', 'ab'), chr(8364), ascii('€'), md5('abc'), to_hex(255);
SELECT format('%q', 1);
SELECT chr(0);
SELECT repeat('x', 2000000000);
SELECT 'abc' LIKE 'a%', 'a%c' LIKE 'a!%c' ESCAPE '!', 'ABC' ILIKE 'abc', 'abc' SIMILAR TO '(b|a)%', 'abc' ~ '^a.c$', 'ABC' ~* 'b', regexp_replace('foobarbaz', 'b(..)', 'X\1Y', 'g'), regexp_matches('foobar', '(o+)(b)'), regexp_split_to_array('a1b2c', '\d'), substring('foobar' FROM 'o(.)b');
SELECT 'abc' ~ '(unclosed';
SELECT 'abc' LIKE 'a' ESCAPE 'xx';
SELECT bytea '\x00ff10', '\\000a\\377'::text, E'\\000a\\377'::bytea, ''::bytea, length('\x0102'::bytea), get_byte('\x0a0b'::bytea, 1), set_byte('\x0a0b'::bytea, 0, 255), encode('\xdeadbeef'::bytea, 'base64'), encode('\x00ff5c'::bytea, 'escape'), decode('3q2+7w==', 'base64'), sha256('abc'::bytea), '\x0102'::bytea || '\x03'::bytea, trim('\x00'::bytea FROM '\x0001020000'::bytea), substring('\x010203'::bytea FROM 2 FOR 1);
SET bytea_output = 'escape';
SELECT bytea '\x00ff10', '\x5c27'::bytea, 'abc'::bytea, convert_to('é', 'LATIN1'), convert_from('\xe9'::bytea, 'LATIN1');
RESET bytea_output;
SELECT bytea '\x0';
SELECT bytea '\xzz';
SELECT bytea '\400';
SELECT get_byte('\x01'::bytea, 5);
SELECT convert_from('\xff'::bytea, 'UTF8');
SELECT convert_to('日', 'LATIN1');
SELECT encode('\x00'::bytea, 'rot13');
SELECT decode('abc', 'hex');
SELECT string_agg(w, ', ' ORDER BY w DESC), string_agg(w::bytea, '\x00'::bytea ORDER BY w) FROM (VALUES ('b'), ('a'), ('c')) v(w);
SELECT E'two\nlines' AS "head\ning", E'\r\n' AS cr, E'\x01\x1b\x7f' AS control;
\pset null '(null)'
SELECT NULL AS a, '' AS b;
\x on
SELECT 'wide' AS a, E'several\nlines\nhere' AS b;
