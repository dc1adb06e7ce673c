// Every file of sql/ is run by psql on a fresh database twice: straight, and through a countersign that holds nothing.
// What psql prints, both streams as they come, must be the same to the byte. README.md says how to write a file.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PROJECT, tempDir } from '../services/places.ts';
import { program } from '../services/programs.ts';
import type { Connection } from '../services/psql.ts';
import { BY_DESIGN } from './by-design.ts';
import type { Way } from './observed.ts';
import { Twins } from './twins.ts';

const FOLDER = join(PROJECT, 'test', 'transparency', 'sql');
const FILES = readdirSync(FOLDER).filter((name) => name.endsWith('.sql'));
/** A folder that could not be read, or from which files went missing, must not pass. */
const FEWEST_FILES = 65;

const LOGGED_UNLIKE = BY_DESIGN.logs.map(({ script }) => script);

const databaseOf = (file: string): string => `db_${file.replace(/\.sql$/, '').replaceAll('-', '_')}`;

let twins: Twins;
const output = tempDir('transparency');
beforeAll(async () => {
  twins = await Twins.open(FILES.map(databaseOf));
});
afterAll(() => twins?.close(FILES.filter((file) => !LOGGED_UNLIKE.includes(file)).map(databaseOf)));

/** What psql prints for this file on a fresh database, and its exit code. */
async function run(file: string, way: Way): Promise<string> {
  const connection = await twins.fresh(way, databaseOf(file));
  const folder = join(output, way, connection.database);
  mkdirSync(folder, { recursive: true });
  const code = await psqlInto(join(folder, 'printed'), join(FOLDER, file), folder, connection);
  return `${readFileSync(join(folder, 'printed'), 'latin1')}\n— psql ended with ${code}\n`;
}

async function psqlInto(
  printed: string,
  script: string,
  folder: string,
  { host, port, user, password, database }: Connection,
): Promise<number | null> {
  const input = openSync(script, 'r');
  // One file for both streams: their order is a part of what is compared.
  const out = openSync(printed, 'w');
  const child = spawn(program('psql'), ['--no-psqlrc', '-w', '-a', '-e', '-v', 'VERBOSITY=verbose'], {
    cwd: folder,
    stdio: [input, out, out],
    env: {
      // A script may start further ones.
      PATH: [dirname(program('psql')), process.env['PATH']].join(delimiter),
      HOME: '/nonexistent',
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
  closeSync(out);
  closeSync(input);
  await once(child, 'close');
  return child.exitCode;
}

test.each(FILES)('%s', async (file) => {
  const [direct, through] = await Promise.all([run(file, 'direct'), run(file, 'through')]);
  expect(through).toBe(direct);
  await twins.drop(databaseOf(file));
});

test('there are files enough to have compared something', () => {
  expect(FILES.length).toBeGreaterThanOrEqual(FEWEST_FILES);
});
