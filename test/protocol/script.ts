// A conversation in writing: a line for each message, as PQtrace has them, so that cases can be data. `-` is the unnamed
// statement or portal, and what stands last in a line runs to its end.
import { cstring, int32 } from '../../src/base/bytes.ts';
import { frame } from '../live/wire-client.ts';

/** A message of any form, as libraries do not make it. */
export function message(tag: string, ...body: readonly Buffer[]): Buffer {
  const whole = Buffer.concat(body);
  return Buffer.concat([Buffer.from(tag, 'latin1'), int32(whole.length + 4), whole]);
}

const name = (word: string | undefined): string => (word === undefined || word === '-' ? '' : word);

/**
 * One line: `P name text`, `B portal statement [value …]`, `D S|P name`, `E portal [rows]`, `C S|P name`, `S`, `H`,
 * `Q text`, `d data`, `c`, `f reason`, `X`.
 */
export function line(text: string): Buffer {
  const [letter = '', ...words] = text.split(' ');
  const rest = words.join(' ');
  switch (letter) {
    case 'P':
      // By hand: the library warns of names that are long.
      return message('P', cstring(name(words[0])), cstring(words.slice(1).join(' ')), Buffer.alloc(2));
    case 'B':
      return frame.bind({ portal: name(words[0]), statement: name(words[1]), values: words.slice(2) });
    case 'E':
      return frame.execute({ portal: name(words[0]), rows: Number(words[1] ?? 0) });
    case 'D':
    case 'C':
      return message(letter, cstring(`${words[0]}${name(words[1])}`));
    case 'S':
      return frame.sync();
    case 'H':
      return frame.flush();
    case 'Q':
      return frame.query(rest);
    case 'd':
      return frame.copyData(Buffer.from(`${rest}\n`));
    case 'c':
      return frame.copyDone();
    case 'f':
      return frame.copyFail(rest);
    case 'X':
      return frame.end();
    default:
      throw new Error(`no such message: ${text}`);
  }
}

/** Several lines, as one piece of bytes. */
export const lines = (...texts: readonly string[]): Buffer => Buffer.concat(texts.map(line));
