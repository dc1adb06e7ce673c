-- xml, where the server has it: whichever way it answers, it answers us the same.
SELECT '<a>1</a>'::xml, xml '<?xml version="1.0"?><a b="c&lt;d"/>';
SELECT xml '<a>';
SELECT xml '<a></b>';
SELECT xmlelement(name foo, xmlattributes('b&"c' AS bar, 5 AS "n m"), 'te<xt', xmlelement(name inner, NULL)), xmlforest('a' AS x, 1 AS "y z"), xmlconcat('<a/>', '<b/>'), xmlpi(name php, 'echo'), xmlcomment('note'), xmlroot('<a/>', version '1.1', standalone yes);
SELECT xmlcomment('a--b');
SELECT xmlparse(document '<a/><b/>');
SELECT xmlparse(content 'text<a/>'), xmlserialize(content '<a/>' AS text), '<a/>' IS DOCUMENT, 'x' IS DOCUMENT;
SELECT xpath('/a/b/text()', '<a><b>1</b><b>2</b></a>'), xpath_exists('/a/c', '<a/>'), xpath('//n:b', '<a xmlns:n="urn:x"><n:b/></a>', ARRAY[ARRAY['n', 'urn:x']]);
SELECT xpath('///', '<a/>');
SELECT * FROM xmltable('/rows/row' PASSING '<rows><row id="1"><n>x</n></row><row id="2"/></rows>' COLUMNS id int PATH '@id', n text PATH 'n' DEFAULT 'none', o FOR ORDINALITY);
SELECT xmlagg(xmlelement(name i, i) ORDER BY i DESC) FROM generate_series(1, 3) i;
SELECT '<a/>'::xml = '<a/>'::xml;
SET xmloption TO document;
SELECT 'just text'::xml;
RESET xmloption;
SELECT query_to_xml('SELECT 1 AS a, NULL AS b', true, false, '');
SELECT xml '<a>é日</a>'::text, xmlelement(name "ünï", 'x');
