// What a server sends goes on byte for byte, and its owner hears the same whatever the network did to it.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CountersignError } from '../../src/base/errors.ts';
import { BACKEND } from '../../src/wire/backend.ts';
import { ServerScanner } from '../../src/wire/scanner.ts';

const MEBIBYTE = 1024 * 1024;

function frame(tag: number, body: Uint8Array): Buffer {
  const bytes = Buffer.alloc(5 + body.length);
  bytes[0] = tag;
  bytes.writeInt32BE(4 + body.length, 1);
  bytes.set(body, 5);
  return bytes;
}

type Replace = (tag: number, whole: Buffer) => Buffer;
const asItIs: Replace = (_, whole) => whole;

function scanner(replace: Replace = asItIs) {
  const heard: string[] = [];
  const scanning = new ServerScanner({
    onHeader: (tag, length) => {
      heard.push(`header ${tag} ${length}`);
      return 'pass';
    },
    onWhole: (tag, whole) => {
      heard.push(`whole ${tag} ${whole.toString('hex')}`);
      return replace(tag, whole);
    },
  });
  const scan = (chunk: Buffer): Buffer => Buffer.concat(scanning.scan(chunk));
  return { heard, scan };
}

function cut(stream: Buffer, at: readonly number[]): Buffer[] {
  const points = [...new Set([0, ...at.map((point) => point % (stream.length + 1)), stream.length])];
  points.sort((a, b) => a - b);
  return points.slice(1).map((end, i) => stream.subarray(points[i], end));
}

const messages = fc.array(
  fc.record({
    tag: fc.oneof(fc.constantFrom(...Object.values(BACKEND)), fc.integer({ min: 0, max: 255 })),
    body: fc.uint8Array({ maxLength: 30 }),
  }),
  { maxLength: 12 },
);

/** Another length than what it replaces, and once nothing at all. */
const rewrite: Replace = (tag, whole) => {
  if (tag !== BACKEND.ErrorResponse) return whole;
  return whole.length % 3 === 0
    ? Buffer.alloc(0)
    : frame(BACKEND.ErrorResponse, Buffer.from('C42501\0Mno, really not\0\0'));
};

describe('ServerScanner', () => {
  it('passes every byte and says the same for every cutting', () => {
    fc.assert(
      fc.property(messages, fc.array(fc.nat()), (given, at) => {
        const stream = Buffer.concat(given.map(({ tag, body }) => frame(tag, body)));
        const once = scanner();
        expect(once.scan(stream).equals(stream)).toBe(true);
        const often = scanner();
        expect(Buffer.concat(cut(stream, at).map(often.scan)).equals(stream)).toBe(true);
        expect(often.heard).toEqual(once.heard);
        expect(often.heard).toHaveLength(given.length);
      }),
    );
  });

  it('puts in what its owner gives instead, for every cutting', () => {
    fc.assert(
      fc.property(messages, fc.array(fc.nat()), (given, at) => {
        const sent = given.map(({ tag, body }) => frame(tag, body));
        const wanted = Buffer.concat(given.map(({ tag }, i) => rewrite(tag, sent[i] as Buffer)));
        const { scan } = scanner(rewrite);
        expect(Buffer.concat(cut(Buffer.concat(sent), at).map(scan)).equals(wanted)).toBe(true);
      }),
    );
  });

  it('does so in two pieces cut anywhere, headers included, and byte by byte', () => {
    const sent = [
      frame(BACKEND.DataRow, Buffer.from('row')),
      frame(BACKEND.ErrorResponse, Buffer.from('Mx\0\0')),
      frame(BACKEND.ErrorResponse, Buffer.from('Mxy\0\0')),
      frame(BACKEND.ReadyForQuery, Buffer.from('I')),
      frame(BACKEND.DataRow, Buffer.from('another row')),
      frame(BACKEND.NoData, Buffer.alloc(0)),
    ];
    const stream = Buffer.concat(sent);
    const wanted = Buffer.concat(sent.map((bytes) => rewrite(bytes[0] as number, bytes)));
    const once = scanner(rewrite);
    expect(once.scan(stream).equals(wanted)).toBe(true);
    const cuttings = [...stream.keys()].map((at) => [stream.subarray(0, at), stream.subarray(at)]);
    cuttings.push([...stream].map((byte) => Buffer.from([byte])));
    for (const chunks of cuttings) {
      const { heard, scan } = scanner(rewrite);
      expect(Buffer.concat(chunks.map(scan)).toString('latin1')).toBe(wanted.toString('latin1'));
      expect(heard).toEqual(once.heard);
    }
  });

  it('lets nothing of a whole message out before it has come whole', () => {
    const { scan, heard } = scanner();
    const error = frame(BACKEND.ErrorResponse, Buffer.from('Mno\0\0'));
    expect(scan(error.subarray(0, -1))).toHaveLength(0);
    expect(heard).toEqual([]);
    expect(scan(error.subarray(-1)).equals(error)).toBe(true);
  });

  it('passes the beginning of a row at once, told by its header', () => {
    const row = frame(BACKEND.DataRow, Buffer.alloc(1000));
    const { scan, heard } = scanner();
    expect(scan(row.subarray(0, 5))).toHaveLength(5);
    expect(heard).toEqual([`header ${BACKEND.DataRow} 1005`]);
    expect(scan(row.subarray(5, 10))).toHaveLength(5);
  });

  it('does not copy what it passes', () => {
    const chunk = Buffer.concat([
      frame(BACKEND.DataRow, Buffer.alloc(9)),
      frame(BACKEND.CommandComplete, Buffer.from('x\0')),
    ]);
    const out = new ServerScanner({ onHeader: () => 'pass', onWhole: asItIs }).scan(chunk);
    expect(out).toHaveLength(1);
    expect(out[0]?.buffer).toBe(chunk.buffer);
  });

  it.each([2, 5, 1000])('passes a whole message over 1 MiB unread and unkept, cut after %i bytes', (at) => {
    const huge = frame(BACKEND.ErrorResponse, Buffer.alloc(MEBIBYTE));
    const { scan, heard } = scanner();
    const first = scan(huge.subarray(0, at));
    expect(first).toHaveLength(at < 5 ? 0 : at);
    expect(scan(huge.subarray(at, 2000))).toHaveLength(2000 - first.length);
    expect(heard).toEqual([`header ${BACKEND.ErrorResponse} ${MEBIBYTE + 5}`]);
    expect(scan(huge.subarray(2000))).toHaveLength(huge.length - 2000);
    expect(scan(frame(BACKEND.ReadyForQuery, Buffer.from('I')))).toHaveLength(6);
    expect(heard).toHaveLength(2);
  });

  it.each([0, 3])('cannot follow a server that says the length %i', (length) => {
    const bytes = Buffer.from('E....');
    bytes.writeInt32BE(length, 1);
    for (const chunks of [[bytes], [...bytes].map((byte) => Buffer.from([byte]))]) {
      const { scan } = scanner();
      expect(() => chunks.map(scan)).toThrow(CountersignError);
    }
  });

  it('throws nothing but CountersignError on whatever comes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 30 })), (chunks) => {
        const { scan } = scanner();
        try {
          for (const chunk of chunks) scan(Buffer.from(chunk));
        } catch (error) {
          expect(error).toBeInstanceOf(CountersignError);
        }
      }),
    );
  });

  it('hands out what came before a message at which its owner throws', () => {
    const before = Buffer.concat([
      frame(BACKEND.ParseComplete, Buffer.alloc(0)),
      frame(BACKEND.DataRow, Buffer.from('row')),
    ]);
    const failing = new ServerScanner({
      onHeader: () => 'pass',
      onWhole: () => {
        throw new CountersignError('protocol_violation', 'no more');
      },
    });
    const out: Buffer[] = [];
    const stream = Buffer.concat([before, frame(BACKEND.ReadyForQuery, Buffer.from('I'))]);
    expect(() => failing.scan(stream, out)).toThrow('no more');
    expect(Buffer.concat(out).equals(before)).toBe(true);
  });
});
