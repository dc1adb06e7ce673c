// Reading untrusted bytes: what is there or ShortRead, never past the end; and strings that cannot be shifted.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Cursor, cstring, decodeUtf8, int32, ShortRead } from '../../src/base/bytes.ts';

describe('Cursor', () => {
  it('reads big-endian integers, signed and not', () => {
    const cursor = new Cursor(Buffer.from('ffff8000fffffffe80000001ffff7f', 'hex'));
    expect(cursor.readUint16()).toBe(0xffff);
    expect(cursor.readInt16()).toBe(-0x8000);
    expect(cursor.readInt32()).toBe(-2);
    expect(cursor.readUint32()).toBe(0x80000001);
    expect(cursor.readUint8()).toBe(0xff);
    expect(cursor.remaining).toBe(2);
    expect(cursor.readUint16()).toBe(0xff7f);
    expect(cursor.remaining).toBe(0);
  });

  it('starts where it is told', () => {
    expect(new Cursor(Buffer.from([1, 2, 3]), 2).readUint8()).toBe(3);
  });

  it.each<[string, (cursor: Cursor) => unknown]>([
    ['readUint8', (cursor) => cursor.readUint8()],
    ['readInt16', (cursor) => cursor.readInt16()],
    ['readUint16', (cursor) => cursor.readUint16()],
    ['readInt32', (cursor) => cursor.readInt32()],
    ['readUint32', (cursor) => cursor.readUint32()],
    ['readBytes', (cursor) => cursor.readBytes(1)],
    ['readBytes of a negative length', (cursor) => cursor.readBytes(-1)],
    ['readBytes of a huge length', (cursor) => cursor.readBytes(0x7fffffff)],
    ['readCStringBytes', (cursor) => cursor.readCStringBytes()],
  ])('%s of nothing is a ShortRead and moves nothing', (_, read) => {
    const cursor = new Cursor(Buffer.from([7]), 1);
    expect(() => read(cursor)).toThrow(ShortRead);
    expect(cursor.remaining).toBe(0);
  });

  it('reads a string up to its NUL, and the next one after it', () => {
    const cursor = new Cursor(Buffer.from('ab\0\0c\0d'));
    expect(cursor.readCStringBytes().toString()).toBe('ab');
    expect(cursor.readCStringBytes().toString()).toBe('');
    expect(cursor.readCStringBytes().toString()).toBe('c');
    expect(() => cursor.readCStringBytes()).toThrow(ShortRead);
    expect(cursor.remaining).toBe(1);
  });

  it('gives views, so that reading costs no copy', () => {
    const bytes = Buffer.from('abc\0');
    const cursor = new Cursor(bytes);
    const read = cursor.readBytes(2);
    bytes[0] = 0x7a;
    expect(read.toString()).toBe('zb');
  });

  it('reads whatever was written', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
        fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0')),
        (number, text) => {
          const cursor = new Cursor(Buffer.concat([int32(number), cstring(text)]));
          expect(cursor.readInt32()).toBe(number);
          expect(cursor.readCStringBytes().toString('utf8')).toBe(text);
          expect(cursor.remaining).toBe(0);
        },
      ),
    );
  });
});

describe('cstring', () => {
  it('refuses a NUL, which would end it early', () => {
    expect(() => cstring('a\0b')).toThrow(RangeError);
  });
});

describe('decodeUtf8', () => {
  it.each([
    ['an overlong slash', 'c0af'],
    ['a surrogate', 'eda080'],
    ['a lone continuation', '80'],
    ['a cut sequence', 'e282'],
    ['beyond U+10FFFF', 'f4908080'],
  ])('is null for %s', (_, hex) => {
    expect(decodeUtf8(Buffer.from(hex, 'hex'))).toBeNull();
  });

  it('keeps a byte order mark, which the server would see too', () => {
    expect(decodeUtf8(Buffer.from('efbbbf41', 'hex'))).toBe('\ufeffA');
  });
});
