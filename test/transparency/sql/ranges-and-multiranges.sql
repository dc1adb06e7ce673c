-- Ranges and multiranges, built in and made here.
SELECT '[1,5)'::int4range, '(1,5]'::int4range, '[1,1]'::int4range, '[1,1)'::int4range, 'empty'::int4range, '(,5]'::int4range, '[,]'::int8range;
SELECT '[5,1]'::int4range;
SELECT '[1;5]'::int4range;
SELECT '[1,5'::int4range;
SELECT '[1.5,2.5)'::numrange, '["2020-01-01","2020-02-01")'::daterange, '["2020-01-01 10:00","2020-01-01 11:00"]'::tsrange, '["2020-01-01 10:00+02",)'::tstzrange;
SELECT int4range(1, 5), int4range(1, 5, '[]'), numrange(NULL, 2.5, '()'), daterange('2020-01-01', 'infinity');
SELECT int4range(1, 5, '[[');
SELECT int4range(5, 1);
SELECT lower(r), upper(r), isempty(r), lower_inc(r), upper_inc(r), lower_inf(r), upper_inf(r) FROM (VALUES ('[1,5)'::int4range), ('(,)'), ('empty')) v(r);
SELECT '[1,5)'::int4range @> 3, '[1,5)'::int4range @> '[2,3)'::int4range, '[1,5)'::int4range && '[5,6)'::int4range, '[1,5)'::int4range -|- '[5,6)'::int4range, '[1,5)'::int4range << '[7,8)'::int4range, '[1,5)'::int4range + '[5,9)'::int4range, '[1,5)'::int4range * '[3,9)'::int4range, '[1,5)'::int4range - '[3,9)'::int4range;
SELECT '[1,2)'::int4range + '[5,9)'::int4range;
SELECT '[1,9)'::int4range - '[3,4)'::int4range;
SELECT range_merge('[1,2)'::int4range, '[5,9)'::int4range);
SELECT '{[1,3),[5,9)}'::int4multirange, '{}'::int4multirange, '{[1,3),[2,5)}'::int4multirange, '{[2020-01-01,2020-02-01)}'::datemultirange, nummultirange(numrange(1, 2), numrange(5, 6));
SELECT '{[1,3),'::int4multirange;
SELECT '{[1,3),[5,9)}'::int4multirange @> 6, '{[1,9)}'::int4multirange - '{[3,4)}'::int4multirange, '{[1,3)}'::int4multirange + '{[2,5)}'::int4multirange, '{[1,5)}'::int4multirange * '{[3,9)}'::int4multirange, range_merge('{[1,3),[5,9)}'::int4multirange);
SELECT unnest('{[1,3),[5,9)}'::int4multirange), range_agg(r), range_intersect_agg(r) FROM (VALUES ('[1,5)'::int4range), ('[3,9)')) v(r);
CREATE TYPE floatrange AS RANGE (subtype = float8, subtype_diff = float8mi, multirange_type_name = floats);
SELECT '[1.5,2.5]'::floatrange, floatrange(1, 2), '{[1,2],[3,4]}'::floats, floats(floatrange(0, 1));
CREATE TYPE broken AS RANGE (subtype = no_such_type);
CREATE TYPE broken AS RANGE (collation = "C");
CREATE TABLE booked (room int, during tsrange, EXCLUDE USING gist (during WITH &&));
INSERT INTO booked VALUES (1, '[2020-01-01 10:00,2020-01-01 11:00)');
INSERT INTO booked VALUES (1, '[2020-01-01 10:30,2020-01-01 11:30)');
INSERT INTO booked VALUES (1, '[2020-01-01 11:00,2020-01-01 11:30)');
SELECT * FROM booked ORDER BY during;
\d booked
\dT
