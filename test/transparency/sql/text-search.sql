-- Full text search.
SELECT 'a fat  cat''s b:1A,2B "q"'::tsvector, 'fat & (rat | !cat:AB) <2> dog:*'::tsquery;
SELECT 'fat &'::tsquery;
SELECT 'a:x'::tsvector;
SELECT to_tsvector('english', 'The quick brown foxes jumped over the lazy dogs'), plainto_tsquery('english', 'lazy dogs'), phraseto_tsquery('english', 'brown fox'), websearch_to_tsquery('english', '"brown fox" -cat or dog'), to_tsquery('simple', 'The & fox:*');
SELECT to_tsquery('english', 'the & a');
SELECT to_tsvector('english', 'jumping foxes') @@ to_tsquery('english', 'fox & jump'), ts_rank('fox:1A jump:2'::tsvector, 'fox'::tsquery), ts_headline('english', 'The quick brown fox jumped', 'fox'::tsquery, 'StartSel=<<, StopSel=>>'), setweight('a:1'::tsvector, 'B'), strip('a:1'::tsvector), length('a b'::tsvector), numnode('a & b'::tsquery), querytree('!a'::tsquery), tsvector_to_array('a b'::tsvector), ts_delete('a b'::tsvector, 'a'), 'a'::tsquery && 'b'::tsquery, 'a:1'::tsvector || 'a:1 b:2'::tsvector;
SELECT to_tsvector('klingon', 'x');
CREATE TABLE docs (id int, body text, found tsvector GENERATED ALWAYS AS (to_tsvector('english', body)) STORED);
INSERT INTO docs VALUES (1, 'Dogs chase cats'), (2, 'Cats chase mice');
CREATE INDEX ON docs USING gin (found);
SELECT id FROM docs WHERE found @@ 'dog' ORDER BY id;
CREATE TEXT SEARCH CONFIGURATION mine (COPY = english);
ALTER TEXT SEARCH CONFIGURATION mine DROP MAPPING FOR asciiword;
ALTER TEXT SEARCH CONFIGURATION mine DROP MAPPING FOR nothing;
SELECT to_tsvector('mine', 'words and 12'), * FROM ts_debug('mine', 'word 1') LIMIT 1;
CREATE TEXT SEARCH DICTIONARY dict (TEMPLATE = simple, stopwords = no_such_file);
CREATE TEXT SEARCH DICTIONARY dict (TEMPLATE = simple, accept = false);
SELECT ts_lexize('dict', 'word'), * FROM ts_parse('default', 'a@b.example http://x.example/p') ;
SELECT * FROM ts_stat('SELECT found FROM docs') ORDER BY word;
SELECT ts_rewrite('a & b'::tsquery, 'a'::tsquery, 'c | d'::tsquery);
\dF mine
\dFd dict
\dFp
