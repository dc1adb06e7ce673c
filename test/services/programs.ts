// Finds the programs that tests need (postgres, redis-server, psql …) and, on Debian as root, installs the missing ones.
// A program that cannot be had is an error that says what to install: no test is skipped for want of it.
import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const POSTGRES_HOMES = '/usr/lib/postgresql';

/** Which Debian package brings which program. */
const PACKAGES = {
  postgres: 'postgresql',
  initdb: 'postgresql',
  psql: 'postgresql-client',
  pg_dump: 'postgresql-client',
  pg_restore: 'postgresql-client',
  pgbench: 'postgresql-contrib',
  'redis-server': 'redis-server',
} as const;

export type Program = keyof typeof PACKAGES;

/** What is on PATH comes first: that is how one chooses a version. Debian keeps the server's programs off it. */
function searchPath(): string[] {
  const homes = existsSync(POSTGRES_HOMES)
    ? readdirSync(POSTGRES_HOMES)
        .sort((a, b) => Number(b) - Number(a))
        .map((version) => join(POSTGRES_HOMES, version, 'bin'))
    : [];
  return [...(process.env['PATH'] ?? '').split(delimiter), ...homes];
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The full path of a program, or null when the machine has none. */
function findProgram(program: Program): string | null {
  return (
    searchPath()
      .map((folder) => join(folder, program))
      .find(isExecutable) ?? null
  );
}

/** Installs what is missing of `programs`, once for all of them. Where it cannot, it does nothing. */
export function installMissing(programs: readonly Program[]): void {
  const missing = programs.filter((program) => findProgram(program) === null);
  if (missing.length === 0 || !isExecutable('/usr/bin/apt-get') || process.getuid?.() !== 0) return;
  const packages = [...new Set(missing.map((program) => PACKAGES[program]))];
  process.stderr.write(`installing ${packages.join(', ')} for the tests\n`);
  // No cluster and no service may come up by itself: the suite starts its own, on ports of its own.
  // policy-rc.d would do the same but is a file outside our care; RUNLEVEL=1 is what invoke-rc.d reads.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const apt = (...args: string[]): void => {
    execFileSync('apt-get', ['-qq', '-o', 'DPkg::Lock::Timeout=120', ...args], {
      env,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  };
  apt('update');
  apt('install', '-y', '--no-install-recommends', ...packages);
}

/** The full path of a program, installed if need be and possible. */
export function program(name: Program): string {
  let path = findProgram(name);
  if (path === null) {
    installMissing([name]);
    path = findProgram(name);
  }
  if (path === null) {
    throw new Error(
      `The tests need "${name}" and found none. Install it (Debian: apt-get install ${PACKAGES[name]}), ` +
        'start a Docker engine, or set TEST_DATABASE_URL and TEST_REDIS_URL.',
    );
  }
  return path;
}
