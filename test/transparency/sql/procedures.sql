-- Procedures: CALL with every kind of argument, COMMIT and ROLLBACK within, and where those may not be.
CREATE TABLE t (id int PRIMARY KEY);
CREATE PROCEDURE p(a int, INOUT b int DEFAULT 5, OUT c text) LANGUAGE plpgsql AS $$ BEGIN b := a + b; c := 'c' || b; END $$;
CALL p(1, 2, NULL);
CALL p(1, c => NULL);
CALL p(a => 1, b => 3, c => NULL);
CALL p();
CALL p('x', 1, NULL);
CALL nothing();
SELECT p(1, 2);
CREATE PROCEDURE none() LANGUAGE sql AS 'INSERT INTO t VALUES (1)';
CALL none();
CALL none();
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
CALL f();
DROP PROCEDURE f();
DROP FUNCTION none();
CREATE PROCEDURE halves(upto int) LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 10..upto LOOP
    INSERT INTO t VALUES (i);
    IF i % 2 = 0 THEN COMMIT; RAISE NOTICE '% committed', i; ELSE ROLLBACK; RAISE NOTICE '% rolled back', i; END IF;
  END LOOP;
END $$;
CALL halves(15);
SELECT * FROM t ORDER BY id;
CALL halves(11);
SELECT * FROM t ORDER BY id;
BEGIN;
CALL halves(21);
ROLLBACK;
SELECT 1 \; CALL halves(21);
CREATE FUNCTION calling() RETURNS int LANGUAGE plpgsql AS $$ BEGIN CALL halves(21); RETURN 1; END $$;
SELECT calling();
CREATE PROCEDURE outer_one() LANGUAGE plpgsql AS $$ BEGIN DELETE FROM t; CALL halves(12); INSERT INTO t VALUES (99); RAISE 'and then it fails'; END $$;
CALL outer_one();
SELECT * FROM t ORDER BY id;
CREATE PROCEDURE caught() LANGUAGE plpgsql AS $$
BEGIN
  BEGIN
    INSERT INTO t VALUES (50);
    COMMIT;
  EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'caught % %', SQLSTATE, SQLERRM;
  END;
END $$;
CALL caught();
CREATE PROCEDURE looping() LANGUAGE plpgsql AS $$
DECLARE r record;
BEGIN
  FOR r IN SELECT id FROM t ORDER BY id LOOP
    UPDATE t SET id = id + 100 WHERE id = r.id;
    COMMIT;
  END LOOP;
  COMMIT AND CHAIN;
  SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
  RAISE NOTICE '%', current_setting('transaction_isolation');
  ROLLBACK;
END $$;
CALL looping();
SELECT * FROM t ORDER BY id;
CREATE PROCEDURE defining() SECURITY DEFINER LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$;
CALL defining();
CREATE PROCEDURE setting() SET work_mem = '1MB' LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$;
CALL setting();
CREATE PROCEDURE lists(VARIADIC l int[]) LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', l; END $$;
CALL lists(1, 2, 3);
CALL p(1, 2, NULL) \gset
\echo :b :c
PREPARE c AS CALL none();
DO $$ DECLARE x int := 1; y text; BEGIN CALL p(1, x, y); RAISE NOTICE '% %', x, y; END $$;
DO $$ BEGIN CALL p(1, 2, NULL); END $$;
\df+ none
\sf p
DROP PROCEDURE p, halves;
DROP ROUTINE f;
