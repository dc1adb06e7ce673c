// What a StartupMessage asks for, in every spelling that the server would understand.
import { describe, expect, it } from 'vitest';
import { CountersignError, type ErrorCode } from '../../src/base/errors.ts';
import { readStartup, type StartupRequest } from '../../src/gate/startup-settings.ts';

function read(parameters: Record<string, string>): StartupRequest {
  return readStartup(new Map(Object.entries({ user: 'bot', ...parameters })));
}

const settings = (parameters: Record<string, string>): Record<string, string> =>
  Object.fromEntries(read(parameters).settings);

function codeOf(act: () => unknown): ErrorCode | null {
  try {
    act();
  } catch (error) {
    if (error instanceof CountersignError) return error.code;
    throw error;
  }
  return null;
}

describe('options', () => {
  it.each<[string, Record<string, string>]>([
    ['-c a=b', { a: 'b' }],
    ['-ca=b', { a: 'b' }],
    ['--a=b', { a: 'b' }],
    ['  -c\ta=b\n --c=d ', { a: 'b', c: 'd' }],
    ['--search-path=x', { search_path: 'x' }],
    ['-c search-path=x-y', { search_path: 'x-y' }],
    ['-c Search_Path=X', { search_path: 'X' }],
    ['-c a=b=c', { a: 'b=c' }],
    ['-c a=', { a: '' }],
    ['-c a=b\\ c', { a: 'b c' }],
    ['-c a=\\\\', { a: '\\' }],
    ['-c\\ a=b', { ' a': 'b' }],
    ['\\-\\c a=b', { a: 'b' }],
    ['-c a=1 --a=2', { a: '2' }],
    ['', {}],
    ['  ', {}],
  ])('%j', (options, wanted) => {
    expect(settings({ options })).toEqual(wanted);
  });

  it.each([
    '-c',
    '-c a',
    '-ca',
    '--a',
    '--',
    '-- a=b',
    '--=b',
    '-c =b',
    'a=b',
    '-',
    '-B 10',
    '-O',
    '-f s',
    '-e',
    '-W 9',
    '-Sa=b',
    '\\',
    '-c a=b rest',
  ])('refuses %j', (options) => {
    expect(codeOf(() => read({ options }))).toBe('invalid_parameter');
  });

  it('loses to a parameter of its own, however it is spelled', () => {
    expect(settings({ options: '-c search_path=a -c x=1', Search_Path: 'b' })).toEqual({
      search_path: 'b',
      x: '1',
    });
  });
});

describe('what stays here', () => {
  it('countersign.* from options and parameters', () => {
    const found = read({
      options: '-c countersign.purpose=monthly\\ report --countersign.max-wait=3s',
      a: 'b',
    });
    expect(found).toMatchObject({ purpose: 'monthly report', maxWaitMs: 3_000 });
    expect(Object.fromEntries(found.settings)).toEqual({ a: 'b' });
  });

  it.each(['Countersign.x', 'countersign.purpos', 'countersign.', 'countersign.max_wait_ms'])(
    '%s is misspelt, and whoever misspells should hear of it',
    (name) => {
      expect(codeOf(() => read({ [name]: '1' }))).toBe('invalid_parameter');
    },
  );

  it('a purpose is one of 500 characters at most, and empty when none is claimed', () => {
    expect(read({ 'countersign.purpose': 'x'.repeat(900) }).purpose).toBe('x'.repeat(500));
    expect(read({}).purpose).toBe('');
  });

  it('options of the protocol, by name', () => {
    const found = read({ '_pq_.compression': 'on', a: 'b' });
    expect(found.unknownOptions).toEqual(['_pq_.compression']);
    expect([...found.settings.keys()]).toEqual(['a']);
  });

  it('user and database', () => {
    expect(read({ database: 'shop' })).toMatchObject({ user: 'bot', database: 'shop' });
    expect(read({})).toMatchObject({ user: 'bot', database: 'bot' });
    expect(read({ database: '' }).database).toBe('bot');
    expect(settings({ database: 'shop' })).toEqual({});
  });

  it('but application_name goes on too', () => {
    const found = read({ application_name: 'psql' });
    expect(found.applicationName).toBe('psql');
    expect(found.settings.get('application_name')).toBe('psql');
    expect(read({}).applicationName).toBe('');
  });
});

describe('countersign.max_wait', () => {
  it.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['5m', 300_000],
    ['5min', 300_000],
    ['1h', 3_600_000],
    ['2 min', 120_000],
    [' 1500 ', 1_500],
    ['1500', 1_500],
    ['24d', 2_073_600_000],
    ['0', null],
    ['0s', null],
  ])('%j', (text, ms) => {
    expect(read({ 'countersign.max_wait': text }).maxWaitMs).toBe(ms);
  });

  it('is as long as the configuration allows where none is claimed', () => {
    expect(read({}).maxWaitMs).toBeNull();
  });

  it.each(['', ' ', 's', '-1', '1.5s', '30S', '30sec', '0x', '1m30s', '2073600001', '25d', 'forever'])(
    'refuses %j',
    (text) => {
      expect(codeOf(() => read({ 'countersign.max_wait': text }))).toBe('invalid_parameter');
    },
  );
});

describe('client_encoding', () => {
  it.each(['UTF8', 'utf8', 'UTF-8', 'utf_8', 'Unicode', "'utf-8'"])(
    '%s is UTF-8 and goes no further',
    (encoding) => {
      expect(settings({ client_encoding: encoding })).toEqual({});
      expect(settings({ options: `-c client-encoding=${encoding}` })).toEqual({});
    },
  );

  it.each(['LATIN1', 'SQL_ASCII', 'auto', '', 'UTF16', 'utf88', 'SJIS'])('%j is refused', (encoding) => {
    expect(codeOf(() => read({ client_encoding: encoding }))).toBe('invalid_parameter');
    expect(codeOf(() => read({ options: `-c CLIENT_ENCODING=${encoding}` }))).toBe('invalid_parameter');
  });

  it('the one that counts is the parameter of its own', () => {
    expect(codeOf(() => read({ client_encoding: 'UTF8', options: '-c client_encoding=LATIN1' }))).toBeNull();
    expect(codeOf(() => read({ client_encoding: 'LATIN1', options: '-c client_encoding=UTF8' }))).toBe(
      'invalid_parameter',
    );
  });
});

describe('refused', () => {
  it.each(['true', 'on', '1', 'yes', 'database', 'DATABASE', 't', '', 'maybe', 'no way'])(
    'replication=%s',
    (replication) => {
      expect(codeOf(() => read({ replication }))).toBe('denied');
    },
  );

  it.each(['false', 'off', '0', 'no', 'n', 'f', 'OFF', 'of', 'fals'])(
    'not replication=%s, which asks for none',
    (replication) => {
      expect(settings({ replication })).toEqual({});
    },
  );

  it('nobody', () => {
    expect(codeOf(() => readStartup(new Map()))).toBe('authorization');
    expect(codeOf(() => read({ user: '' }))).toBe('authorization');
  });
});
