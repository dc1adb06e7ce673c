-- money under several lc_monetary.
SHOW lc_monetary;
SELECT '$1,234.56'::money, '-12.345'::money, '(7)'::money, 12::money, 12.5::numeric::money, (-92233720368547758.08)::money;
SELECT '92233720368547758.08'::money;
SELECT 'twelve'::money;
SELECT '12'::money * 3, '12'::money / 7, '12'::money / '5'::money, '1'::money + '2'::money, '1'::money - '2'::money, '10'::money < '9'::money, '1.005'::money;
SELECT '1'::money / 0;
SELECT '1'::money * '2'::money;
SELECT sum(m), min(m), max(m), avg(m::numeric) FROM (VALUES ('1.10'::money), ('2.20')) v(m);
SELECT '1.25'::money::numeric, '1.25'::money::int;
SET lc_monetary = 'C';
SELECT 1234567.891::money;
SET lc_monetary = 'no_such_locale';
RESET lc_monetary;
SELECT cash_words('123.45');
