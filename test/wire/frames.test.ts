// Whole frames, however the network cut them; and lengths refused before anything is kept for them.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CountersignError } from '../../src/base/errors.ts';
import { type Frame, FrameReader } from '../../src/wire/frames.ts';

const LIMIT = 1 << 20;

function frame(tag: number, body: Uint8Array): Buffer {
  const bytes = Buffer.alloc(5 + body.length);
  bytes[0] = tag;
  bytes.writeInt32BE(4 + body.length, 1);
  bytes.set(body, 5);
  return bytes;
}

function cut(stream: Buffer, at: readonly number[]): Buffer[] {
  const points = [...new Set([0, ...at.map((point) => point % (stream.length + 1)), stream.length])];
  points.sort((a, b) => a - b);
  return points.slice(1).map((end, i) => stream.subarray(points[i], end));
}

function readAll(reader: FrameReader, chunks: readonly Buffer[]): Frame[] {
  const frames: Frame[] = [];
  for (const chunk of chunks) {
    reader.push(chunk);
    for (let next = reader.next(); next !== null; next = reader.next()) frames.push(next);
  }
  return frames;
}

function header(length: number): Buffer {
  const bytes = Buffer.from('Q....');
  bytes.writeInt32BE(length, 1);
  return bytes;
}

const frames = fc.array(
  fc.record({ tag: fc.integer({ min: 0, max: 255 }), body: fc.uint8Array({ maxLength: 40 }) }),
  { maxLength: 12 },
);

describe('FrameReader', () => {
  it('gives the same frames and the same bytes for every cutting', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat()), (given, at) => {
        const sent = given.map(({ tag, body }) => frame(tag, body));
        const reader = new FrameReader(LIMIT);
        const read = readAll(reader, cut(Buffer.concat(sent), at));
        expect(read.map(({ tag }) => tag)).toEqual(given.map(({ tag }) => tag));
        expect(read.map(({ bytes }) => bytes.toString('hex'))).toEqual(
          sent.map((bytes) => bytes.toString('hex')),
        );
        expect(reader.buffered).toBe(0);
      }),
    );
  });

  it('gives the same frames byte by byte, none before its last byte', () => {
    const sent = [
      frame(81, Buffer.from('SELECT 1\0')),
      frame(83, Buffer.alloc(0)),
      frame(88, Buffer.alloc(9)),
    ];
    const stream = Buffer.concat(sent);
    const reader = new FrameReader(LIMIT);
    const ends: number[] = [];
    stream.forEach((byte, i) => {
      reader.push(Buffer.from([byte]));
      if (reader.next() !== null) ends.push(i + 1);
    });
    expect(ends).toEqual([14, 19, 33]);
  });

  it('counts what it has not handed out', () => {
    const reader = new FrameReader(LIMIT);
    reader.push(frame(83, Buffer.alloc(0)));
    reader.push(Buffer.from('Q'));
    expect(reader.buffered).toBe(6);
    reader.next();
    expect(reader.buffered).toBe(1);
    expect(reader.next()).toBeNull();
  });

  it('hands out views of what came in one piece', () => {
    const chunk = frame(81, Buffer.from('a\0'));
    const reader = new FrameReader(LIMIT);
    reader.push(chunk);
    expect(reader.next()?.bytes.buffer).toBe(chunk.buffer);
  });

  it.each([0, 3, -1, -0x80000000])('refuses the length %i with its header', (length) => {
    const reader = new FrameReader(LIMIT);
    reader.push(header(length));
    expect(() => reader.next()).toThrow(expect.objectContaining({ code: 'protocol_violation' }));
  });

  it.each([LIMIT, 0x7fffffff])(
    'refuses the length %i with its header, before a byte of the body has come',
    (length) => {
      const reader = new FrameReader(LIMIT);
      reader.push(header(length));
      expect(reader.buffered).toBe(5);
      expect(() => reader.next()).toThrow(expect.objectContaining({ code: 'limit' }));
    },
  );

  it('takes a frame of exactly the limit', () => {
    const reader = new FrameReader(10);
    reader.push(frame(81, Buffer.alloc(5)));
    expect(reader.next()?.bytes).toHaveLength(10);
    reader.push(frame(81, Buffer.alloc(6)));
    expect(() => reader.next()).toThrow(CountersignError);
  });

  it('throws nothing but CountersignError on whatever comes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 30 })), (chunks) => {
        try {
          readAll(
            new FrameReader(64),
            chunks.map((chunk) => Buffer.from(chunk)),
          );
        } catch (error) {
          expect(error).toBeInstanceOf(CountersignError);
        }
      }),
    );
  });
});
