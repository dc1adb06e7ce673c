// Writes src/sql/builtins.ts from the catalogs of running Postgres servers, oldest first. To be run by hand when a
// new major version comes out: node --import tsx test/sql/generate-builtins.ts URL [URL...]
// Each server needs the extensions of its own contrib; they are created in a database made for it, then dropped.
import { writeFileSync } from 'node:fs';
import pg from 'pg';

const EXTENSIONS =
  `adminpack amcheck bloom btree_gin btree_gist citext cube dblink dict_int earthdistance file_fdw
  fuzzystrmatch hstore intagg intarray isn lo ltree old_snapshot pageinspect pg_buffercache pg_freespacemap
  pg_logicalinspect pg_overexplain pg_prewarm pg_stat_statements pg_surgery pg_trgm pg_visibility pg_walinspect
  pgcrypto pgrowlocks pgstattuple plpgsql postgres_fdw seg sslinfo tablefunc tcn tsm_system_rows tsm_system_time
  unaccent uuid-ossp xml2`.split(/\s+/);

const SCRATCH = 'countersign_builtins';
const found = new Map<string, Set<string>>();

async function collect(client: pg.Client, into: string, sql: string): Promise<void> {
  const { rows } = await client.query<{ name: string }>(sql);
  const names = found.get(into) ?? new Set();
  found.set(into, names);
  for (const { name } of rows) names.add(name);
}

const functionsOf = (schema: string, volatilities: string): string =>
  `SELECT DISTINCT proname AS name FROM pg_proc
   WHERE pronamespace = '${schema}'::regnamespace AND provolatile IN (${volatilities})`;

const settingsIn = (contexts: string): string =>
  `SELECT lower(name) AS name FROM pg_settings WHERE context IN (${contexts}) AND name NOT LIKE '%.%'`;

for (const url of process.argv.slice(2)) {
  const admin = new pg.Client({ connectionString: url });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${SCRATCH}`);
  const scratch = new URL(url);
  scratch.pathname = `/${SCRATCH}`;
  const client = new pg.Client({ connectionString: scratch.href });
  await client.connect();
  await collect(client, 'VOLATILE_FUNCTIONS', functionsOf('pg_catalog', "'v'"));
  await collect(client, 'STEADY_FUNCTIONS', functionsOf('pg_catalog', "'s', 'i'"));
  await collect(client, 'INFORMATION_SCHEMA_FUNCTIONS', functionsOf('information_schema', "'s', 'i'"));
  await collect(
    client,
    'BUILTIN_TYPES',
    `SELECT typname AS name FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace`,
  );
  await collect(
    client,
    'CATALOG_RELATIONS',
    `SELECT relname AS name FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v', 'm')`,
  );
  await collect(client, 'USER_SETTINGS', settingsIn("'user'"));
  await collect(
    client,
    'GUARDED_SETTINGS',
    settingsIn("'superuser', 'superuser-backend', 'backend', 'sighup', 'postmaster', 'internal'"),
  );
  const available = await client.query<{ name: string }>('SELECT name FROM pg_available_extensions');
  const names = new Set(available.rows.map((row) => row.name));
  for (const name of EXTENSIONS) {
    if (names.has(name)) await client.query(`CREATE EXTENSION IF NOT EXISTS "${name}" CASCADE`);
  }
  const contrib = (volatilities: string): string =>
    `SELECT DISTINCT proname AS name FROM pg_proc JOIN pg_depend ON objid = pg_proc.oid AND deptype = 'e'
     JOIN pg_extension e ON refobjid = e.oid AND refclassid = 'pg_extension'::regclass
     WHERE classid = 'pg_proc'::regclass AND pronamespace = 'public'::regnamespace AND provolatile IN (${volatilities})`;
  await collect(client, 'CONTRIB_VOLATILE_FUNCTIONS', contrib("'v'"));
  await collect(client, 'CONTRIB_STEADY_FUNCTIONS', contrib("'s', 'i'"));
  await client.end();
  await admin.query(`DROP DATABASE ${SCRATCH}`);
  await admin.end();
}

function without(name: string, others: string): void {
  for (const other of found.get(others) ?? []) found.get(name)?.delete(other);
}
// A name is volatile when any version or overload of it is; a setting is guarded when any version guards it.
without('STEADY_FUNCTIONS', 'VOLATILE_FUNCTIONS');
without('CONTRIB_STEADY_FUNCTIONS', 'CONTRIB_VOLATILE_FUNCTIONS');
without('USER_SETTINGS', 'GUARDED_SETTINGS');

let text = `// What the catalogs of Postgres 15 and 18 and their contrib modules hold, by name. Written by
// test/sql/generate-builtins.ts; do not edit. What each volatile function means is decided in functions.ts.

const names = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\\s+/));
`;
for (const [name, values] of found) {
  let line = '';
  const lines: string[] = [];
  for (const value of [...values].sort()) {
    if (line.length + value.length > 108) {
      lines.push(line.trim());
      line = '';
    }
    line += ` ${value}`;
  }
  lines.push(line.trim());
  text += `\nexport const ${name} = names(\`\n${lines.join('\n')}\n\`);\n`;
}
writeFileSync(new URL('../../src/sql/builtins.ts', import.meta.url), text);
