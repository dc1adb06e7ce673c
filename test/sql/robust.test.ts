// Whatever is done to a statement, there are facts or it is unknown, and the rules say something: nothing is thrown and the
// parser stays well. 20,000 mutations of everything in the vectors; more with ROBUST_MUTATIONS=100000, others with ROBUST_SEED.
import { readdirSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { judgeFrame } from '../../src/rules/cases.ts';
import { loadRules } from '../../src/rules/load.ts';
import { isStricterAction } from '../../src/rules/strictness.ts';
import { STATEMENT_CLASSES, type Understanding } from '../../src/sql/facts.ts';
import { withoutConstants } from '../../src/sql/mask.ts';
import { scan } from '../../src/sql/parse.ts';
import { loadParser, understand } from '../../src/sql/understand.ts';
import { Random } from '../fuzz/random.ts';
import { session } from '../rules/facts.ts';
import { PROJECT, VECTORS } from '../services/places.ts';
import { HOSTILE } from './hostile-texts.ts';
import { allCases } from './vectors.ts';

const MUTATIONS = Number(process.env['ROBUST_MUTATIONS'] ?? 20_000);
const SEED = process.env['ROBUST_SEED'] ?? 'facts';

beforeAll(loadParser);

const rules = loadRules([`${PROJECT}/rules/default.yaml`]);

function corpus(): string[] {
  const scripts = `${PROJECT}/test/transparency/sql`;
  const packs = readdirSync(`${PROJECT}/rules`).filter((name) => name.endsWith('.cases.yaml'));
  return [
    ...allCases().map(({ sql }) => sql),
    ...packs.flatMap((name) => {
      const { cases } = parseYaml(readFileSync(`${PROJECT}/rules/${name}`, 'utf8')) as {
        cases: { sql: string }[];
      };
      return cases.map(({ sql }) => sql);
    }),
    ...[`${VECTORS}/shop.sql`, `${VECTORS}/fuzz/ground.sql`]
      .concat(readdirSync(scripts).map((name) => `${scripts}/${name}`))
      .flatMap((file) => readFileSync(file, 'utf8').split(/;\s*$/m))
      .filter((sql) => sql.trim() !== ''),
  ];
}

const statements = corpus();

/** Fails on anything but facts that rules and log can use, or a reason that a person can. */
function expectSound(sql: string): Understanding {
  const understanding = understand(sql);
  if (understanding.known) {
    for (const facts of understanding.statements) {
      expect(facts.classes.length).toBeGreaterThan(0);
      expect(facts.tags.length).toBeGreaterThan(0);
      for (const name of facts.classes) expect(STATEMENT_CLASSES).toContain(name);
    }
  } else {
    expect(understanding.reason).not.toBe('parser');
    expect(understanding.detail).toMatch(/^.{1,400}$/s);
  }
  // Rules never fail on facts: they would hold it and say so, and nobody could tell why.
  const verdict = judgeFrame(rules, understanding, session());
  expect(verdict?.message ?? '').not.toContain('could not be evaluated');
  if (!understanding.known) expect(verdict?.action).toBe('hold');
  withoutConstants(sql);
  return understanding;
}

/** Another parser takes the place of one that overflowed at the next turn of the event loop. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

type Mutation = (tokens: string[], random: Random, others: readonly string[]) => string[];

const ODD = [
  "'",
  '"',
  '$$',
  '/*',
  '*/',
  '--',
  ';',
  '(',
  ')',
  '\0',
  '\ud800',
  '\u202e',
  '\\',
  "U&'",
  "E'",
  '::',
  '$1',
  '\n',
  'é',
  '😀',
];

const MUTATIONS_BY_NAME: Readonly<Record<string, Mutation>> = {
  cut: (tokens, random) => tokens.toSpliced(random.below(tokens.length), random.between(1, 4)),
  'cut the end': (tokens, random) => tokens.slice(0, random.below(tokens.length + 1)),
  duplicate(tokens, random) {
    const start = random.below(tokens.length);
    const piece = tokens.slice(start, start + random.between(1, 6));
    return tokens.toSpliced(start, 0, ...Array.from({ length: random.between(1, 5) }, () => piece).flat());
  },
  swap(tokens, random) {
    const [a, b] = [random.below(tokens.length), random.below(tokens.length)];
    return tokens.with(a, tokens[b] ?? '').with(b, tokens[a] ?? '');
  },
  'another statement’s words': (tokens, random, others) =>
    tokens.toSpliced(random.below(tokens.length), 1, ...others.slice(0, random.between(1, 5))),
  parentheses: (tokens, random) => {
    const depth = random.between(1, 40);
    return [
      ...Array.from({ length: depth }, () => '('),
      ...tokens,
      ...Array.from({ length: depth }, () => ')'),
    ];
  },
  'in a subquery': (tokens) => ['SELECT', '*', 'FROM', '(', ...tokens, ')', 'a'],
  'in a CTE': (tokens) => ['WITH', 'a', 'AS', '(', ...tokens, ')', 'SELECT', '1'],
  'under a CTE': (tokens, _random, others) => ['WITH', 'a', 'AS', '(', ...others, ')', ...tokens],
  explained: (tokens, random) => ['EXPLAIN', ...(random.chance(50) ? ['ANALYZE'] : []), ...tokens],
  prepared: (tokens) => ['PREPARE', 'p', 'AS', ...tokens],
  copied: (tokens) => ['COPY', '(', ...tokens, ')', 'TO', 'STDOUT'],
  'two statements': (tokens, _random, others) => [...tokens, ';', ...others],
  'odd characters': (tokens, random) =>
    tokens.toSpliced(
      random.below(tokens.length + 1),
      0,
      ...Array.from({ length: random.between(1, 3) }, () => random.pick(ODD)),
    ),
  'any bytes': (tokens, random) =>
    tokens.toSpliced(
      random.below(tokens.length + 1),
      0,
      random.bytes(random.between(1, 8)).toString('latin1'),
    ),
  'within a word': (tokens, random) => {
    const at = random.below(tokens.length);
    const word = tokens[at] ?? '';
    const cut = random.below(word.length + 1);
    return tokens.with(at, word.slice(0, cut) + random.pick(ODD) + word.slice(cut));
  },
};

test(`${MUTATIONS} mutated statements`, { timeout: 600_000 }, async () => {
  const mutations = Object.entries(MUTATIONS_BY_NAME);
  const tokenized = statements
    .map((sql) => [...(scan(sql) ?? sql.split(/\b/))])
    .filter((tokens) => tokens.length > 0);
  expect(tokenized.length).toBeGreaterThan(1500);
  let known = 0;
  for (let i = 0; i < MUTATIONS; i++) {
    const random = new Random(SEED, i);
    let tokens = random.pick(tokenized);
    const done: string[] = [];
    for (let times = random.between(1, 3); times > 0 && tokens.length > 0; times--) {
      const [name, mutate] = random.pick(mutations);
      done.push(name);
      tokens = mutate(tokens, random, random.pick(tokenized));
    }
    const sql = tokens.join(' ');
    try {
      const understanding = expectSound(sql);
      if (understanding.known) known++;
      else if (understanding.reason === 'limit') await turn();
    } catch (cause) {
      throw new Error(`seed ${SEED}, mutation ${i} (${done.join(', ')}): ${JSON.stringify(sql)}`, { cause });
    }
    if (i % 200 === 0) await turn();
  }
  // Mutations that only ever break the syntax would test the parser's error messages.
  expect(known / MUTATIONS).toBeGreaterThan(0.1);
});

/** EXPLAIN sends a plan and DECLARE nothing; the FETCHes of a cursor spend the budget. */
function sendsLess(around: string, rule: string): boolean {
  if (around.startsWith('EXPLAIN')) return ['large-limits', 'gathered-rows'].includes(rule);
  return around.startsWith('DECLARE') && rule === 'large-limits';
}

test('what is put around a statement never makes it easier to pass', () => {
  let compared = 0;
  const easier: string[] = [];
  for (const sql of statements) {
    const plain = understand(sql);
    if (!plain.known || plain.statements.length !== 1) continue;
    const { action: before, rule } = judgeFrame(rules, plain, session()) ?? { action: 'allow', rule: '' };
    for (const around of [
      `EXPLAIN ANALYZE ${sql}`,
      `EXPLAIN (ANALYZE, VERBOSE) ${sql}`,
      `PREPARE p AS ${sql}`,
      `DECLARE c CURSOR FOR ${sql}`,
      `COPY (${sql}) TO STDOUT`,
      `SELECT 1; ${sql}`,
      `BEGIN; ${sql}\n; COMMIT`,
      `/* x */ ${sql} -- x`,
    ]) {
      const understood = understand(around);
      if (!understood.known) continue;
      compared++;
      const after = judgeFrame(rules, understood, session())?.action ?? 'allow';
      if (isStricterAction(before, after) && !sendsLess(around, rule)) easier.push(`${rule}: ${around}`);
    }
  }
  expect(easier).toEqual([]);
  expect(compared).toBeGreaterThan(3000);
});

describe('large and deep texts end in facts or a reason', () => {
  test.each(Object.entries(HOSTILE))('%s', async (_name, text) => {
    await turn();
    const understanding = understand(text());
    if (!understanding.known) expect(['limit', 'syntax']).toContain(understanding.reason);
    await turn();
    // And the next statement is read as if nothing had been.
    expect(understand('SELECT 1 FROM t').known).toBe(true);
  });
});
