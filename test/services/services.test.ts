// The suite's own servers: that they are real, that they can be hurt, and that what they say they ran is what ran.
import { Redis } from 'ioredis';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { countersign } from './countersign.ts';
import { AGENT, createDatabase, type Database, parseServerLog, withoutScout } from './database.ts';
import { TLS } from './places.ts';
import { startPostgres } from './postgres.ts';
import { psql, psqlSession } from './psql.ts';
import { startRedis } from './redis.ts';
import { sharedRedis } from './shared.ts';
import { eventually } from './wait.ts';

describe('a database of one test file', () => {
  let database: Database;
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(() => database.close());

  const direct = () => ({
    host: database.host,
    port: database.port,
    user: database.user,
    password: database.password,
    database: database.name,
  });

  test('is a copy of shop.sql that its owner may change', async () => {
    const counts = await psql(direct(), [
      '-c',
      "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM orders), current_setting('is_superuser')",
    ]);
    expect(counts).toEqual({ code: 0, stdout: '20000|100000|off\n', stderr: '' });
    expect(await psql(direct(), ['-c', 'DROP TABLE notes'])).toMatchObject({ code: 0 });
  });

  test('wants a password, by SCRAM', async () => {
    const wrong = await psql({ ...direct(), password: 'wrong' }, ['-c', 'SELECT 1']);
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain('password authentication failed');
    const secret = await database.superuser.query('SELECT rolpassword FROM pg_authid WHERE rolname = $1', [
      database.user,
    ]);
    expect(secret.rows[0].rolpassword).toMatch(/^SCRAM-SHA-256\$/);
  });

  test('speaks TLS with a certificate that the tests can verify', async () => {
    const verified = await psql(
      { ...direct(), sslmode: 'verify-full', env: { PGSSLROOTCERT: `${TLS}/ca.crt` } },
      ['-c', 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()'],
    );
    expect(verified).toMatchObject({ code: 0, stdout: 't\n' });
    const other = await psql(
      { ...direct(), sslmode: 'verify-full', env: { PGSSLROOTCERT: `${TLS}/other-ca.crt` } },
      ['-c', 'SELECT 1'],
    );
    expect(other.code).toBe(2);
  });

  test('has a role for agents with the grants of shop.sql and no more', async () => {
    const agent = { ...direct(), ...AGENT };
    expect(await psql(agent, ['-c', 'SELECT count(*) FROM orders'])).toMatchObject({ stdout: '100000\n' });
    expect((await psql(agent, ['-c', 'DROP TABLE orders'])).stderr).toContain('must be owner');
  });

  test('says which statements reached it, over both protocols', async () => {
    const client = new pg.Client(direct());
    await client.connect();
    await client.query("SELECT 'simple,\n\ttwo lines'");
    await client.query('SELECT $1::int AS extended', [1]);
    await client.query('SELEC').catch(() => {});
    await client.end();
    await eventually(() => database.statements().includes('SELECT $1::int AS extended'));
    expect(database.statements()).toContain("SELECT 'simple,\n\ttwo lines'");
    await eventually(() =>
      database.serverLog().some(({ level, sqlstate }) => level === 'ERROR' && sqlstate === '42601'),
    );
  });

  test('hears Ctrl-C from a psql in conversation', async () => {
    const session = psqlSession(direct());
    session.send("SELECT 'hel' || 'lo';");
    await session.expect(/hello/);
    session.send('SELECT pg_sleep(60);');
    await eventually(async () => {
      const running = await database.superuser.query(
        "SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()",
      );
      return running.rowCount === 1;
    });
    session.interrupt();
    await session.expect(/canceling statement due to user request/);
    // Reading from a pipe, psql ends itself after an interrupt: 3 is its word for that.
    expect(await session.end()).toBe(3);
  });
});

test('an empty database has nothing in it', async () => {
  const database = await createDatabase('empty');
  const tables = await database.superuser.query("SELECT FROM pg_tables WHERE schemaname = 'public'");
  expect(tables.rowCount).toBe(0);
  await database.close();
});

test('the log of the server is split by database', () => {
  const log = [
    '@@12|shop|bob|00000|1700000000.123|psql| LOG:  statement: SELECT 1',
    '\tFROM a',
    '@@13|other|bob|00000|1700000000.124|a|b| LOG:  statement: SELECT 2',
    '@@12|shop|bob|42P01|1700000000.125|psql| ERROR:  relation "a" does not exist at character 15',
    '',
  ].join('\n');
  expect(parseServerLog(log, 'shop')).toEqual([
    {
      atMs: 1_700_000_000_123,
      pid: 12,
      database: 'shop',
      user: 'bob',
      sqlstate: '00000',
      application: 'psql',
      level: 'LOG',
      text: 'statement: SELECT 1\nFROM a',
    },
    {
      atMs: 1_700_000_000_125,
      pid: 12,
      database: 'shop',
      user: 'bob',
      sqlstate: '42P01',
      application: 'psql',
      level: 'ERROR',
      text: 'relation "a" does not exist at character 15',
    },
  ]);
});

test('what the proxy asks for itself is left out, and what a session does under its name is not', () => {
  const said = [
    '@@12|shop|bob|00000|1.0|| LOG:  connection authorized: user=bob',
    '@@12|shop|bob|00000|1.1|countersign scout| LOG:  statement: SELECT 1',
    '@@13|shop|bob|00000|1.2|psql| LOG:  statement: SELECT 2',
    '@@13|shop|bob|00000|1.3|countersign scout| LOG:  statement: SELECT 3',
    '',
  ].join('\n');
  const left = withoutScout(parseServerLog(said, 'shop'));
  expect(left.map(({ text }) => text)).toEqual(['statement: SELECT 2', 'statement: SELECT 3']);
});

test('a Postgres of its own can be paused, killed and started again', async () => {
  const server = await startPostgres();
  try {
    const database = await createDatabase('empty', server.address);
    const { superuser } = database;
    await superuser.query('CREATE TABLE kept AS SELECT 1 AS a');

    await server.pause();
    let answered = false;
    const waiting = superuser.query('SELECT a FROM kept').then((result) => {
      answered = true;
      return result;
    });
    // Another server answers a whole round trip meanwhile; the paused one must not have.
    await (await createDatabase('empty')).close();
    expect(answered).toBe(false);
    await server.resume();
    expect((await waiting).rows).toEqual([{ a: 1 }]);

    await server.kill();
    await expect(superuser.query('SELECT 1')).rejects.toThrow();
    await server.start();
    const again = new pg.Client({
      ...server.address,
      user: server.address.superuser,
      database: database.name,
    });
    await again.connect();
    expect((await again.query('SELECT a FROM kept')).rows).toEqual([{ a: 1 }]);
    await again.end();
  } finally {
    await server.close();
  }
});

test('the shared Redis answers', async () => {
  const redis = new Redis((await sharedRedis()).url);
  expect(await redis.ping()).toBe('PONG');
  redis.disconnect();
});

test('a Redis of its own can be killed and started again with its data', async () => {
  const server = await startRedis();
  const redis = new Redis(server.address.url, { retryStrategy: () => 20 });
  redis.on('error', () => {});
  try {
    await redis.set('kept', '1');
    await server.kill();
    await server.start();
    expect(await redis.get('kept')).toBe('1');
  } finally {
    redis.disconnect();
    await server.close();
  }
});

test('the command line runs from the build of this run', async () => {
  const help = await countersign(['--help']);
  expect(help).toMatchObject({ code: 0, stderr: '' });
  expect(help.stdout).toMatch(/^Usage: countersign/);
  const typo = await countersign(['serv']);
  expect(typo.code).toBe(2);
  expect(typo.stderr).toContain("unknown command 'serv'");
});
