// The drivers that agents use, and psql: reads pass, what is risky is held, a yes runs it once, a no is an error that
// the driver understands and after which the session goes on.
import pg from 'pg';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type PsqlSession, psqlSession } from '../services/psql.ts';
import { Stage } from './stage.ts';
import { frame, pipeline, type WireClient } from './wire-client.ts';

/** One client: runs a text and says either what it read or the SQLSTATE with which it failed. */
interface Client {
  run(sql: string): Promise<{ readonly rows: string } | { readonly sqlstate: string }>;
  end(): Promise<unknown>;
}

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open();
  // Not to be stopped by a missing right where approval is what is tested.
  await stage.look('ALTER SCHEMA public OWNER TO countersign');
});
afterAll(() => stage?.close());

function psqlClient(): Promise<Client> {
  const session: PsqlSession = psqlSession(stage.agent, ['-v', 'VERBOSITY=verbose']);
  let turn = 0;
  return Promise.resolve({
    run: async (sql) => {
      const end = `end of turn ${turn++}`;
      // psql sends one statement at a time, unless told to put several into one message.
      session.send(`${sql.replace(/^SELECT 1; /, 'SELECT 1\\; ')};`);
      session.send(`\\echo ${end}`);
      session.send(`\\warn ${end}`);
      const from = session.output().length;
      // Once from each of the two streams.
      await session.expect(new RegExp(`${end}[\\s\\S]*${end}`), 20_000);
      const printed = session.output().slice(from);
      const sqlstate = /ERROR: {2}(\w{5}):/.exec(printed)?.[1];
      return sqlstate === undefined ? { rows: printed } : { sqlstate };
    },
    end: () => session.end(),
  });
}

async function nodePostgres(): Promise<Client> {
  const client = new pg.Client({ ...stage.agent });
  await client.connect();
  return {
    run: (sql) =>
      client.query({ text: sql, rowMode: 'array' }).then(
        (result) => ({ rows: JSON.stringify(result) }),
        (error: pg.DatabaseError) => ({ sqlstate: error.code ?? String(error) }),
      ),
    end: () => client.end(),
  };
}

function postgresJs(): Promise<Client> {
  const { host, port, user, password, database } = stage.agent;
  const sql = postgres({ host, port, user, pass: password, database, max: 1, onnotice: () => {} });
  return Promise.resolve({
    run: async (text) => {
      try {
        if (!text.startsWith('COPY')) return { rows: JSON.stringify(await sql.unsafe(text)) };
        let rows = '';
        for await (const chunk of await sql.unsafe(text).readable()) rows += String(chunk);
        return { rows };
      } catch (error) {
        return { sqlstate: error instanceof postgres.PostgresError ? error.code : String(error) };
      }
    },
    end: () => sql.end(),
  });
}

async function rawPipeline(): Promise<Client> {
  const client: WireClient = await stage.wire();
  return {
    run: async (sql) => {
      // What has several statements cannot be prepared.
      const answers = await client.run(
        sql.includes(';') && !sql.startsWith('DO') ? frame.query(sql) : pipeline(sql),
      );
      const sqlstate = answers.flatMap((answer) => /^ErrorResponse (\w+)/.exec(answer)?.[1] ?? [])[0];
      return sqlstate === undefined ? { rows: answers.join('\n') } : { sqlstate };
    },
    end: () => client.end(),
  };
}

const RISKY: readonly { readonly name: string; readonly sql: string; readonly happened: string }[] = [
  { name: 'DROP TABLE', sql: 'DROP TABLE gone', happened: "SELECT to_regclass('gone') IS NULL AS yes" },
  {
    name: 'GRANT',
    sql: 'GRANT SELECT ON kept TO bob',
    happened: "SELECT has_table_privilege('bob', 'kept', 'select') AS yes",
  },
  {
    name: 'COPY TO STDOUT',
    sql: 'COPY kept TO STDOUT',
    happened: 'SELECT true AS yes',
  },
  {
    name: 'a DROP behind a SELECT',
    sql: 'SELECT 1; DROP TABLE gone',
    happened: "SELECT to_regclass('gone') IS NULL AS yes",
  },
  {
    name: 'DO',
    sql: "DO $$ BEGIN INSERT INTO kept VALUES ('done'); END $$",
    happened: "SELECT count(*) = 1 AS yes FROM kept WHERE word = 'done'",
  },
];

describe.each([
  ['psql', psqlClient],
  ['node-postgres', nodePostgres],
  ['postgres.js', postgresJs],
  ['raw frames', rawPipeline],
] as const)('%s', (_, connect) => {
  let client: Client;
  beforeAll(async () => {
    client = await connect();
    await stage.look(`
      DROP TABLE IF EXISTS gone, kept;
      CREATE TABLE gone (); CREATE TABLE kept (word text); INSERT INTO kept VALUES ('a word');
      ALTER TABLE gone OWNER TO countersign; ALTER TABLE kept OWNER TO countersign`);
  });
  afterAll(() => client?.end());

  test('reads pass', async () => {
    const before = (await stage.holds('all')).length;
    expect(await client.run("SELECT word, 'read' AS how FROM kept WHERE word = 'a word'")).toEqual({
      rows: expect.stringContaining('a word'),
    });
    expect((await stage.holds('all')).length).toBe(before);
  });

  test.each(RISKY)('$name is held: not run after a no, run once after a yes', async ({ sql, happened }) => {
    const has = async () => (await stage.look<{ yes: boolean }>(happened))[0]?.yes;
    const ranBefore = await stage.timesRun(sql);
    const before = await has();

    const denied = client.run(sql);
    const hold = await stage.deny(sql);
    expect(hold.statement.text).toBe(sql + (hold.statement.text.endsWith(';') ? ';' : ''));
    expect(await denied).toEqual({ sqlstate: '42501' });
    expect(await client.run("SELECT 'still here'")).toEqual({ rows: expect.stringContaining('still here') });
    expect(await stage.timesRun(sql)).toBe(ranBefore);
    expect(await has()).toBe(before);

    const approved = client.run(sql);
    const { id } = await stage.approve(sql);
    expect(await approved).toHaveProperty('rows');
    expect(await stage.timesRun(sql)).toBe(ranBefore + 1);
    expect(await has()).toBe(true);
    await stage.became(id, 'executed');
    if (sql.endsWith('gone')) {
      await stage.look('CREATE TABLE gone (); ALTER TABLE gone OWNER TO countersign');
    }
  });
});

test('a statement prepared once and executed twice is held twice', async () => {
  const client = await stage.pg();
  await stage.look('CREATE TABLE IF NOT EXISTS gone (); ALTER TABLE gone OWNER TO countersign');
  const drop = { name: 'drop', text: 'DROP TABLE IF EXISTS gone' };
  const first = client.query(drop);
  const one = await stage.approve(drop.text);
  expect((await first).command).toBe('DROP');
  const second = client.query(drop);
  const two = await stage.approve(drop.text);
  expect((await second).command).toBe('DROP');
  expect(two.id).not.toBe(one.id);
  expect(await stage.timesRun(drop.text)).toBe(2);
  const third = client.query(drop);
  await stage.deny(drop.text);
  await expect(third).rejects.toMatchObject({ code: '42501' });
  expect(await stage.timesRun(drop.text)).toBe(2);
  await client.end();
});

test('the answers of an approved COPY are those of the server', async () => {
  const [through, direct] = await Promise.all([stage.wire(), stage.direct()]);
  const copy = 'COPY (SELECT id, email FROM users ORDER BY id LIMIT 3) TO STDOUT';
  through.write(frame.query(copy));
  await stage.approve(copy);
  expect(await through.ready()).toEqual(await direct.query(copy));
});

test('what a driver is told of a denial: who, why, which hold, and what to do', async () => {
  const client = await stage.pg();
  const refused = client.query('DROP TABLE users');
  const hold = await stage.held('DROP TABLE users');
  await stage.vote(hold, 'deny', 'not the users');
  const error = await refused.catch((reason: pg.DatabaseError) => reason as pg.DatabaseError);
  expect(error).toMatchObject({
    severity: 'ERROR',
    code: '42501',
    message: 'denied by alice@example.com: not the users',
    hint: expect.stringContaining('refused'),
  });
  expect(JSON.parse((error as pg.DatabaseError).detail ?? '')).toMatchObject({
    hold: hold.id,
    status: 'denied',
    rule: 'schema-changes',
  });
  await client.end();
});
