// What clients send, read to the last byte: as pg-protocol writes it, and everything that two readers might read differently.
import fc from 'fast-check';
import { serialize } from 'pg-protocol';
import { describe, expect, it } from 'vitest';
import { CountersignError } from '../../src/base/errors.ts';
import {
  nameKey,
  parseBind,
  parseEmpty,
  parseExecute,
  parseFunctionCall,
  parseParse,
  parseQuery,
  parseTarget,
} from '../../src/wire/frontend.ts';

function frame(tag: string, ...parts: readonly (string | Buffer)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part as string)));
  const head = Buffer.from(`${tag}....`);
  head.writeInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}

function int16(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(2 * values.length);
  values.forEach((value, i) => void bytes.writeUInt16BE(value, 2 * i));
  return bytes;
}

function int32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, i) => void bytes.writeUInt32BE(value >>> 0, 4 * i));
  return bytes;
}

const violation = expect.objectContaining({ code: 'protocol_violation' });
const text = (value: string) => Buffer.from(value);

describe('good messages', () => {
  it('Query', () => {
    expect(parseQuery(serialize.query('SELECT é')).toString()).toBe('SELECT é');
    expect(parseQuery(serialize.query('')).toString()).toBe('');
  });

  it('Parse', () => {
    expect(parseParse(serialize.parse({ name: 's', text: 'SELECT $1', types: [23, 4294967295] }))).toEqual({
      name: 's',
      sql: text('SELECT $1'),
      parameterTypes: [23, 4294967295],
    });
    expect(parseParse(serialize.parse({ text: '' }))).toEqual({
      name: '',
      sql: text(''),
      parameterTypes: [],
    });
  });

  it('Bind, text and binary and NULL, whatever formats the results are to have', () => {
    const values = ['a', Buffer.from([0, 255]), null, ''];
    for (const binary of [false, true]) {
      expect(parseBind(serialize.bind({ portal: 'p', statement: 's', values, binary }))).toEqual({
        portal: 'p',
        statement: 's',
        formats: [0, 1, 0, 0],
        values: [text('a'), Buffer.from([0, 255]), null, text('')],
      });
    }
  });

  it.each([
    ['none: all are text', [], [0, 0]],
    ['one: it stands for all', [1], [1, 1]],
    ['one each', [1, 0], [1, 0]],
  ])('Bind with formats, %s', (_, given, expanded) => {
    const values = Buffer.concat([int16(2), int32(1), text('a'), int32(-1)]);
    const bind = frame('B', '\0', '\0', int16(given.length, ...given), values, int16(0));
    expect(parseBind(bind)).toMatchObject({ formats: expanded, values: [text('a'), null] });
  });

  it('Execute, Describe, Close', () => {
    expect(parseExecute(serialize.execute({ portal: 'p', rows: 7 }))).toEqual({ portal: 'p', maxRows: 7 });
    expect(parseTarget(serialize.describe({ type: 'S', name: 's' }))).toEqual({
      kind: 'statement',
      name: 's',
    });
    expect(parseTarget(serialize.close({ type: 'P', name: 'p' }))).toEqual({ kind: 'portal', name: 'p' });
  });

  it('FunctionCall', () => {
    const call = frame('F', int32(177), int16(1, 1, 2), int32(4), int32(5), int32(-1), int16(1));
    expect(parseFunctionCall(call)).toEqual({ oid: 177, formats: [1, 1], values: [int32(5), null] });
  });

  it('those that carry nothing', () => {
    for (const empty of [serialize.sync(), serialize.flush(), serialize.end(), serialize.copyDone()]) {
      expect(parseEmpty(empty)).toBeNull();
    }
  });

  it('counts of 65535 are not negative', () => {
    const many = 65_535;
    const types = parseParse(frame('P', '\0', '\0', int16(many), Buffer.alloc(4 * many, 1)));
    expect(types.parameterTypes).toHaveLength(many);
    const nulls = Buffer.alloc(4 * many, 0xff);
    const bind = frame('B', '\0\0', int16(many), Buffer.alloc(2 * many), int16(many), nulls, int16(many));
    const bound = parseBind(Buffer.concat([bind, Buffer.alloc(2 * many)]));
    expect(bound.values).toHaveLength(many);
    expect(bound.formats).toHaveLength(many);
  });
});

describe('refused', () => {
  const whole: readonly [string, (bytes: Buffer) => unknown, Buffer][] = [
    ['Query', parseQuery, serialize.query('SELECT 1')],
    ['Parse', parseParse, serialize.parse({ name: 's', text: 'SELECT $1', types: [23] })],
    ['Bind', parseBind, serialize.bind({ statement: 's', values: ['a', null], binary: true })],
    ['Execute', parseExecute, serialize.execute({ portal: 'p', rows: 1 })],
    ['Describe', parseTarget, serialize.describe({ type: 'S', name: 's' })],
    ['FunctionCall', parseFunctionCall, frame('F', int32(1), int16(0, 1), int32(1), 'x', int16(0))],
    ['Sync', parseEmpty, serialize.sync()],
  ];

  it.each(whole)('%s with bytes after its end', (_, parse, bytes) => {
    expect(() => parse(bytes)).not.toThrow();
    for (const more of ['\0', 'DROP TABLE x\0']) {
      expect(() => parse(Buffer.concat([bytes, Buffer.from(more)]))).toThrow(violation);
    }
  });

  it.each(whole.filter(([name]) => name !== 'Sync'))('%s cut anywhere', (_, parse, bytes) => {
    for (let length = 5; length < bytes.length; length++) {
      expect(() => parse(bytes.subarray(0, length)), `${length} bytes`).toThrow(violation);
    }
  });

  it('a NUL within SQL: what stands behind it would be read by one of two readers only', () => {
    expect(() => parseQuery(frame('Q', 'SELECT 1\0; DROP TABLE x\0'))).toThrow(violation);
    expect(() => parseQuery(frame('Q', 'SELECT 1\0\0'))).toThrow(violation);
    expect(() => parseParse(frame('P', 's\0SELECT 1\0 DROP\0', int16(0)))).toThrow(violation);
  });

  it('SQL that does not end', () => {
    expect(() => parseQuery(frame('Q', 'SELECT 1'))).toThrow(violation);
    expect(() => parseQuery(frame('Q'))).toThrow(violation);
  });

  it.each([
    ['two formats for one value', int16(2, 0, 0), Buffer.concat([int16(1), int32(1), text('a')])],
    ['two formats for three values', int16(2, 0, 0), Buffer.concat([int16(3), int32(-1, -1, -1)])],
    ['two formats for no value', int16(2, 0, 0), int16(0)],
    ['a format that does not exist', int16(1, 2), Buffer.concat([int16(1), int32(-1)])],
    ['a length of -2', int16(0), Buffer.concat([int16(1), int32(-2)])],
    ['the least length', int16(0), Buffer.concat([int16(1), int32(-0x80000000)])],
    ['a length beyond the message', int16(0), Buffer.concat([int16(1), int32(3), text('a')])],
    ['more values than there are', int16(0), Buffer.concat([int16(65_535), int32(-1)])],
  ])('values with %s', (_, formats, values) => {
    expect(() => parseBind(frame('B', '\0\0', formats, values, int16(0)))).toThrow(violation);
    expect(() => parseFunctionCall(frame('F', int32(1), formats, values, int16(0)))).toThrow(violation);
  });

  it('a result format that does not exist', () => {
    expect(() => parseBind(frame('B', '\0\0', int16(0, 0, 1, 2)))).toThrow(violation);
  });

  it('Describe and Close of anything but a statement or a portal', () => {
    expect(() => parseTarget(frame('D', 'Xname\0'))).toThrow(violation);
    expect(() => parseTarget(frame('C', 'sname\0'))).toThrow(violation);
  });

  it('nothing is thrown but CountersignError, whatever comes', () => {
    const parsers = [
      parseQuery,
      parseParse,
      parseBind,
      parseExecute,
      parseTarget,
      parseFunctionCall,
      parseEmpty,
    ];
    fc.assert(
      fc.property(fc.constantFrom(...parsers), fc.uint8Array({ maxLength: 60 }), (parse, body) => {
        try {
          parse(frame('?', Buffer.from(body)));
        } catch (error) {
          expect(error).toBeInstanceOf(CountersignError);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('nameKey', () => {
  const x63 = 'x'.repeat(63);

  it('is one for names that are equal in the 63 bytes that the server compares', () => {
    expect(nameKey(`${x63}a`)).toBe(nameKey(`${x63}b`));
    expect(nameKey(x63)).toBe(nameKey(`${x63}b`));
    expect(nameKey(`${x63.slice(1)}a`)).not.toBe(nameKey(`${x63.slice(1)}b`));
  });

  it('refuses long names that are not ASCII: a database in another encoding would cut them elsewhere', () => {
    expect(() => nameKey(`${'é'.repeat(32)}a`)).toThrow(
      expect.objectContaining({ code: 'feature_not_supported' }),
    );
    expect(() => nameKey('é'.repeat(16))).toThrow(CountersignError);
    expect(nameKey(`${'é'.repeat(15)}a`)).not.toBe(nameKey(`${'é'.repeat(15)}b`));
    expect(nameKey('é')).not.toBe(nameKey('è'));
  });

  it('is the same for a name in SQL and on the wire', () => {
    for (const name of ['s', 'Größe', '名前', '🐘', x63]) {
      expect(parseExecute(serialize.execute({ portal: name })).portal).toBe(nameKey(name));
      expect(nameKey(Buffer.from(name))).toBe(nameKey(name));
    }
  });

  it('tells names apart that are not UTF-8', () => {
    expect(nameKey(Buffer.from([0xff]))).not.toBe(nameKey(Buffer.from([0xfe])));
  });
});
