// What holds of every message of a client, not only of those that somebody thought of: it is read back as it was written,
// whatever the network did to it, and what has been damaged is refused in one way only.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CountersignError } from '../../src/base/errors.ts';
import { FrameReader } from '../../src/wire/frames.ts';
import {
  FRONTEND,
  parseBind,
  parseEmpty,
  parseExecute,
  parseFunctionCall,
  parseParse,
  parseQuery,
  parseTarget,
} from '../../src/wire/frontend.ts';
import { parseStartupPacket, startupLength } from '../../src/wire/startup.ts';
import { CONVERSATIONS } from '../fuzz/conversations.ts';
import {
  bind,
  close,
  describe as describing,
  execute,
  functionCall,
  parse,
  query,
} from '../fuzz/messages.ts';
import { startupPacket } from '../live/wire-client.ts';

const LIMIT = 1 << 20;
/** What the parser of each tag says, of the messages that are looked into. */
const PARSERS: ReadonlyMap<number, (frame: Buffer) => unknown> = new Map<number, (frame: Buffer) => unknown>([
  [FRONTEND.Query, parseQuery],
  [FRONTEND.Parse, parseParse],
  [FRONTEND.Bind, parseBind],
  [FRONTEND.Execute, parseExecute],
  [FRONTEND.Describe, parseTarget],
  [FRONTEND.Close, parseTarget],
  [FRONTEND.FunctionCall, parseFunctionCall],
  [FRONTEND.Sync, parseEmpty],
  [FRONTEND.Flush, parseEmpty],
  [FRONTEND.CopyDone, parseEmpty],
  [FRONTEND.Terminate, parseEmpty],
]);

function readAll(chunks: readonly Buffer[]): string[] {
  const reader = new FrameReader(LIMIT);
  const read: string[] = [];
  for (const chunk of chunks) {
    reader.push(chunk);
    for (let frame = reader.next(); frame !== null; frame = reader.next()) {
      read.push(frame.bytes.toString('latin1'));
    }
  }
  expect(reader.buffered).toBe(0);
  return read;
}

/** Without the NUL that ends it on the wire. Names longer than what a server compares are another test's. */
const text = fc.string({ unit: 'grapheme', maxLength: 30 }).filter((value) => !value.includes('\0'));
const name = fc.stringMatching(/^[a-z_0-9]{0,30}$/);
const value = fc.option(fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)));
const oids = fc.array(fc.integer({ min: 0, max: 0x7fff_ffff }), { maxLength: 5 });
const values = fc.array(value, { maxLength: 6 });
const formats = fc.constantFrom<readonly number[]>([], [0], [1]);
const expanded = (given: readonly number[], count: number): number[] =>
  Array.from({ length: count }, () => given[0] ?? 0);

describe('every message is read as it was written', () => {
  it('Query', () => {
    fc.assert(
      fc.property(text, (sql) => {
        expect(parseQuery(query(sql)).toString('utf8')).toBe(sql);
      }),
    );
  });

  it('Parse', () => {
    fc.assert(
      fc.property(name, text, oids, (given, sql, parameterTypes) => {
        const read = parseParse(parse(given, sql, parameterTypes));
        expect({ ...read, sql: read.sql.toString('utf8') }).toEqual({ name: given, sql, parameterTypes });
      }),
    );
  });

  it('Bind', () => {
    fc.assert(
      fc.property(name, name, formats, values, formats, (portal, statement, given, bound, results) => {
        const read = parseBind(bind({ portal, statement, formats: given, values: bound, results }));
        expect(read).toEqual({ portal, statement, formats: expanded(given, bound.length), values: bound });
      }),
    );
  });

  it('Execute, Describe, Close', () => {
    fc.assert(
      fc.property(name, fc.integer({ min: -1, max: 0x7fff_ffff }), (given, maxRows) => {
        expect(parseExecute(execute(given, maxRows))).toEqual({ portal: given, maxRows });
        expect(parseTarget(describing('S', given))).toEqual({ kind: 'statement', name: given });
        expect(parseTarget(close('P', given))).toEqual({ kind: 'portal', name: given });
      }),
    );
  });

  it('FunctionCall', () => {
    fc.assert(
      fc.property(fc.nat(0x7fff_ffff), formats, values, (oid, given, bound) => {
        const read = parseFunctionCall(functionCall(oid, bound, given));
        expect(read).toEqual({ oid, formats: expanded(given, bound.length), values: bound });
      }),
    );
  });

  it('StartupMessage', () => {
    const parameter = fc.tuple(
      name.filter((given) => given !== ''),
      text,
    );
    fc.assert(
      fc.property(fc.array(parameter, { maxLength: 6 }), (given) => {
        const parameters = Object.fromEntries(given);
        const packet = startupPacket(parameters);
        expect(startupLength(packet)).toBe(packet.length);
        const read = parseStartupPacket(packet);
        expect(read.kind === 'startup' && Object.fromEntries(read.parameters)).toEqual(parameters);
      }),
    );
  });
});

describe('conversations', () => {
  it('come to the same frames wherever they are cut in two, and byte by byte', () => {
    for (const frames of CONVERSATIONS) {
      const stream = Buffer.concat(frames);
      const wanted = frames.map((frame) => frame.toString('latin1'));
      for (let at = 0; at <= stream.length; at++) {
        expect(readAll([stream.subarray(0, at), stream.subarray(at)])).toEqual(wanted);
      }
      expect(readAll([...stream].map((byte) => Buffer.from([byte])))).toEqual(wanted);
    }
  });

  it('are refused with a CountersignError and nothing else, whatever bits are flipped in them', () => {
    const all = CONVERSATIONS.flat();
    const flips = fc.array(fc.tuple(fc.nat(), fc.nat(7)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.constantFrom(...all), flips, (frame, changes) => {
        const bytes = Buffer.from(frame);
        for (const [at, bit] of changes) bytes[at % bytes.length]! ^= 1 << bit;
        try {
          const reader = new FrameReader(LIMIT);
          reader.push(bytes);
          for (let read = reader.next(); read !== null; read = reader.next())
            PARSERS.get(read.tag)?.(read.bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(CountersignError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('read or refused, a startup packet throws nothing but CountersignError', () => {
    const codes = fc.constantFrom(0x0003_0000, 0x0003_0002, 80877102, 80877103, 80877104, 0);
    fc.assert(
      fc.property(codes, fc.uint8Array({ maxLength: 60 }), fc.nat(20), (code, body, missing) => {
        const packet = Buffer.concat([Buffer.alloc(8), body]);
        packet.writeUInt32BE(Math.max(0, packet.length - missing), 0);
        packet.writeUInt32BE(code, 4);
        try {
          const length = startupLength(packet);
          if (length !== null) parseStartupPacket(packet.subarray(0, length));
        } catch (error) {
          expect(error).toBeInstanceOf(CountersignError);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
