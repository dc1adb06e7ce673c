// Rule files to a rule set: YAML → schema → CEL, every problem of every file at once, each with its place. A set that
// has a problem is not loaded at all.
import { createHash } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { type Problem, ProblemsError } from '../base/problem.ts';
import { inOrder, problemsOf } from '../base/schema.ts';
import { readYaml, type YamlFile } from '../base/yaml.ts';
import type { Facts, Unknown } from '../sql/facts.ts';
import { compileCondition } from './condition.ts';
import { type Answer, type CompiledPack, type CompiledRule, Judge, verdictOf } from './evaluate.ts';
import { DEFAULT_RULE, type PackText, packSchema, type RuleText } from './pack.ts';
import { compareStrictness } from './strictness.ts';
import type { Action, RuleSet, SessionVariables, Verdict } from './verdict.ts';

export interface LoadedRules extends RuleSet {
  /** Every file that was read, those included by others too. */
  readonly files: readonly string[];
  /** Each of them → SHA-256 of its bytes as they were read. */
  readonly sources: ReadonlyMap<string, string>;
  /** Nothing that stops a start, but nothing an operator can have meant. */
  readonly warnings: readonly Problem[];
  /** Of every rule in all packs. */
  readonly names: readonly string[];
  /** Of all packs, those included by others too. */
  readonly rules: readonly CompiledRule[];
  explain(
    statement: Facts | Unknown,
    session: SessionVariables,
  ): { verdict: Verdict; answers: readonly Answer[] };
}

/** Loads the packs in `files`. Throws ProblemsError (code `rules`) that lists everything wrong with them. */
export function loadRules(files: readonly string[], nowMs: () => number = systemClock.nowMs): LoadedRules {
  const reader = new Reader();
  const packs = files.flatMap((file) => reader.pack(file, []) ?? []);
  if (files.length === 0) {
    reader.problems.push({
      file: 'rules',
      line: null,
      column: null,
      message: 'no rule file is named',
      excerpt: null,
    });
  }
  if (reader.problems.length > 0) throw new ProblemsError('rules', inOrder(reader.problems));

  reader.warnOfIdleRules(packs);
  const judge = new Judge(packs, nowMs);
  const rules = packs.flatMap((pack) => pack.rules);
  return {
    hash: hashOf(packs, reader.texts),
    files: [...reader.files],
    sources: reader.sources,
    warnings: inOrder(reader.warnings),
    names: rules.map((rule) => rule.verdict.rule),
    rules,
    judge: (statement, session) => judge.judge(statement, session),
    explain: (statement, session) => judge.explain(statement, session),
  };
}

class Reader {
  readonly problems: Problem[] = [];
  readonly warnings: Problem[] = [];
  readonly files = new Set<string>();
  readonly sources = new Map<string, string>();
  readonly texts = new Map<CompiledRule, RuleText>();
  /** Rule name → where it was defined first. */
  readonly #names = new Map<string, Problem>();

  pack(file: string, includedBy: readonly string[]): CompiledPack | null {
    const source = readYaml(file);
    this.files.add(file);
    if (!('value' in source)) {
      this.problems.push(source);
      return null;
    }
    this.sources.set(file, source.sha256);
    if (source.problems.length > 0) {
      this.problems.push(...source.problems);
      return null;
    }
    const parsed = packSchema.safeParse(source.value());
    if (!parsed.success) this.problems.push(...problemsOf(parsed.error, source));
    // Conditions of a pack with other faults are checked too, as far as they can be found.
    const text = parsed.success ? parsed.data : null;
    if (text === null) {
      this.#checkLooseConditions(source);
      return null;
    }
    const included = this.#included(text, source, [...includedBy, resolve(file)]);
    const rules = text.rules.flatMap((rule, i) => this.#rule(rule, ['rules', i], source) ?? []);
    const otherwise = text.default ?? strictestDefault(included) ?? 'hold';
    const all = [...included.flatMap((pack) => pack.rules.map((rule) => this.#within(pack, rule))), ...rules];
    if (otherwise !== 'allow' && all.length > 0 && all.every((rule) => rule.verdict.action !== 'allow')) {
      const message = `allows nothing, so it stops every statement: a pack that only adds objections says "default: allow"`;
      this.warnings.push(source.problem([], message));
    }
    return {
      file,
      enforce: text.enforce,
      rules: all,
      otherwise: verdictOf({
        action: otherwise,
        rule: DEFAULT_RULE,
        message: otherwise === 'allow' ? null : `No rule allows this statement, so it is ${PAST[otherwise]}.`,
      }),
    };
  }

  /** A rule whose every match another one matches too, more strictly, never decides. */
  warnOfIdleRules(packs: readonly CompiledPack[]): void {
    const all = packs.flatMap((pack) =>
      pack.rules.map((rule) => ({ rule, enforced: pack.enforce && rule.enforce })),
    );
    for (const { rule, enforced } of all) {
      const { verdict, condition } = rule;
      const other = all.find(
        (one) =>
          one.rule !== rule &&
          (one.enforced || !enforced) &&
          // It may still have the statement redacted.
          (verdict.record === 'full' || one.rule.verdict.record === 'digest') &&
          compareStrictness(one.rule.verdict, verdict) > 0 &&
          [...one.rule.condition.demands].every((demand) => condition.demands.has(demand)),
      );
      const here = this.#names.get(verdict.rule);
      const there = this.#names.get(other?.rule.verdict.rule ?? '');
      if (other === undefined || here === undefined || there === undefined) continue;
      const message = `rule "${verdict.rule}" never decides: whatever it matches, "${other.rule.verdict.rule}" at ${there.file}:${there.line} matches too, and it is stricter or comes first by name`;
      this.warnings.push({ ...here, message });
    }
  }

  #included(text: PackText, source: YamlFile, chain: readonly string[]): CompiledPack[] {
    return text.include.flatMap((name, i) => {
      const file = resolve(dirname(source.file), name);
      if (chain.includes(file)) {
        this.problems.push(source.problem(['include', i], `"${name}" includes itself`));
        return [];
      }
      const before = this.problems.length;
      const shown = dirname(source.file) === '.' ? name : `${dirname(source.file)}/${name}`;
      const pack = this.pack(name.startsWith('/') ? name : shown, chain);
      if (pack !== null) return [pack];
      if (this.problems.length === before + 1 && this.problems[before]?.line === null) {
        // The file itself cannot be read: that is a fault of the line that names it.
        const [problem] = this.problems.splice(before, 1);
        if (problem) this.problems.push(source.problem(['include', i], `"${name}" ${problem.message}`));
      }
      return [];
    });
  }

  /** A rule of a pack that is not enforced is not enforced in the pack that includes it either. */
  #within(pack: CompiledPack, rule: CompiledRule): CompiledRule {
    if (pack.enforce || !rule.enforce) return rule;
    const observed = { ...rule, enforce: false };
    const text = this.texts.get(rule);
    if (text !== undefined) this.texts.set(observed, { ...text, enforce: false });
    return observed;
  }

  #rule(rule: RuleText, path: readonly (string | number)[], source: YamlFile): CompiledRule | null {
    const here = source.problem([...path, 'name'], '');
    const first = this.#names.get(rule.name);
    if (first === undefined) this.#names.set(rule.name, here);
    else {
      const message = `rule "${rule.name}" is defined already at ${first.file}:${first.line}: names are unique over all packs`;
      this.problems.push({ ...here, message });
    }
    if (rule.action === 'deny') {
      for (const key of ['approvals', 'budgets'] as const) {
        if (rule[key] === undefined) continue;
        this.warnings.push(source.problem([...path, key], 'has no effect on a rule whose action is deny'));
      }
    }
    const condition = this.#condition(rule.name, rule.when, [...path, 'when'], source);
    if (condition === null) return null;
    if (condition.neverTrue) {
      this.warnings.push(
        source.problem(
          [...path, 'when'],
          `rule "${rule.name}" can never fire: its condition is always false`,
        ),
      );
    }
    const compiled: CompiledRule = {
      file: source.file,
      description: rule.description ?? null,
      enforce: rule.enforce,
      condition,
      verdict: verdictOf({
        action: rule.action,
        rule: rule.name,
        message: rule.message ?? rule.description ?? null,
        contact: rule.contact ?? null,
        approvals: {
          count: rule.approvals?.count ?? 1,
          groups: rule.approvals?.groups ?? [],
          reasonRequired: rule.approvals?.reason === 'required',
        },
        ...(rule.budgets && {
          budgets: {
            statementRows: rule.budgets.statementRows ?? null,
            statementBytes: rule.budgets.statementBytes ?? null,
          },
        }),
        record: rule.record,
      }),
    };
    this.texts.set(compiled, rule);
    return compiled;
  }

  #condition(name: string, when: string, path: readonly (string | number)[], source: YamlFile) {
    const compiled = compileCondition(when);
    if (!Array.isArray(compiled)) return compiled;
    for (const fault of compiled) {
      const at = source.offsetInString(path, fault.index);
      this.problems.push(source.problemAt(at, `rule "${name}": ${fault.message}`, caret(when, fault.index)));
    }
    return null;
  }

  #checkLooseConditions(source: YamlFile): void {
    const value = source.value();
    const rules = typeof value === 'object' && value !== null && 'rules' in value ? value.rules : [];
    if (!Array.isArray(rules)) return;
    rules.forEach((rule: unknown, i) => {
      if (typeof rule !== 'object' || rule === null || !('when' in rule) || typeof rule.when !== 'string')
        return;
      const name = 'name' in rule && typeof rule.name === 'string' ? rule.name : `rules[${i}]`;
      this.#condition(name, rule.when, ['rules', i, 'when'], source);
    });
  }
}

const PAST = { hold: 'held for a person', deny: 'denied' } as const;

/** The line of the expression that the fault is in, with a caret under it. */
function caret(expression: string, index: number): string {
  const start = expression.lastIndexOf('\n', index - 1) + 1;
  const end = expression.indexOf('\n', index);
  const line = expression.slice(start, end === -1 ? undefined : end).replaceAll('\t', ' ');
  return `${line}\n${' '.repeat(index - start)}^`;
}

function strictestDefault(packs: readonly CompiledPack[]): Action | null {
  const actions = packs.map((pack) => pack.otherwise.action);
  return (['deny', 'hold', 'allow'] as const).find((action) => actions.includes(action)) ?? null;
}

/** Over what the packs mean: neither comments and layout nor the order of rules and files change it. */
function hashOf(packs: readonly CompiledPack[], texts: ReadonlyMap<CompiledRule, RuleText>): string {
  const canonical = packs
    .map((pack) => ({
      default: pack.otherwise.action,
      enforce: pack.enforce,
      rules: pack.rules.map((rule) => JSON.stringify(sorted(texts.get(rule)))).sort(),
    }))
    .map((pack) => JSON.stringify(pack))
    .sort();
  return `sha256:${createHash('sha256').update(JSON.stringify(canonical)).digest('hex')}`;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}
