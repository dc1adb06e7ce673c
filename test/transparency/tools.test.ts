// PostgreSQL's own tools: pgbench in each of its protocols and in libpq's pipeline mode, pg_dump and pg_restore. What they
// leave behind through us is what they leave behind without.
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { tempDir } from '../services/places.ts';
import { type Program, program } from '../services/programs.ts';
import type { Connection } from '../services/psql.ts';
import { Pair, WAYS, type Way } from './observed.ts';

const run = promisify(execFile);

const SEED = '--random-seed=7';

/** Everything that a script of pgbench may do, with what it reads used again. */
const SCRIPT = `\\set aid random(1, 100000)
\\startpipeline
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :aid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 1, :aid, 1, '2026-01-01');
COMMIT;
\\endpipeline
SELECT abalance AS now FROM pgbench_accounts WHERE aid = :aid \\gset
UPDATE pgbench_branches SET bbalance = bbalance + :now WHERE bid = 1;
`;

const STATE = `SELECT (SELECT sum(abalance * aid) FROM pgbench_accounts) AS accounts,
  (SELECT sum(bbalance) FROM pgbench_branches) AS branches,
  (SELECT count(*) FROM pgbench_history) AS history,
  (SELECT count(*) FROM extra) AS extra`;

let pair: Pair;
let folder: string;
beforeAll(async () => {
  pair = await Pair.open();
  folder = tempDir('tools');
  writeFileSync(join(folder, 'script.sql'), SCRIPT);
  await pair.prepare(`SET ROLE ${pair.connection('direct').user};
    CREATE TYPE mood AS ENUM ('sad', 'ok');
    CREATE TABLE extra (id int GENERATED ALWAYS AS IDENTITY, note text, mood mood DEFAULT 'ok', bytes bytea);
    INSERT INTO extra (note, bytes) SELECT 'é' || g, decode(md5(g::text), 'hex') FROM generate_series(1, 1000) g;
    RESET ROLE`);
});
afterAll(() => pair?.close());

async function tool(
  { host, port, user, password, database }: Connection,
  name: Program,
  ...args: string[]
): Promise<string> {
  const { stdout } = await run(program(name), args, {
    maxBuffer: 256 * 1024 * 1024,
    env: {
      PATH: process.env['PATH'],
      PGHOST: host,
      PGPORT: String(port),
      PGUSER: user,
      PGPASSWORD: password,
      PGDATABASE: database,
      PGSSLMODE: 'disable',
      PGGSSENCMODE: 'disable',
      LC_ALL: 'C.UTF-8',
    },
  });
  return stdout;
}

const pgbench = (way: Way, ...args: string[]): Promise<string> =>
  tool(pair.connection(way), 'pgbench', '--no-vacuum', ...args);

const dump = (from: Connection, ...args: string[]): Promise<string> =>
  tool(from, 'pg_dump', '--no-owner', '--no-privileges', ...args);

/** Newer versions of pg_dump write a key of chance into a plain dump. */
const withoutKey = (text: string): string => text.replace(/^\\(un)?restrict .*$/gm, '');

test('pgbench: each protocol, and pipeline mode, leaves the same tables', { timeout: 120_000 }, async () => {
  const states: unknown[] = [];
  for (const way of WAYS) {
    await pgbench(way, '--initialize', '--scale=1', '--quiet');
    for (const mode of ['simple', 'extended', 'prepared']) {
      const said = await pgbench(way, SEED, '--transactions=100', `--protocol=${mode}`);
      expect(said).toContain('number of transactions actually processed: 100/100');
      expect(said).not.toMatch(/failed transactions: [1-9]/);
    }
    for (const mode of ['extended', 'prepared']) {
      const file = join(folder, 'script.sql');
      const said = await pgbench(way, SEED, '--transactions=50', `--protocol=${mode}`, `--file=${file}`);
      expect(said).toContain('number of transactions actually processed: 50/50');
    }
    const several = ['--client=4', '--jobs=2', '--transactions=25', '--protocol=prepared', '--select-only'];
    expect(await pgbench(way, ...several)).toContain('number of transactions actually processed: 100/100');
    states.push(await pair.look(way, STATE));
  }
  expect(states[1]).toEqual(states[0]);
  expect(states[0]).toEqual([expect.objectContaining({ history: '400', extra: '1000' })]);
});

test('pg_dump and pg_restore: the same dump, and the same database from it', {
  timeout: 120_000,
}, async () => {
  const through = pair.connection('through');
  // Rows come in the order in which they lie on the disk, which no two databases share.
  const direct = await dump(pair.behind());
  expect(withoutKey(await dump(through))).toBe(withoutKey(direct));
  expect(direct).toContain('COPY public.extra');
  for (const [format, jobs] of [
    ['custom', '1'],
    ['directory', '2'],
  ] as const) {
    const file = join(folder, format);
    await dump(through, `--format=${format}`, `--file=${file}`, ...(jobs === '1' ? [] : [`--jobs=${jobs}`]));
    await tool(
      through,
      'pg_restore',
      '--clean',
      '--no-owner',
      `--jobs=2`,
      '--dbname',
      through.database,
      file,
    );
    expect(withoutKey(await dump(through))).toBe(withoutKey(direct));
  }
});
