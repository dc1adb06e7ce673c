// The packets before there are tags: what each one is, and everything about their layout that a server would refuse.
import fc from 'fast-check';
import { serialize } from 'pg-protocol';
import { describe, expect, it, test } from 'vitest';
import { ShortRead } from '../../src/base/bytes.ts';
import { CountersignError, type ErrorCode } from '../../src/base/errors.ts';
import { parseStartupPacket, protocolVersion, spokenMinor, startupLength } from '../../src/wire/startup.ts';

function packet(code: number, body: Uint8Array | string = ''): Buffer {
  const rest = Buffer.from(body as string);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(8 + rest.length, 0);
  head.writeUInt32BE(code, 4);
  return Buffer.concat([head, rest]);
}

function codeOf(act: () => unknown): ErrorCode | null {
  try {
    act();
  } catch (error) {
    if (error instanceof CountersignError) return error.code;
    throw error;
  }
  return null;
}

const V3 = 0x0003_0000;
const SSL = 80877103;
const GSSENC = 80877104;
const CANCEL = 80877102;

describe('startupLength', () => {
  it.each([
    ['nothing yet', Buffer.alloc(0), null],
    ['three bytes', Buffer.from([0, 0, 0]), null],
    ['8', Buffer.from([0, 0, 0, 8]), 8],
    ['10,000', Buffer.from([0, 0, 0x27, 0x10]), 10_000],
  ])('%s', (_, bytes, length) => {
    expect(startupLength(bytes)).toBe(length);
  });

  it.each([
    ['0', [0, 0, 0, 0]],
    ['7', [0, 0, 0, 7]],
    ['10,001', [0, 0, 0x27, 0x11]],
    ['a negative one', [0xff, 0xff, 0xff, 0xff]],
    ['an HTTP request', [...Buffer.from('GET ')]],
    ['a TLS handshake', [0x16, 3, 1, 2]],
  ])('refuses %s with its four bytes', (_, bytes) => {
    expect(codeOf(() => startupLength(Buffer.from(bytes)))).toBe('protocol_violation');
  });
});

test.each([
  [0, 0, 0x0003_0000],
  [1, 1, 0x0003_0001],
  [2, 2, 0x0003_0002],
  [3, 2, 0x0003_0002],
  [9999, 2, 0x0003_0002],
])('asked for 3.%i, 3.%i is spoken', (asked, spoken, version) => {
  expect(spokenMinor(asked)).toBe(spoken);
  expect(protocolVersion(spokenMinor(asked))).toBe(version);
});

describe('parseStartupPacket', () => {
  it('knows requests for encryption', () => {
    expect(parseStartupPacket(serialize.requestSsl())).toEqual({ kind: 'ssl' });
    expect(parseStartupPacket(packet(GSSENC))).toEqual({ kind: 'gssenc' });
  });

  it('knows a CancelRequest, its key of 4 bytes or up to 256', () => {
    expect(parseStartupPacket(serialize.cancel(77, 0x01020304))).toEqual({
      kind: 'cancel',
      processId: 77,
      secretKey: Buffer.from([1, 2, 3, 4]),
    });
    const key = Buffer.alloc(256, 9);
    const long = parseStartupPacket(packet(CANCEL, Buffer.concat([Buffer.from([0, 0, 0, 1]), key])));
    expect(long).toEqual({ kind: 'cancel', processId: 1, secretKey: key });
  });

  it.each([
    ['nothing at all', 0],
    ['no key', 4],
    ['3 bytes of key', 7],
    ['257 bytes of key', 261],
    ['9,000 bytes of key', 9_004],
  ])('a CancelRequest with %s is for nobody, and no error', (_, length) => {
    expect(parseStartupPacket(packet(CANCEL, Buffer.alloc(length)))).toEqual({ kind: 'malformed cancel' });
  });

  it('reads parameters', () => {
    const found = parseStartupPacket(serialize.startup({ user: 'bot', database: 'shop', options: '' }));
    expect(found.kind).toBe('startup');
    if (found.kind !== 'startup') return;
    expect(found.minor).toBe(0);
    expect(found.parameters.get('user')).toBe('bot');
    expect(found.parameters.get('database')).toBe('shop');
    expect(found.parameters.get('options')).toBe('');
  });

  it.each([
    ['3.0', V3, 0],
    ['3.2', 0x0003_0002, 2],
    ['3.9999', 0x0003_270f, 9999],
  ])('says which minor version of %s is asked for', (_, version, minor) => {
    expect(parseStartupPacket(packet(version, 'user\0bot\0\0'))).toMatchObject({ minor });
  });

  it.each<[string, Buffer, ErrorCode]>([
    ['an SSLRequest with bytes behind it', packet(SSL, 'x'), 'protocol_violation'],
    ['a GSSENCRequest with bytes behind it', packet(GSSENC, 'x'), 'protocol_violation'],
    ['protocol 2', packet(0x0002_0000, Buffer.alloc(288)), 'feature_not_supported'],
    ['protocol 4', packet(0x0004_0000, 'user\0bot\0\0'), 'feature_not_supported'],
    ['a special code that does not exist', packet(80877105), 'feature_not_supported'],
    ['no terminator', packet(V3, 'user\0bot\0'), 'protocol_violation'],
    ['no parameters and no terminator', packet(V3), 'protocol_violation'],
    ['a name without a value', packet(V3, 'user\0'), 'protocol_violation'],
    ['a name that never ends', packet(V3, 'user'), 'protocol_violation'],
    ['a value that never ends', packet(V3, 'user\0bot'), 'protocol_violation'],
    ['bytes behind the terminator', packet(V3, 'user\0bot\0\0x'), 'protocol_violation'],
    ['parameters behind the terminator', packet(V3, 'user\0bot\0\0user\0root\0\0'), 'protocol_violation'],
    ['a parameter twice', packet(V3, 'user\0bot\0user\0root\0\0'), 'protocol_violation'],
    ['a value that is not UTF-8', packet(V3, Buffer.from('user\0\xff\0\0', 'latin1')), 'invalid_parameter'],
    ['a name that is not UTF-8', packet(V3, Buffer.from('us\xe9r\0bot\0\0', 'latin1')), 'invalid_parameter'],
  ])('refuses %s', (_, bytes, code) => {
    expect(codeOf(() => parseStartupPacket(bytes))).toBe(code);
  });

  it('throws nothing but CountersignError and ShortRead on whatever comes', () => {
    const codes = fc.constantFrom(V3, SSL, GSSENC, CANCEL, 0x0003_0002);
    const packets = fc.oneof(
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
      fc.tuple(codes, fc.uint8Array({ maxLength: 300 })).map(([code, body]) => packet(code, body)),
    );
    fc.assert(
      fc.property(packets, (bytes) => {
        try {
          parseStartupPacket(bytes);
        } catch (error) {
          expect(error instanceof CountersignError || error instanceof ShortRead).toBe(true);
        }
      }),
    );
  });
});
