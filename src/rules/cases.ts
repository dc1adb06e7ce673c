// Case files: what a pack must say of which statement. They ship with every pack, operators write their own, and both
// `countersign rules test` and the test suite run them through here.
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { type Problem, ProblemsError } from '../base/problem.ts';
import { flag, problemsOf, strict, strings } from '../base/schema.ts';
import { readYaml, type YamlFile } from '../base/yaml.ts';
import type { Understanding } from '../sql/facts.ts';
import { loadRules } from './load.ts';
import { strictestOf } from './strictness.ts';
import type { RuleSet, SessionVariables, Verdict } from './verdict.ts';

const action = z.enum(['allow', 'hold', 'deny']);

const sessionSchema = strict({
  agent: z.string(),
  owner: z.string(),
  on_behalf_of: strings,
  groups: strings,
  claims: z.record(z.string(), z.json()),
  database: z.string(),
  role: z.string(),
  client_address: z.string(),
  in_transaction: flag,
  tls: flag,
  application_name: z.string(),
  purpose: z.string(),
}).partial();

export const casesSchema = strict({
  version: z.literal(1),
  description: z.string().optional(),
  /** The packs under test, beside the case file. */
  rules: strings.min(1),
  /** What every case's session starts from. */
  session: sessionSchema.default({}),
  cases: z
    .array(
      strict({
        sql: z.string(),
        session: sessionSchema.default({}),
        expect: action,
        /** The rule that must have decided. */
        rule: z.string().optional(),
        /** What rules that are not enforced must have said; `none` when nothing stricter. */
        would: z.union([z.literal('none'), action]).optional(),
      }),
    )
    .min(1),
});

type SessionText = z.infer<typeof sessionSchema>;
type Case = z.infer<typeof casesSchema>['cases'][number];

/** What the gate would do with a whole frame; null when there is nothing in it to judge. */
export function judgeFrame(
  rules: RuleSet,
  understood: Understanding,
  session: SessionVariables,
): Verdict | null {
  if (!understood.known) return rules.judge(understood, session);
  const [first, ...others] = understood.statements.map((statement) => rules.judge(statement, session));
  return first === undefined ? null : strictestOf([first, ...others]);
}

export function sessionOf(text: SessionText): SessionVariables {
  return {
    agent: text.agent ?? 'agent',
    owner: text.owner ?? 'owner@example.com',
    onBehalfOf: text.on_behalf_of ?? [],
    groups: text.groups ?? [],
    claims: text.claims ?? {},
    database: text.database ?? 'shop',
    role: text.role ?? 'agent',
    clientAddress: text.client_address ?? '127.0.0.1',
    tls: text.tls ?? true,
    inTransaction: text.in_transaction ?? false,
    claimed: { applicationName: text.application_name ?? '', purpose: text.purpose ?? '' },
  };
}

export interface CaseReport {
  readonly count: number;
  readonly failures: readonly Problem[];
  /** Rules that no case matches: nothing would notice if they stopped working. */
  readonly untested: readonly string[];
}

/**
 * Runs every case of `file`, against `packs` instead of those it names when given.
 * Throws ProblemsError when the case file or a pack is broken.
 */
export function runCases(
  file: string,
  understand: (sql: string) => Understanding,
  packs: readonly string[] = [],
): CaseReport {
  const source = readYaml(file);
  if (!('value' in source)) throw new ProblemsError('rules', [source]);
  if (source.problems.length > 0) throw new ProblemsError('rules', source.problems);
  const parsed = casesSchema.safeParse(source.value());
  if (!parsed.success) throw new ProblemsError('rules', problemsOf(parsed.error, source));
  const text = parsed.data;
  const rules = loadRules(packs.length > 0 ? packs : text.rules.map((name) => resolve(dirname(file), name)));
  const matched = new Set<string>();
  const failures = text.cases.flatMap((one, i): Problem[] => {
    const session = sessionOf({ ...text.session, ...one.session });
    const understood = understand(one.sql);
    for (const statement of understood.known ? understood.statements : [understood]) {
      for (const answer of rules.explain(statement, session).answers) {
        if (answer.matched) matched.add(answer.rule.verdict.rule);
      }
    }
    const verdict = judgeFrame(rules, understood, session);
    return failuresOf(one, verdict, i, source);
  });
  return { count: text.cases.length, failures, untested: rules.names.filter((name) => !matched.has(name)) };
}

function failuresOf(one: Case, verdict: Verdict | null, i: number, source: YamlFile): Problem[] {
  const failures: Problem[] = [];
  const fail = (key: string, message: string) =>
    failures.push(source.problem(['cases', i, key], message, one.sql));
  const got = verdict?.action ?? 'allow';
  const by = verdict === null ? 'nothing to judge' : `rule "${verdict.rule}"`;
  if (got !== one.expect) fail('expect', `expected ${one.expect}, got ${got} by ${by}`);
  else if (one.rule !== undefined && one.rule !== verdict?.rule) {
    fail('rule', `expected ${one.expect} by rule "${one.rule}", got it by ${by}`);
  }
  const would = verdict?.wouldHave?.action ?? 'none';
  if (one.would !== undefined && one.would !== would)
    fail('would', `expected would: ${one.would}, got ${would}`);
  return failures;
}
