// Texts that are large or deep, by name: what a hostile or broken client may send to stop the one thread that reads them.
const nested = (open: string, close: string, depth: number, core = '1'): string =>
  open.repeat(depth) + core + close.repeat(depth);

const MIB = 1024 * 1024;
const upTo = (bytes: number, piece: string): string => piece.repeat(Math.floor(bytes / piece.length));

export const HOSTILE: Readonly<Record<string, () => string>> = {
  '100,000 parentheses': () => `SELECT ${nested('(', ')', 100_000)}`,
  '100,000 opening parentheses': () => `SELECT ${'('.repeat(100_000)}`,
  '50,000 UNIONs': () => `SELECT 1${' UNION SELECT 1'.repeat(50_000)}`,
  '50,000 ANDs': () => `SELECT 1 WHERE a${' AND a'.repeat(50_000)}`,
  '50,000 NOTs': () => `SELECT ${'NOT '.repeat(50_000)}true`,
  '20,000 nested SELECTs': () => nested('SELECT (', ')', 20_000, 'SELECT 1'),
  '20,000 nested FROMs': () => nested('SELECT * FROM (', ') a', 20_000, 'SELECT 1'),
  '20,000 nested CTEs': () => nested('WITH a AS (', ') SELECT 1', 20_000, 'SELECT 1'),
  '20,000 nested calls': () => `SELECT ${nested('f(', ')', 20_000)}`,
  '20,000 nested CASEs': () => `SELECT ${nested('CASE WHEN ', ' THEN 1 END', 20_000, 'true')}`,
  '2,000 nested SELECTs': () => nested('SELECT (', ')', 2_000, 'SELECT 1'),
  '50,000 statements': () => 'SELECT 1;'.repeat(50_000),
  '50,000 statements that drop': () => 'DROP TABLE x;'.repeat(50_000),
  '10 MiB in one literal': () => `SELECT '${'x'.repeat(10 * MIB)}'`,
  '10 MiB in one comment': () => `SELECT 1 /* ${'x'.repeat(10 * MIB)} */`,
  '10 MiB in one name': () => `SELECT "${'x'.repeat(10 * MIB)}"`,
  '10 MiB of blanks': () => `SELECT 1${' '.repeat(10 * MIB)}`,
  '10 MiB of words': () => `SELECT ${upTo(10 * MIB, 'a ')}`,
  '10 MiB of numbers': () => `SELECT * FROM t WHERE id IN (${upTo(10 * MIB, '123456, ')}1)`,
  '10 MiB of long literals': () => `INSERT INTO t VALUES (${upTo(10 * MIB, `'${'x'.repeat(1000)}', `)}1)`,
  '10 MiB of rows': () => `INSERT INTO t VALUES ${upTo(10 * MIB, "(1, 'a', now()), ")}(1, 'a', now())`,
  '10 MiB of comments': () => `SELECT 1${upTo(10 * MIB, '/* */')}`,
  '10 MiB of quotes': () => `SELECT ${"'".repeat(10 * MIB)}`,
  '10 MiB of operators': () => `SELECT 1 ${'+'.repeat(10 * MIB)} 1`,
  '10 MiB of dollars': () => `SELECT ${'$'.repeat(10 * MIB)}`,
  '10 MiB of backslashes': () => `SELECT E'${'\\'.repeat(10 * MIB)}'`,
  '10 MiB of AND': () => `SELECT 1 WHERE a${upTo(10 * MIB, ' AND a')}`,
  '20 MiB': () => `SELECT '${'x'.repeat(20 * MIB)}'`,
};
