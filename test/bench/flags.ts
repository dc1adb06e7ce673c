// What `npm run bench` may be asked. Anything else is refused with what would have been right.
import { parseArgs } from 'node:util';
import { CountersignError } from '../../src/base/errors.ts';

export interface Flags {
  readonly rounds: number;
  readonly seconds: number;
  /** How many clients at once; one part of the runs for each. */
  readonly clients: readonly number[];
  /** Names of the parts to run. */
  readonly parts: readonly string[];
  readonly json: boolean;
}

const MOST_ROUNDS = 100;
const MOST_SECONDS = 600;
/** What the private Postgres has connections for, beside those of the idle sessions. */
export const MOST_CLIENTS = 100;

export const usage = (parts: readonly string[]): string => `Usage: npm run bench -- [flags]

Compares Countersign with a bare splice in Node, with pgbouncer where it is installed, and with no proxy at all.

  --rounds N      measure everything N times, interleaved, and take medians (3)
  --seconds N     length of one pgbench run, after one second to warm up (3)
  --clients N,N   numbers of clients at once (1,16); latency percentiles are taken at 1
  --only NAME     run one part only: ${parts.join(', ')}
  --json          print one JSON object instead of tables
  --help          print this
`;

/** Throws CountersignError (code `usage`). Null: only help is wanted. */
export function parseFlags(args: readonly string[], parts: readonly string[]): Flags | null {
  const { help, rounds, seconds, clients, only, json } = read(args);
  if (help === true) return null;
  if (only !== undefined && !parts.includes(only)) {
    throw new CountersignError('usage', `--only takes one of ${parts.join(', ')}`);
  }
  const counts = clients.split(',').map((text) => wholeNumber('--clients', text, MOST_CLIENTS));
  if (new Set(counts).size < counts.length)
    throw new CountersignError('usage', '--clients names a number twice');
  return {
    rounds: wholeNumber('--rounds', rounds, MOST_ROUNDS),
    seconds: wholeNumber('--seconds', seconds, MOST_SECONDS),
    clients: counts,
    parts: only === undefined ? parts : [only],
    json: json === true,
  };
}

function read(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        rounds: { type: 'string', default: '3' },
        seconds: { type: 'string', default: '3' },
        clients: { type: 'string', default: '1,16' },
        only: { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new CountersignError('usage', error instanceof Error ? error.message : String(error));
  }
}

function wholeNumber(flag: string, text: string, most: number): number {
  const value = /^[1-9][0-9]*$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > most) {
    throw new CountersignError('usage', `${flag} takes whole numbers from 1 to ${most}, not "${text}"`);
  }
  return value;
}
