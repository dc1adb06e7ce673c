// Connections of node-postgres for the tests of transparency, each with a schema to play in, and what a query came to.
import pg from 'pg';
import type { Pair, Way } from './observed.ts';
import { outcome } from './transcript.ts';

const SETTING = `
  CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
  CREATE DOMAIN small AS int CONSTRAINT below_ten CHECK (VALUE < 10);
  CREATE TYPE pair AS (a int, b text);
  CREATE TABLE parents (id int PRIMARY KEY, name text NOT NULL);
  CREATE TABLE children (
    id int PRIMARY KEY, parent int REFERENCES parents DEFERRABLE INITIALLY IMMEDIATE,
    size small, mood mood, CONSTRAINT positive CHECK (id > 0));
  CREATE FUNCTION inner_failure() RETURNS int LANGUAGE plpgsql AS $$
    DECLARE found int; BEGIN EXECUTE 'SELECT 1 / zero FROM (SELECT 0 AS zero) z' INTO found; RETURN found; END $$;
  CREATE FUNCTION broken() RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'SELEC 1'; END $$;
  CREATE FUNCTION raises() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION USING MESSAGE = 'žluťoučký', DETAIL = 'a detail', HINT = 'a hint', ERRCODE = 'PX001',
      SCHEMA = 'a schema', TABLE = 'a table', COLUMN = 'a column', CONSTRAINT = 'a constraint', DATATYPE = 'a type';
    END $$`;

/** Made anew for every connection, so that scenes do not see one another. */
export async function connect(pair: Pair, way: Way, changes: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({ ...pair.connection(way), ...changes });
  client.on('error', () => {});
  await client.connect();
  await client.query('DROP SCHEMA IF EXISTS scene CASCADE; CREATE SCHEMA scene; SET search_path = scene');
  await client.query(SETTING);
  return client;
}

/** What a result has besides the driver's own machinery. */
const told = (result: unknown): unknown => {
  if (Array.isArray(result)) return result.map(told);
  if (!(result instanceof pg.Result)) return result;
  const { command, rowCount, oid, rows, fields } = result;
  return { command, rowCount, oid, rows, fields };
};

export const run = async (
  client: pg.Client,
  query: string | pg.QueryConfig,
  values?: unknown[],
): Promise<unknown> => told(await outcome(client.query(query as string, values)));
