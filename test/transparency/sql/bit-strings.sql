-- bit and bit varying.
SELECT B'101', X'1F', B'', '101'::bit(3), '101'::varbit, '11'::bit(5), 5::bit(8), (-1)::bit(4), B'1010'::bit(2);
SELECT B'102';
SELECT X'1G';
SELECT '10'::bit(0);
CREATE TABLE b (f bit(3), v bit varying(5));
INSERT INTO b VALUES (B'101', B'1');
INSERT INTO b VALUES (B'10', B'1');
INSERT INTO b VALUES (B'101', B'111111');
SELECT * FROM b;
SELECT B'1100' & B'1010', B'1100' | B'1010', B'1100' # B'1010', ~B'1100', B'1100' << 1, B'1100' >> 1, B'10' || B'01', length(B'10101'), octet_length(B'101010101'), bit_count(B'1011'), get_bit(B'1011', 1), set_bit(B'1011', 1, 1), substring(B'110011' FROM 3 FOR 2), position(B'11' IN B'0011'), overlay(B'0000' PLACING B'11' FROM 2);
SELECT B'11' & B'111';
SELECT get_bit(B'1', 9);
SELECT B'1111'::bit(4)::int, X'FFFFFFFF'::bit(32)::int, B'1' < B'11', B'0'::bool;
SELECT X'FFFFFFFFFFFFFFFFFF'::bigint;
SELECT bit_and(v), bit_or(v) FROM (VALUES (B'110'), (B'011')) t(v);
SELECT repeat('10', 40)::varbit;
