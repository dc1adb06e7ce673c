// What a raw client sent and what it got for it, byte for byte: the unit in which two ways to a database are compared.
import { type Answer, frame, type WireClient } from '../live/wire-client.ts';

/** Sends, and returns every answer up to the `count`th ReadyForQuery. */
export async function exchange(
  client: WireClient,
  frames: readonly Buffer[],
  count = 1,
): Promise<readonly Answer[]> {
  client.write(...frames);
  const answers: Answer[] = [];
  for (let left = count; left > 0; ) {
    const answer = await client.next();
    answers.push(answer);
    if (answer.name === 'ReadyForQuery') left--;
  }
  return answers;
}

/** Lines that are equal where the bytes are, and in which a person sees what differs. */
export const shown = (answers: readonly Answer[]): string[] =>
  answers.map(({ name, bytes }) => `${name} ${bytes.toString('hex')} ${printable(bytes)}`);

const printable = (bytes: Buffer): string => bytes.toString('latin1').replace(/[^ -~]/g, '.');

/** The columns of the rows among these. */
export function rowsOf(answers: readonly Answer[]): (Buffer | null)[][] {
  return answers.filter(({ name }) => name === 'DataRow').map(({ bytes }) => columnsOf(bytes));
}

function columnsOf(row: Buffer): (Buffer | null)[] {
  const columns: (Buffer | null)[] = [];
  let at = HEADER_AND_COUNT_LENGTH;
  for (let left = row.readInt16BE(at - 2); left > 0; left--) {
    const length = row.readInt32BE(at);
    at += 4;
    columns.push(length < 0 ? null : row.subarray(at, at + length));
    at += Math.max(length, 0);
  }
  return columns;
}

const HEADER_AND_COUNT_LENGTH = 7;

export interface Asked {
  readonly text: string;
  /** Text for text, a Buffer for binary. */
  readonly values?: readonly (string | Buffer | null)[];
  /** Format of the result. */
  readonly binary?: boolean;
}

/** One statement by the extended protocol, everything described. */
export function asked({ text, values = [], binary = false }: Asked): Buffer {
  return Buffer.concat([
    frame.parse({ text }),
    frame.describe({ type: 'S' }),
    frame.bind({ values: [...values], binary }),
    frame.describe({ type: 'P' }),
    frame.execute(),
    frame.sync(),
  ]);
}
