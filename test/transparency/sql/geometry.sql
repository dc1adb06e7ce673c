-- Geometric types.
SELECT '(1,2)'::point, '{1,2,3}'::line, '[(0,0),(1,1)]'::lseg, '(2,2),(0,0)'::box, '((0,0),(1,1),(2,0))'::path, '[(0,0),(1,1)]'::path, '((0,0),(1,1),(1,0))'::polygon, '<(1,2),3>'::circle;
SELECT '(1)'::point;
SELECT '{0,0,1}'::line;
SELECT '<(1,2),-3>'::circle;
SELECT '(1,2'::box;
SELECT 'nan,infinity'::point, '(1e300,-0)'::point, '1,2'::point;
SELECT point(1, 2) <-> point(4, 6), area(box '(0,0),(2,3)'), center(circle '<(1,2),3>'), diameter(circle '<(1,2),3>'), height(box '(0,0),(2,3)'), isclosed(path '[(0,0),(1,1)]'), npoints(polygon '((0,0),(1,1),(1,0))'), length(lseg '[(0,0),(3,4)]'), radius(circle '<(0,0),2>'), slope(point(0, 0), point(1, 1)), diagonal(box '(1,1),(0,0)'), bound_box(box '(0,0),(1,1)', box '(3,3),(4,4)');
SELECT box '(0,0),(2,2)' && box '(1,1),(3,3)', box '(0,0),(2,2)' @> point '(1,1)', circle '<(0,0),1>' << circle '<(5,0),1>', point '(1,2)' + point '(3,4)', point '(1,2)' * point '(3,4)', box '(0,0),(2,2)' # box '(1,1),(3,3)', @-@ path '[(0,0),(3,4)]', @@ circle '<(1,2),3>', lseg '[(0,0),(2,2)]' # lseg '[(0,2),(2,0)]', line '{1,-1,0}' ?|| line '{1,-1,5}', point '(0,0)' ## lseg '[(1,1),(2,2)]', box '(0,0),(1,1)' ~= box '(0,0),(1,1)', polygon '((0,0),(1,1),(1,0))' ~= polygon '((0,0),(1,1),(1,0))';
SELECT point '(1,2)' / point '(0,0)';
SELECT point '(1,1)' = point '(1,1)';
SELECT polygon(circle '<(0,0),1>'), box(circle '<(0,0),1>'), circle(box '(0,0),(2,2)'), polygon(4, circle '<(0,0),1>'), path(polygon '((0,0),(1,1),(1,0))'), pclose(path '[(0,0),(1,1)]');
SELECT polygon(1, circle '<(0,0),1>');
CREATE TABLE g (p point, b box);
CREATE INDEX ON g USING gist (p);
CREATE INDEX ON g USING spgist (b);
CREATE INDEX ON g (p);
INSERT INTO g SELECT point(i, i * i), box(point(i, i), point(i + 1, i + 1)) FROM generate_series(1, 3) i;
SELECT * FROM g ORDER BY p <-> point '(2,2)';
SELECT DISTINCT p FROM g;
\d g
