// What `npm run fuzz` may be asked. Anything else is refused with what would have been right.
import { parseArgs } from 'node:util';
import { CountersignError } from '../../src/base/errors.ts';
import { KINDS, type Kind } from './cases.ts';

export interface Flags {
  readonly messages: number;
  readonly seed: string;
  readonly lanes: number;
  readonly only: number | null;
  readonly kinds: readonly Kind[];
  readonly minimise: boolean;
}

const MOST_LANES = 32;

export const USAGE = `Usage: npm run fuzz -- [flags]

Plays mutated and weird conversations against a live proxy before a live Postgres, and looks whether anything broke.

  --messages N    how many messages to send (20000)
  --seed TEXT     what everything is made from (a new one, which is printed)
  --lanes N       conversations at once (8)
  --kind NAME     only cases of this kind: ${KINDS.join(', ')}
  --case N        only this case of the seed; give the same --kind as when it was found
  --minimise      with --case: leave out what is not needed for the finding, and print the rest as a vector
  --help          print this
`;

/** Throws CountersignError (code `usage`). Null: only help is wanted. */
export function parseFlags(args: readonly string[], newSeed: () => string): Flags | null {
  const values = read(args);
  if (values.help === true) return null;
  const kind = KINDS.find((known) => known === values.kind);
  if (values.kind !== undefined && kind === undefined) {
    throw new CountersignError('usage', `--kind takes one of ${KINDS.join(', ')}, not "${values.kind}"`);
  }
  if (values.minimise === true && values.case === undefined) {
    throw new CountersignError('usage', '--minimise needs the --case to look at');
  }
  return {
    messages: wholeNumber('--messages', values.messages, 1, 1_000_000_000),
    seed: values.seed ?? newSeed(),
    lanes: wholeNumber('--lanes', values.lanes, 1, MOST_LANES),
    only: values.case === undefined ? null : wholeNumber('--case', values.case, 0, 1_000_000_000),
    kinds: kind === undefined ? KINDS : [kind],
    minimise: values.minimise === true,
  };
}

function read(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        messages: { type: 'string', default: '20000' },
        seed: { type: 'string' },
        lanes: { type: 'string', default: '8' },
        case: { type: 'string' },
        kind: { type: 'string' },
        minimise: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new CountersignError('usage', error instanceof Error ? error.message : String(error));
  }
}

function wholeNumber(flag: string, text: string, least: number, most: number): number {
  const value = /^[0-9]+$/.test(text) ? Number(text) : -1;
  if (value < least || value > most) {
    throw new CountersignError(
      'usage',
      `${flag} takes whole numbers from ${least} to ${most}, not "${text}"`,
    );
  }
  return value;
}
