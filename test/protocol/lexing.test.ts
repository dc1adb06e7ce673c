// "Lexing hazards" of the protocol: each setting under which the server reads a text otherwise than the parser does.
// First the attack on a direct connection, beside what the facts say of the same text; then that it fails through us.
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { loadParser, understand } from '../../src/sql/understand.ts';
import { Stage } from '../live/stage.ts';
import { frame, WireClient } from '../live/wire-client.ts';
import { createDatabase, type Database } from '../services/database.ts';
import { lines } from './script.ts';

const { parse, bind, execute, sync, query, flush } = frame;

interface Hazard {
  readonly under: string;
  readonly set: string;
  readonly sql: string;
}

const hazards = JSON.parse(
  readFileSync(new URL('../vectors/protocol/lexing.json', import.meta.url), 'utf8'),
) as {
  /** A text that is one SELECT to the parser and drops a table under a setting. */
  readonly texts: readonly Hazard[];
  /** Statements that end with standard_conforming_strings off on a server, and that nobody can have approved. */
  readonly ways: readonly (readonly string[])[];
  readonly encodings: readonly (readonly string[])[];
  /** What would change a later session, or another setting of the kind. */
  readonly later: readonly string[];
  /** What hides a SET from the parser: a person decides. */
  readonly held: readonly string[];
  readonly harmless: readonly string[];
};
const OFF_TEXT = (hazards.texts[0] as Hazard).sql;
const DENIED = expect.stringMatching(/^ErrorResponse 42501 denied by rule "lexing"/);

let stage: Stage;
let client: WireClient;
/** A copy of the stage's database, for what is shown on a direct connection. */
let twin: Database;
let direct: WireClient;

const MAKE_CANARY =
  'DROP TABLE IF EXISTS canary; CREATE TABLE canary (); ALTER TABLE canary OWNER TO countersign';
const asDirect = () => {
  const { host, port, user, password, name } = twin;
  return WireClient.connect({ host, port, user, password, database: name });
};
const canaryOn = async (database: Pick<Database, 'superuser'>): Promise<boolean> =>
  (await database.superuser.query("SELECT FROM pg_class WHERE relname = 'canary'")).rowCount === 1;
const named = (ways: readonly (readonly string[])[]) =>
  ways.map((statements) => ({ what: statements.join('; '), statements }));
const holdsSoFar = async () => (await stage.holds('all')).length;
const settingOf = async (on: WireClient, name: string): Promise<string | undefined> =>
  (await on.query(`SHOW ${name}`)).find((answer) => answer.startsWith('DataRow'))?.slice('DataRow '.length);

beforeAll(async () => {
  await loadParser();
  stage = await Stage.open();
  twin = await createDatabase();
  const functions = ['off', 'on'].map(
    (value) => `CREATE FUNCTION "${value}"() RETURNS text LANGUAGE sql AS
      $$SELECT set_config('standard_conforming_strings', '${value}', false)$$;
      ALTER FUNCTION "${value}"() OWNER TO countersign`,
  );
  for (const database of [stage.database, twin]) await database.superuser.query(functions.join(';'));
});
beforeEach(async () => {
  for (const database of [stage.database, twin]) await database.superuser.query(MAKE_CANARY);
  [client, direct] = await Promise.all([stage.wire(), asDirect()]);
});
afterEach(async () => {
  client.socket.destroy();
  direct.socket.destroy();
});
afterAll(async () => {
  await stage?.close();
  await twin?.close();
});

describe('the attack: the facts know of one SELECT, the server drops a table', () => {
  test.each(hazards.texts)('$under', async ({ set, sql }) => {
    expect(understand(sql)).toMatchObject({
      known: true,
      statements: [{ tags: ['SELECT'], classes: ['read'], relations: [], functions: [] }],
    });
    await direct.query(set);
    expect(await direct.query(sql)).toContain('CommandComplete DROP TABLE');
    expect(await canaryOn(twin)).toBe(false);

    const before = await holdsSoFar();
    expect(await client.query(set)).toEqual([DENIED, 'ReadyForQuery I']);
    const answers = await client.query(sql);
    expect(answers.filter((answer) => answer.startsWith('Command'))).toEqual(['CommandComplete SELECT 1']);
    expect(await canaryOn(stage.database)).toBe(true);
    expect(await holdsSoFar()).toBe(before);
  });
});

/** Sends them until one is refused; what comes after it would be held for a name that was never made. */
async function deniedOneOf(statements: readonly string[]): Promise<readonly string[]> {
  for (const sql of statements) {
    const answers = await client.query(sql);
    if (answers.some((answer) => answer.startsWith('ErrorResponse'))) return answers;
  }
  return [];
}

describe('ways to set it, each working on a direct connection and denied through us', () => {
  test.each(named(hazards.ways))('$what', async ({ statements }) => {
    for (const sql of statements) await direct.query(sql);
    expect(await direct.query(OFF_TEXT)).toContain('CommandComplete DROP TABLE');
    await direct.query('COMMIT');
    expect(await canaryOn(twin), 'the attack does not work').toBe(false);

    expect(await deniedOneOf(statements)).toContainEqual(DENIED);
    await client.query('ROLLBACK');
    expect(await settingOf(client, 'standard_conforming_strings')).toBe('on');
    expect(await client.query(OFF_TEXT)).not.toContain('CommandComplete DROP TABLE');
    expect(await canaryOn(stage.database)).toBe(true);
  });

  test.each(named(hazards.encodings))('$what', async ({ statements }) => {
    for (const sql of statements) await direct.query(sql);
    expect(await settingOf(direct, 'client_encoding')).not.toBe('UTF8');

    expect(await deniedOneOf(statements)).toContainEqual(DENIED);
    await client.query('ROLLBACK');
    expect(await settingOf(client, 'client_encoding')).toBe('UTF8');
  });

  test('bound as parameters', async () => {
    const sql = 'SELECT set_config($1, $2, false)';
    const values = ['standard_conforming_strings', 'off'];
    const frames = [parse({ text: sql }), bind({ values }), execute(), sync()];
    await direct.run(...frames);
    expect(await settingOf(direct, 'standard_conforming_strings')).toBe('off');
    expect(await client.run(...frames)).toEqual(['ParseComplete', 'BindComplete', DENIED, 'ReadyForQuery I']);
    expect(await settingOf(client, 'standard_conforming_strings')).toBe('on');
  });

  test.each(hazards.later)('%s', async (statement) => {
    const sql = statement.replace('%s', stage.database.name);
    expect(await client.query(sql)).toEqual([DENIED, 'ReadyForQuery I']);
    expect(await stage.timesRun(sql)).toBe(0);
  });

  test.each(hazards.held)('hidden, so that a person decides: %s', async (sql) => {
    client.write(query(sql));
    await stage.deny(sql);
    expect(await client.ready()).toEqual([
      expect.stringMatching(/^ErrorResponse 42501 denied by alice/),
      'ReadyForQuery I',
    ]);
    expect(await settingOf(client, 'standard_conforming_strings')).toBe('on');
  });

  test.each([
    [{ client_encoding: 'SJIS' }, '22023'],
    [{ options: '-c client_encoding=SJIS' }, '22023'],
    [{ options: '--client-encoding=BIG5' }, '22023'],
    [{ standard_conforming_strings: 'off' }, '42501'],
    [{ options: '-c standard_conforming_strings=off' }, '42501'],
    [{ options: '-cbackslash_quote=on' }, '42501'],
  ])('when connecting, by %j', async (parameters, sqlstate) => {
    await expect(stage.wire({ parameters })).rejects.toMatchObject({ fields: { C: sqlstate } });
  });
});

test.each(hazards.harmless)('harmless, and neither denied nor held: %s', async (sql) => {
  const before = await holdsSoFar();
  const answers = await client.query(sql);
  expect(answers.filter((answer) => answer.startsWith('ErrorResponse'))).toEqual([]);
  expect(await holdsSoFar()).toBe(before);
  expect(await settingOf(client, 'standard_conforming_strings')).toBe('on');
  expect(await settingOf(client, 'client_encoding')).toBe(sql.includes('UNICODE') ? 'UNICODE' : 'UTF8');
  // Nor is what comes after it.
  expect(await client.query("SELECT 'after'")).toContain('DataRow after');
});

test('backslash_quote and escape_string_warning change no reading: the server refuses or warns, and ends no string elsewhere', async () => {
  const sql = "SELECT E'\\'; DROP TABLE canary; --'";
  for (const set of ['backslash_quote = off', 'backslash_quote = on', 'escape_string_warning = off']) {
    await direct.query(`SET ${set}`);
    expect(await direct.query(sql)).not.toContain('CommandComplete DROP TABLE');
  }
  expect(await canaryOn(twin)).toBe(true);
});

describe('a default that somebody gave the role or the database', () => {
  const name = () => stage.database.name;
  const DEFAULTS = ['standard_conforming_strings = off', "client_encoding = 'SJIS'"];

  test.each(DEFAULTS)('%s: sessions begin without it, and no RESET brings it back', async (setting) => {
    await twin.superuser.query(`ALTER ROLE countersign IN DATABASE ${twin.name} SET ${setting}`);
    const attacked = await asDirect();
    const { sql } = hazards.texts.find(({ set }) => set === `SET ${setting}`) as Hazard;
    expect(await attacked.query(sql)).toContain('CommandComplete DROP TABLE');
    attacked.socket.destroy();

    await stage.look(`ALTER ROLE countersign IN DATABASE ${name()} SET ${setting}`);
    try {
      const through = await stage.wire();
      const [parameter = ''] = setting.split(' ');
      const ordinary = parameter === 'client_encoding' ? 'UTF8' : 'on';
      expect(through.parameters.get(parameter)).toBe(ordinary);
      // In one piece: the text behind the RESET is judged before the server can have said what it changed.
      for (const reset of [`RESET ${parameter}`, `SET ${parameter} TO DEFAULT`, 'RESET ALL', 'DISCARD ALL']) {
        through.write(query(reset), query(sql));
        expect(await through.ready(2)).not.toContain('CommandComplete DROP TABLE');
      }
      through.write(
        query('BEGIN'),
        query(`SET LOCAL ${parameter} = ${ordinary}`),
        query('COMMIT'),
        query(sql),
      );
      expect(await through.ready(4)).not.toContain('CommandComplete DROP TABLE');
      expect(await canaryOn(stage.database)).toBe(true);
    } finally {
      await stage.look(`ALTER ROLE countersign IN DATABASE ${name()} RESET ALL`);
      await twin.superuser.query(`ALTER ROLE countersign IN DATABASE ${twin.name} RESET ALL`);
    }
  });
});

describe('changed by a function that a person let run', () => {
  /** One text that is approved, alone. */
  const approved = async (sql: string): Promise<readonly string[]> => {
    client.write(query(sql));
    await stage.approve(sql);
    return client.ready();
  };

  test('everything holds until the server reports it back, whatever protocol and whenever prepared', async () => {
    await client.run(lines('P before SELECT 7', 'S'));
    expect(await approved('SELECT off()')).toContain('ParameterStatus standard_conforming_strings=off');
    client.write(query(OFF_TEXT));
    const hold = await stage.deny(OFF_TEXT);
    expect(hold.statement.reasons).toContainEqual(
      expect.stringContaining('the server reports standard_conforming_strings = "off"'),
    );
    await client.ready();
    client.write(lines('B - before', 'E -', 'S'));
    await stage.deny('SELECT 7');
    await client.ready();
    client.write(lines('P - SELECT 8', 'B - -', 'E -', 'S'));
    await stage.deny('SELECT 8');
    await client.ready();
    expect(await approved('SELECT "on"()')).toContain('ParameterStatus standard_conforming_strings=on');
    const before = await holdsSoFar();
    expect(await client.run(lines('B - before', 'E -', 'S'))).toContain('DataRow 7');
    expect(await client.query('SELECT 9')).toContain('DataRow 9');
    expect(await holdsSoFar()).toBe(before);
    expect(await canaryOn(stage.database)).toBe(true);
  });

  test('a text that was parsed or prepared meanwhile is never taken for what it reads like', async () => {
    const text = `SELECT '\\'', "on"() --'`;
    expect(understand(text)).toMatchObject({ known: true, statements: [{ functions: [] }] });
    await approved('SELECT off()');
    await client.run(parse({ name: 'meanwhile', text }), sync());
    const prepare = `PREPARE prepared AS ${text}`;
    await approved(prepare);
    await approved('SELECT "on"()');
    client.write(lines('B - meanwhile', 'E -', 'S'));
    await stage.deny(text);
    await client.ready();
    client.write(query('EXECUTE prepared'));
    await stage.deny('EXECUTE prepared');
    await client.ready();
  });

  test('what is sent in one piece behind it waits for what the server reports', async () => {
    client.write(query('SELECT off()'), query(OFF_TEXT), query('SELECT 1'));
    await stage.approve('SELECT off()');
    await stage.deny(OFF_TEXT);
    await stage.deny('SELECT 1');
    expect(await client.ready(3)).not.toContain('CommandComplete DROP TABLE');
    expect(await canaryOn(stage.database)).toBe(true);
  });

  test('and is not held where it has changed nothing', async () => {
    await stage.look("CREATE FUNCTION nothing() RETURNS int LANGUAGE sql AS 'SELECT 0'");
    const before = await holdsSoFar();
    client.write(query('SELECT nothing()'), query('SELECT 1'), lines('P - SELECT 2', 'B - -', 'E -', 'S'));
    await stage.approve('SELECT nothing()');
    const answers = await client.ready(3);
    expect(answers.filter((answer) => answer.startsWith('DataRow'))).toEqual([
      'DataRow 0',
      'DataRow 1',
      'DataRow 2',
    ]);
    expect(await holdsSoFar()).toBe(before + 1);
  });

  test('set and set back within one pipeline, which no report shows', async () => {
    const text = `SELECT '\\'', off() --'`;
    client.write(
      lines('P - SELECT off()', 'B - -', 'E -'),
      parse({ name: 'between', text }),
      flush(),
      lines('P - SELECT "on"()', 'B - -', 'E -', 'S'),
    );
    await stage.approve('SELECT off()');
    await stage.approve('SELECT "on"()');
    const answers = await client.ready();
    expect(answers.filter((answer) => /^(Error|ParameterStatus .*=off)/.test(answer))).toEqual([]);
    client.write(lines('B - between', 'E -', 'S'));
    await stage.deny(text);
    await client.ready();
  });
});
