// The fuzzer within the suite: everything that it ever found, then so many messages of two seeds that stay and of one that
// is new each time. `npm run fuzz` does the same for as long as one likes.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { randomSecret } from '../../src/base/ids.ts';
import { VECTORS } from '../services/places.ts';
import { builtCli } from '../services/shared.ts';
import { type Kind, playCase } from './cases.ts';
import { fuzz, type Plan, type Summary } from './fuzz.ts';
import { type Ground, openGround } from './ground.ts';
import { Random } from './random.ts';
import { type StepText, stepFromText } from './step.ts';

interface Vector {
  readonly what: string;
  readonly kind: Kind;
  readonly steps: readonly StepText[];
}

const FOLDER = join(VECTORS, 'fuzz');
const vectors = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.json'))
  .map((file) => ({ file, ...(JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as Vector) }));

/** However slow the machine: the fuzzer has deadlines of its own. */
const TIMEOUT_MS = 600_000;

let ground: Ground;
beforeAll(async () => {
  ground = await openGround((await builtCli()).main, 8);
});
afterAll(() => ground?.close());

function expectSound(summary: Summary, plan: Pick<Plan, 'seed' | 'messages'>): void {
  expect(summary.findings, `npm run fuzz -- --seed ${plan.seed} --messages ${plan.messages}`).toEqual([]);
  // Had nothing got through, nothing would have been found either.
  expect(summary.messages).toBeGreaterThanOrEqual(plan.messages);
  expect(summary.ran).toBeGreaterThan(plan.messages / 20);
  expect(summary.controlRounds).toBeGreaterThan(0);
}

describe('what was found', () => {
  test.each(vectors)('$file: $what', { timeout: TIMEOUT_MS }, async ({ file, kind, steps }) => {
    const lane = ground.lanes[0]!;
    const marker = `fuzz 0 ${vectors.findIndex((vector) => vector.file === file)}`;
    const made = { kind, steps: steps.map(stepFromText) };
    const played = await playCase(made, { ground, lane, marker, random: new Random(file) });
    expect(played.finding).toBeNull();
  });
});

test.each(['one', 'two'])('8000 messages of seed "%s"', { timeout: TIMEOUT_MS }, async (seed) => {
  const plan = { seed, messages: 8_000, only: null };
  expectSound(await fuzz(ground, plan), plan);
});

test('4000 messages of a seed that is new each time', { timeout: TIMEOUT_MS }, async () => {
  const plan = { seed: randomSecret(4).toString('hex'), messages: 4_000, only: null };
  process.stdout.write(`fuzz: seed ${plan.seed}\n`);
  expectSound(await fuzz(ground, plan), plan);
});
