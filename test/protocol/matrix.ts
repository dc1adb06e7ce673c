// Places where a statement can stand: protocol × position × state, with the frames that put it there. The same frames,
// with a statement that fails by itself, show on a direct connection what the answers to a refusal must look like.
import { int32 } from '../../src/base/bytes.ts';
import { extended, frame, type WireClient } from '../live/wire-client.ts';
import { message } from './script.ts';

export const PROTOCOLS = ['simple', 'extended', 'function call'] as const;
export const POSITIONS = ['alone', 'first', 'middle', 'last'] as const;
/** As ReadyForQuery has them, and: behind an Execute without a Sync. */
export const STATES = ['I', 'T', 'E', 'an implicit block'] as const;

export interface Place {
  readonly protocol: (typeof PROTOCOLS)[number];
  readonly position: (typeof POSITIONS)[number];
  readonly state: (typeof STATES)[number];
}

export const places = (states: readonly Place['state'][]): readonly Place[] =>
  states.flatMap((state) =>
    PROTOCOLS.flatMap((protocol) => POSITIONS.map((position) => ({ protocol, position, state }))),
  );

const note = (body: string) => `INSERT INTO notes(body) VALUES ('${body}')`;

const BEFORE: Readonly<Record<Place['state'], readonly string[]>> = {
  I: [],
  T: ['BEGIN'],
  E: ['BEGIN', 'SELECT 1/0'],
  'an implicit block': [],
};

/** Brings the session to the state that the place is in. */
export async function comeTo({ state }: Place, client: WireClient): Promise<void> {
  for (const sql of BEFORE[state]) await client.query(sql);
}

/** `statement`: SQL, or the OID of a function for a FunctionCall. */
export function framesAt(
  { protocol, position, state }: Place,
  statement: string | number,
): { readonly bytes: Buffer; readonly readies: number } {
  const asSent = (sql: string): Buffer => (protocol === 'extended' ? extended(sql) : frame.query(sql));
  const parts = [
    ...(position === 'middle' || position === 'last' ? [asSent(note('before'))] : []),
    typeof statement === 'number' ? functionCall(statement, 'ABC') : asSent(statement),
    ...(position === 'first' || position === 'middle' ? [asSent(note('behind'))] : []),
  ];
  return {
    bytes: Buffer.concat([
      ...(state === 'an implicit block' ? [extended(note('block'))] : []),
      ...parts,
      ...(protocol === 'extended' ? [frame.sync()] : []),
    ]),
    readies: protocol === 'extended' ? 1 : parts.length,
  };
}

/** A FunctionCall with one argument, as text, and a result as text. */
export function functionCall(oid: number, argument: string): Buffer {
  const text = Buffer.from(argument);
  const [one, zero] = [Buffer.from([0, 1]), Buffer.from([0, 0])];
  return message('F', int32(oid), one, zero, one, int32(text.length), text, zero);
}
