// `npm run bench`: the same clients, the same server, and what lies between them changing from run to run. It asserts
// nothing: it prints where it was measured, every median with its ratios, and which goals are met.
import { existsSync } from 'node:fs';
import { loadavg } from 'node:os';
import { CountersignError } from '../../src/base/errors.ts';
import { makeRunFolder } from '../services/places.ts';
import { build } from './build.ts';
import { atTheEnd, closeAll } from './closings.ts';
import { type Flags, parseFlags, usage } from './flags.ts';
import { describeMachine } from './machine.ts';
import { PARTS } from './parts.ts';
import { type Reading, Readings } from './readings.ts';
import { asJson, asText, type Results } from './report.ts';
import { startServer } from './server.ts';
import { findPgbouncer, targetsOf } from './targets.ts';

const NAMES = Object.keys(PARTS);

async function bench(flags: Flags): Promise<Results> {
  const [loadAverage = 0] = loadavg();
  atTheEnd(makeRunFolder());
  say('building');
  const main = await build();
  say('starting Postgres');
  const server = await startServer();
  const targets = await targetsOf(server, main);
  const collected = new Map<string, Reading[]>(flags.parts.map((name) => [name, []]));
  for (let round = 0; round < flags.rounds; round += 1) {
    const first = round % targets.length;
    const inTurn = [...targets.slice(first), ...targets.slice(0, first)];
    for (const [name, readings] of collected) {
      const sayWhere = (text: string): void => say(`round ${round + 1} of ${flags.rounds}: ${text}`);
      readings.push(...((await PARTS[name]?.round({ flags, server, targets: inTurn, say: sayWhere })) ?? []));
    }
  }
  // Read in the order of the targets, whichever was first in a round.
  const place = new Map(targets.map(({ name }, index) => [name, index]));
  const ordered = (readings: Reading[]): Readings =>
    new Readings(readings.sort((a, b) => (place.get(a.target) ?? 0) - (place.get(b.target) ?? 0)));
  return {
    machine: describeMachine(server, loadAverage),
    flags,
    notes: findPgbouncer() === null ? ['pgbouncer is not installed, so it was left out'] : [],
    parts: new Map([...collected].map(([name, readings]) => [name, ordered(readings)])),
  };
}

/** One line that overwrites itself, where somebody watches. */
function say(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${text}`);
}

async function run(): Promise<number> {
  const flags = parseFlags(process.argv.slice(2), NAMES);
  if (flags === null) {
    process.stdout.write(usage(NAMES));
    return 0;
  }
  if (!existsSync('/proc/self/stat')) {
    throw new Error('The bench reads processor time from /proc, so it runs on Linux only.');
  }
  try {
    const results = await bench(flags);
    say('');
    process.stdout.write(flags.json ? asJson(results) : asText(results));
    return 0;
  } finally {
    await closeAll();
  }
}

let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, async () => {
    // What fails because it is being ended is no news.
    interrupted = true;
    say('cleaning up\n');
    await closeAll();
    process.exit(signal === 'SIGINT' ? 130 : 143);
  });
}

try {
  process.exitCode = await run();
} catch (error) {
  // The handler of the signal ends the process once everything is cleaned up.
  if (!interrupted) {
    say('');
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    if (error instanceof CountersignError && error.code === 'usage')
      process.stderr.write(`\n${usage(NAMES)}`);
    process.exitCode = error instanceof CountersignError ? 2 : 1;
  }
}
