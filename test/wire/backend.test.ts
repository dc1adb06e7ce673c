// The server messages that we make, read back by pg-protocol; and the few of the server's that we look into.
import fc from 'fast-check';
import type { BackendMessage } from 'pg-protocol/dist/messages.js';
import { Parser } from 'pg-protocol/dist/parser.js';
import { describe, expect, it } from 'vitest';
import { CountersignError } from '../../src/base/errors.ts';
import {
  BACKEND,
  encodeAuthenticationCleartextPassword,
  encodeAuthenticationOk,
  encodeAuthenticationSasl,
  encodeAuthenticationSaslContinue,
  encodeAuthenticationSaslFinal,
  encodeBackendKeyData,
  encodeError,
  encodeErrorFields,
  encodeNegotiateProtocolVersion,
  encodeNotice,
  encodeParameterStatus,
  encodeReadyForQuery,
  parseCommandTag,
  parseErrorFields,
  parseParameterStatus,
  parseReadyForQuery,
} from '../../src/wire/backend.ts';

function readBack(...frames: readonly Buffer[]): BackendMessage[] {
  const messages: BackendMessage[] = [];
  new Parser().parse(Buffer.concat(frames), (message) => messages.push(message));
  return messages;
}

describe('encoders', () => {
  it('authentication', () => {
    const messages = readBack(
      encodeAuthenticationOk(),
      encodeAuthenticationCleartextPassword(),
      encodeAuthenticationSasl(['SCRAM-SHA-256', 'SCRAM-SHA-256-PLUS']),
      encodeAuthenticationSaslContinue('r=é'),
      encodeAuthenticationSaslFinal('v=x'),
    );
    expect(messages).toMatchObject([
      { name: 'authenticationOk', length: 8 },
      { name: 'authenticationCleartextPassword' },
      { name: 'authenticationSASL', mechanisms: ['SCRAM-SHA-256', 'SCRAM-SHA-256-PLUS'] },
      { name: 'authenticationSASLContinue', data: 'r=é' },
      { name: 'authenticationSASLFinal', data: 'v=x' },
    ]);
  });

  it('the end of a start-up', () => {
    const messages = readBack(
      encodeParameterStatus('client_encoding', 'UTF8'),
      encodeBackendKeyData(77, Buffer.from([1, 2, 3, 4])),
      ...(['I', 'T', 'E'] as const).map(encodeReadyForQuery),
    );
    expect(messages).toMatchObject([
      { name: 'parameterStatus', parameterName: 'client_encoding', parameterValue: 'UTF8' },
      { name: 'backendKeyData', processID: 77, secretKey: 0x01020304 },
      { name: 'readyForQuery', status: 'I' },
      { name: 'readyForQuery', status: 'T' },
      { name: 'readyForQuery', status: 'E' },
    ]);
  });

  it('NegotiateProtocolVersion', () => {
    expect(encodeNegotiateProtocolVersion(0x00030000, ['_pq_.a', '_pq_.b']).toString('latin1')).toBe(
      'v\0\0\0\x1a\0\x03\0\0\0\0\0\x02_pq_.a\0_pq_.b\0',
    );
  });

  it('an error of ours, with and without particulars', () => {
    const full = new CountersignError('denied', 'no', { detail: '{"a":1}', hint: 'ask' });
    expect(
      readBack(encodeError(full, 'ERROR'), encodeError(new CountersignError('expired', 'late'), 'FATAL')),
    ).toMatchObject([
      { name: 'error', severity: 'ERROR', code: '42501', message: 'no', detail: '{"a":1}', hint: 'ask' },
      {
        name: 'error',
        severity: 'FATAL',
        code: 'ZC002',
        message: 'late',
        detail: undefined,
        hint: undefined,
      },
    ]);
    expect(parseErrorFields(encodeError(full, 'ERROR'))['V']).toBe('ERROR');
  });

  it('a notice', () => {
    expect(readBack(encodeNotice('held', 'detail', 'hint'))).toMatchObject([
      { name: 'notice', message: 'held', detail: 'detail', hint: 'hint' },
    ]);
  });

  it.each([
    ['NUL, which would end the field', '\0'],
    ['escape', '\x1b'],
    ['carriage return', '\r'],
    ['backspace', '\b'],
    ['delete', '\x7f'],
    ['a C1 control', '\x9b'],
    ['right-to-left override', '\u202e'],
    ['left-to-right embedding', '\u202a'],
    ['isolates', '\u2066\u2069'],
  ])('%s does not reach a terminal', (_, evil) => {
    const fields = { S: 'ERROR', M: `a${evil}b`, D: `${evil}`, H: `x${evil}` };
    const found = parseErrorFields(encodeErrorFields(BACKEND.ErrorResponse, fields));
    const blank = ' '.repeat(evil.length);
    expect(found).toEqual({ S: 'ERROR', M: `a${blank}b`, D: blank, H: `x${blank}` });
  });

  it('leaves lines, tabs and every script as they are', () => {
    const text = 'a\n\tb é 名前 🐘 שלום';
    expect(parseErrorFields(encodeErrorFields(BACKEND.NoticeResponse, { M: text }))).toEqual({ M: text });
  });

  it('cannot be made to write a NUL into a name', () => {
    expect(() => encodeParameterStatus('a\0b', '')).toThrow(RangeError);
  });
});

describe('readers', () => {
  const complete = (tag: string): Buffer => {
    const body = Buffer.from(`${tag}\0`);
    const head = Buffer.from('C....');
    head.writeInt32BE(4 + body.length, 1);
    return Buffer.concat([head, body]);
  };

  it.each([
    ['INSERT 0 5', 'INSERT', 5],
    ['INSERT 0 0', 'INSERT', 0],
    ['SELECT 10', 'SELECT', 10],
    ['UPDATE 12345678901', 'UPDATE', 12345678901],
    ['COPY 7', 'COPY', 7],
    ['MOVE 3', 'MOVE', 3],
    ['FETCH 0', 'FETCH', 0],
    ['MERGE 2', 'MERGE', 2],
    ['DROP TABLE', 'DROP TABLE', null],
    ['CREATE TABLE AS', 'CREATE TABLE AS', null],
    ['ALTER DEFAULT PRIVILEGES', 'ALTER DEFAULT PRIVILEGES', null],
    ['COPY', 'COPY', null],
    ['', '', null],
  ])('command tag %s', (text, tag, rows) => {
    expect(parseCommandTag(complete(text))).toEqual({ tag, rows });
  });

  it.each(['I', 'T', 'E'] as const)('ReadyForQuery %s', (status) => {
    expect(parseReadyForQuery(encodeReadyForQuery(status))).toBe(status);
  });

  it('ParameterStatus', () => {
    expect(parseParameterStatus(encodeParameterStatus('TimeZone', 'Europe/Zürich'))).toEqual({
      name: 'TimeZone',
      value: 'Europe/Zürich',
    });
  });

  it('fields of any letter', () => {
    expect(
      parseErrorFields(encodeErrorFields(BACKEND.ErrorResponse, { C: '42P01', M: '', z: 'new' })),
    ).toEqual({
      C: '42P01',
      M: '',
      z: 'new',
    });
  });

  it.each([
    ['ErrorResponse', parseErrorFields],
    ['ReadyForQuery', parseReadyForQuery],
    ['ParameterStatus', parseParameterStatus],
    ['CommandComplete', parseCommandTag],
  ])('%s throws nothing but CountersignError, whatever comes', (_, parse) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (body) => {
        const frame = Buffer.concat([Buffer.from('?....'), body]);
        try {
          parse(frame);
        } catch (error) {
          expect(error).toBeInstanceOf(CountersignError);
        }
      }),
    );
  });
});
