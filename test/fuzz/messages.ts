// Frontend messages as a script wants them, right or wrong; pg-protocol's serializers only make right ones.
import { serialize } from 'pg-protocol';
import { cstring, int32 } from '../../src/base/bytes.ts';
import { FRONTEND } from '../../src/wire/frontend.ts';

export const { query, flush, sync, copyData, copyDone, copyFail } = serialize;
export const terminate = serialize.end;

/** A frame with this tag and body, its length right. */
export function framed(tag: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag]), int32(4 + body.length), body]);
}

function int16(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(2 * values.length);
  values.forEach((value, i) => void bytes.writeUInt16BE(value & 0xffff, 2 * i));
  return bytes;
}

const counted = (values: readonly number[]): Buffer => int16(values.length, ...values);

function valuesOf(values: readonly (string | Buffer | null)[]): Buffer {
  return Buffer.concat([
    int16(values.length),
    ...values.flatMap((value) => {
      if (value === null) return [int32(-1)];
      const bytes = Buffer.from(value as string);
      return [int32(bytes.length), bytes];
    }),
  ]);
}

export const parse = (name: string, text: string, types: readonly number[] = []): Buffer =>
  framed(FRONTEND.Parse, cstring(name), cstring(text), int16(types.length), ...types.map(int32));

export interface BindParts {
  readonly portal?: string;
  readonly statement?: string;
  readonly formats?: readonly number[];
  readonly values?: readonly (string | Buffer | null)[];
  readonly results?: readonly number[];
}

export const bind = ({
  portal = '',
  statement = '',
  formats = [],
  values = [],
  results = [],
}: BindParts = {}): Buffer =>
  framed(
    FRONTEND.Bind,
    cstring(portal),
    cstring(statement),
    counted(formats),
    valuesOf(values),
    counted(results),
  );

export const execute = (portal = '', maxRows = 0): Buffer =>
  framed(FRONTEND.Execute, cstring(portal), int32(maxRows));

export const describe = (kind: 'S' | 'P', name = ''): Buffer =>
  framed(FRONTEND.Describe, Buffer.from(kind), cstring(name));

export const close = (kind: 'S' | 'P', name = ''): Buffer =>
  framed(FRONTEND.Close, Buffer.from(kind), cstring(name));

export const functionCall = (
  oid: number,
  values: readonly (Buffer | null)[],
  formats: readonly number[] = [1],
): Buffer => framed(FRONTEND.FunctionCall, int32(oid), counted(formats), valuesOf(values), int16(1));

/** Parse, Bind and Execute under the unnamed names, as drivers do it. */
export const run = (text: string, values: readonly (string | null)[] = [], maxRows = 0): Buffer[] => [
  parse('', text),
  bind({ values }),
  execute('', maxRows),
];
