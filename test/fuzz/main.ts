// `npm run fuzz`: the fuzzer as long as one likes, on a build and a server of its own. Ends with 1 when it has found
// something, and says how to see it again.
import { CountersignError } from '../../src/base/errors.ts';
import { randomSecret } from '../../src/base/ids.ts';
import { build } from '../bench/build.ts';
import { atTheEnd, closeAll } from '../bench/closings.ts';
import { makeRunFolder } from '../services/places.ts';
import { caseOf, playCase } from './cases.ts';
import { type Flags, parseFlags, USAGE } from './flags.ts';
import { type Finding, fuzz, type Summary } from './fuzz.ts';
import { type Ground, openGround } from './ground.ts';
import { toMib } from './health.ts';
import { minimise } from './minimise.ts';
import { Random } from './random.ts';
import { type Step, stepToText } from './step.ts';

/** One line that overwrites itself, where somebody watches. */
function say(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${text}`);
}

function progress(flags: Flags): (state: Summary) => void {
  const startedMs = performance.now();
  let shownMs = 0;
  return ({ messages, findings, cases }) => {
    const nowMs = performance.now();
    if (nowMs - shownMs < 500) return;
    shownMs = nowMs;
    const rate = Math.round(messages / ((nowMs - startedMs) / 1000));
    const played = Object.values(cases).reduce((sum, count) => sum + count, 0);
    say(
      `seed ${flags.seed}: ${messages} of ${flags.messages} messages, ${played} cases, ${rate} messages/s, ${findings.length} findings`,
    );
  };
}

function shown({ case: number, kind, what }: Finding, flags: Flags): string {
  const only = flags.kinds.length === 1 ? ` --kind ${flags.kinds[0]}` : '';
  const again =
    number === null
      ? `npm run fuzz -- --seed ${flags.seed} --messages ${flags.messages}${only}`
      : `npm run fuzz -- --seed ${flags.seed} --case ${number}${only}`;
  return `${kind}${number === null ? '' : ` ${number}`}: ${what}\n  again: ${again}\n`;
}

function report(summary: Summary, flags: Flags, seconds: number): string {
  const { cases, messages, ran, approved, denied, controlRounds, passing, memory, findings } = summary;
  const counts = Object.entries(cases)
    .map(([kind, count]) => `${count} ${kind}`)
    .join(', ');
  const ends = [memory[0], memory.at(-1)].flatMap((health) => (health ? [toMib(health.memory)] : []));
  return [
    `seed ${flags.seed}: ${messages} messages in ${Math.round(seconds)} s (${Math.round(messages / seconds)}/s)`,
    `cases: ${counts}`,
    `the server ran ${ran} statements; ${approved} held ones were approved, ${denied} denied`,
    `the client that behaves was answered ${controlRounds} rounds; memory ${ends.join(' → ')} MiB`,
    `${passing} passing differences, ${findings.length} findings`,
    ...findings.map((finding) => shown(finding, flags)),
    '',
  ].join('\n');
}

/** Prints the least that still shows what case N shows. */
async function showSmallest(ground: Ground, flags: Flags, number: number): Promise<void> {
  const made = caseOf(flags.seed, number, flags.kinds);
  const lane = ground.lanes[0];
  if (lane === undefined || made.steps.length === 0) throw new Error('this case has no steps of its own');
  let count = 0;
  let what = '';
  const fails = async (steps: readonly Step[]): Promise<boolean> => {
    const marker = `fuzz ${number} ${++count}`;
    const random = new Random(flags.seed, number, 'play');
    say(`${steps.length} steps`);
    try {
      const { finding } = await playCase({ kind: made.kind, steps }, { ground, lane, marker, random });
      if (finding !== null) what = finding;
      return finding !== null;
    } catch (error) {
      what = error instanceof Error ? error.message : String(error);
      return true;
    }
  };
  const smallest = await minimise(made.steps, fails);
  say('');
  process.stdout.write(
    `${JSON.stringify({ what, kind: made.kind, steps: smallest.map(stepToText) }, null, 2)}\n`,
  );
}

async function run(): Promise<number> {
  const flags = parseFlags(process.argv.slice(2), () => randomSecret(4).toString('hex'));
  if (flags === null) {
    process.stdout.write(USAGE);
    return 0;
  }
  atTheEnd(makeRunFolder());
  try {
    say('building');
    const main = await build();
    say('starting Postgres and the proxies');
    const ground = await openGround(main, flags.only === null ? flags.lanes : 1);
    atTheEnd(() => ground.close());
    if (flags.minimise && flags.only !== null) {
      await showSmallest(ground, flags, flags.only);
      return 0;
    }
    const startedMs = performance.now();
    const summary = await fuzz(ground, {
      ...flags,
      say: progress(flags),
    });
    say('');
    process.stdout.write(report(summary, flags, (performance.now() - startedMs) / 1000));
    return summary.findings.length === 0 ? 0 : 1;
  } finally {
    await closeAll();
  }
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, async () => {
    say('cleaning up\n');
    await closeAll();
    process.exit(signal === 'SIGINT' ? 130 : 143);
  });
}

try {
  process.exitCode = await run();
} catch (error) {
  say('');
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = error instanceof CountersignError && error.code === 'usage' ? 2 : 1;
}
