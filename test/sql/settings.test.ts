// What setting a parameter means, by every way there is to set one.
import { beforeAll, expect, test } from 'vitest';
import type { Facts } from '../../src/sql/facts.ts';
import { settingFacts } from '../../src/sql/settings.ts';
import { loadParser, understand } from '../../src/sql/understand.ts';

beforeAll(loadParser);

function factsOf(sql: string): Facts {
  const understanding = understand(sql);
  const facts = understanding.known ? understanding.statements[0] : undefined;
  if (facts === undefined) throw new Error(`not understood: ${sql}`);
  return facts;
}

test.each([
  ['client_encoding', 'UTF8', false],
  ['client_encoding', 'utf-8', false],
  ['client_encoding', 'Unicode', false],
  ['client_encoding', 'UTF_8', false],
  ['client_encoding', 'SJIS', true],
  ['client_encoding', 'UTF16', true],
  ['client_encoding', '', true],
  ['CLIENT_ENCODING', 'latin1', true],
  ['standard_conforming_strings', 'on', false],
  ['standard_conforming_strings', 'T', false],
  ['standard_conforming_strings', 'yes', false],
  ['standard_conforming_strings', '1', false],
  ['standard_conforming_strings', 'o', true],
  ['standard_conforming_strings', 'off', true],
  ['standard_conforming_strings', 'false', true],
  ['backslash_quote', 'safe_encoding', false],
  ['backslash_quote', 'on', true],
  ['escape_string_warning', 'off', false],
  ['application_name', 'x', false],
])('%s = %s changes lexing: %s', (name, value, lexing) => {
  expect(settingFacts(name, value).lexing).toBe(lexing);
  expect(factsOf(`SET ${name} = '${value}'`).lexing).toBe(lexing);
  expect(factsOf(`SELECT set_config('${name}', '${value}', false)`).lexing).toBe(lexing);
  expect(factsOf(`ALTER ROLE x SET ${name} = '${value}'`).lexing).toBe(lexing);
});

test.each([
  ['role', 'privilege'],
  ['SESSION_AUTHORIZATION', 'privilege'],
  ['session_replication_role', 'admin'],
  ['local_preload_libraries', 'admin'],
  ['log_statement', 'admin'],
  ['pgaudit.role', 'admin'],
  ['archive_command', 'admin'],
])('%s is %s', (name, expected) => {
  expect(settingFacts(name, 'x').classes).toEqual(['session', expected]);
});

test.each(['search_path', 'work_mem', 'TimeZone', 'my.own', 'default_transaction_read_only', 'toString'])(
  '%s is the session’s own',
  (name) => {
    expect(settingFacts(name, 'x').classes).toEqual(['session']);
  },
);

test('going back to the beginning is harmless', () => {
  for (const sql of ['RESET ALL', 'DISCARD ALL', 'RESET client_encoding', 'SET client_encoding TO DEFAULT']) {
    const facts = factsOf(sql);
    expect([sql, facts.lexing, facts.classes]).toEqual([sql, false, ['session']]);
    expect(facts.settings[0]?.how).toBe('reset');
  }
});

test('a name that is not a constant may be any', () => {
  for (const name of ['$1', "'a' || 'b'", 'lower(x)', "'role'::varchar(2)", "'role'::name", 'NULL']) {
    const facts = factsOf(`SELECT set_config(${name}, 'x', false)`);
    expect([name, facts.lexing, facts.settings]).toEqual([
      name,
      true,
      [{ name: '*', value: null, how: 'set_config', dynamic: true }],
    ]);
  }
});

test('a value that is not a constant is told', () => {
  expect(factsOf("SELECT set_config('my.own', $1, true)").settings).toEqual([
    { name: 'my.own', value: null, how: 'set_config', dynamic: true },
  ]);
  expect(factsOf("SELECT set_config('client_encoding', $1, true)").lexing).toBe(true);
  expect(factsOf("SELECT set_config('application_name'::text, 'x', true)").settings[0]?.name).toBe(
    'application_name',
  );
});

test('lists, SET NAMES and SET TRANSACTION', () => {
  expect(factsOf('SET search_path = a, b').settings[0]?.value).toBe('a, b');
  expect(factsOf("SET NAMES 'x'").settings[0]?.name).toBe('client_encoding');
  expect(factsOf('SET TRANSACTION READ ONLY').settings[0]?.name).toBe('transaction_read_only');
  expect(factsOf('CREATE FUNCTION f() RETURNS int SET role = x AS $$$$ LANGUAGE sql').classes).toContain(
    'privilege',
  );
});
