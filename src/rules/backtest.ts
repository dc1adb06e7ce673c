// Recorded statements through other rules: what would newly be held, denied or let go. Pure; cli/backtest.ts reads the log.
// Each distinct statement is judged once per kind of session that the rules can tell apart.
import { LRUCache } from 'lru-cache';
import { type Facts, STATEMENT_CLASSES, type Understanding, type Unknown } from '../sql/facts.ts';
import { judgeFrame } from './cases.ts';
import type { LoadedRules } from './load.ts';
import type { Action, SessionVariables } from './verdict.ts';

/** One statement as the log has it. */
export interface RecordedStatement {
  /** null: its text was not kept. */
  readonly sql: string | null;
  readonly atMs: number;
  readonly session: SessionVariables;
  /** As they were in its database, all statements of the frame together; `unknown` where the gate could not tell what would run. */
  readonly classes: readonly string[];
  /** More rows of a portal that was judged when it started. */
  readonly resumed: boolean;
  readonly action: Action;
  readonly rule: string;
}

/** What a record may lack that a rule needs: why a statement was not judged → what that means, for a person. */
export const NOT_JUDGED = {
  redacted: 'text not kept (record: digest, or erased since)',
  named: 'EXECUTE or FETCH: the text does not say what runs (its PREPARE or DECLARE was judged)',
  resumed: 'more rows of a portal that was judged when it started',
} as const;
export type NotJudged = keyof typeof NOT_JUDGED;

export type Change = 'held' | 'denied' | 'let go';

/** Statements whose verdict changes in the same way. */
export interface ChangeGroup {
  readonly change: Change;
  readonly before: { readonly action: Action; readonly rule: string };
  readonly now: { readonly action: Action; readonly rule: string };
  count: number;
  readonly agents: Map<string, number>;
  /** Some of their texts, cut. */
  readonly examples: string[];
}

export interface BacktestReport {
  readonly statements: number;
  readonly judged: number;
  /** Judgements made; the rest were the same again. */
  readonly distinct: number;
  readonly notJudged: ReadonlyMap<NotJudged, number>;
  /** Judged as not understood, because the gate did not. */
  readonly notUnderstood: number;
  /** The most frequent first. */
  readonly groups: readonly ChangeGroup[];
  /** What rules look at and no record has → those rules. */
  readonly missing: ReadonlyMap<string, readonly string[]>;
}

/** Not in the log. */
const MISSING = ['session.groups', 'session.claims', 'session.tls'];
const CHANGES: Readonly<Record<Action, Change>> = { hold: 'held', deny: 'denied', allow: 'let go' };
const EXAMPLES_MAX = 3;
const EXAMPLE_LENGTH = 500;
const CACHE_CHARACTERS = 64 * 1024 * 1024;

type Judgement = { readonly action: Action; readonly rule: string } | NotJudged;

export class Backtest {
  readonly #rules: LoadedRules;
  readonly #understand: (sql: string) => Understanding;
  /** Null: a rule looks at the time, which never comes again. */
  readonly #known: LRUCache<string, Judgement> | null;
  readonly #keyOf: (session: SessionVariables) => string;
  readonly #groups = new Map<string, ChangeGroup>();
  readonly #notJudged = new Map<NotJudged, number>();
  #statements = 0;
  #distinct = 0;
  #notUnderstood = 0;

  constructor(rules: LoadedRules, understand: (sql: string) => Understanding) {
    this.#rules = rules;
    this.#understand = understand;
    const looksAt = new Set(rules.rules.flatMap(({ condition }) => [...condition.looksAt]));
    const usesTime = [...looksAt].some((path) => path.startsWith('time'));
    this.#known = usesTime
      ? null
      : new LRUCache({ maxSize: CACHE_CHARACTERS, sizeCalculation: (_judgement, key) => key.length + 100 });
    this.#keyOf = sessionKey(looksAt);
  }

  take(recorded: RecordedStatement): void {
    this.#statements++;
    const judgement = this.#judgementOf(recorded);
    if (typeof judgement === 'string') {
      this.#notJudged.set(judgement, (this.#notJudged.get(judgement) ?? 0) + 1);
      return;
    }
    if (recorded.classes.includes('unknown')) this.#notUnderstood++;
    if (judgement.action !== recorded.action) this.#changed(recorded, judgement);
  }

  #judgementOf(recorded: RecordedStatement): Judgement {
    const { sql, session, classes } = recorded;
    if (recorded.resumed) return 'resumed';
    if (sql === null) return 'redacted';
    if (this.#known === null) return this.#judge(sql, session, classes);
    const key = `${classes.join()} ${this.#keyOf(session)}${sql}`;
    let judgement = this.#known.get(key);
    if (judgement === undefined) {
      judgement = this.#judge(sql, session, classes);
      this.#known.set(key, judgement);
    }
    return judgement;
  }

  #judge(sql: string, session: SessionVariables, classes: readonly string[]): Judgement {
    this.#distinct++;
    let understanding = this.#understand(sql);
    // The session, not the text, was why: a name that nobody had given, a setting under which the server reads otherwise.
    if (classes.includes('unknown') && isUnderstood(understanding)) understanding = asRecorded(sql);
    else understanding = asInDatabase(understanding, classes);
    if (understanding.known && understanding.statements.some(runsByName)) return 'named';
    const verdict = judgeFrame(this.#rules, understanding, session);
    return { action: verdict?.action ?? 'allow', rule: verdict?.rule ?? 'empty query' };
  }

  #changed({ sql, session, action, rule }: RecordedStatement, now: Exclude<Judgement, string>): void {
    const key = JSON.stringify([action, rule, now.action, now.rule]);
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = {
        change: CHANGES[now.action],
        before: { action, rule },
        now: { action: now.action, rule: now.rule },
        count: 0,
        agents: new Map(),
        examples: [],
      };
      this.#groups.set(key, group);
    }
    group.count++;
    group.agents.set(session.agent, (group.agents.get(session.agent) ?? 0) + 1);
    if (group.examples.length >= EXAMPLES_MAX || sql === null) return;
    const example = sql.length > EXAMPLE_LENGTH ? `${sql.slice(0, EXAMPLE_LENGTH)}…` : sql;
    if (!group.examples.includes(example)) group.examples.push(example);
  }

  report(): BacktestReport {
    const notJudged = [...this.#notJudged.values()].reduce((sum, count) => sum + count, 0);
    const missing = MISSING.flatMap((path) => {
      const variable = path.split('.', 1)[0] ?? '';
      const rules = this.#rules.rules.filter(
        ({ condition: { looksAt } }) => looksAt.has(path) || looksAt.has(variable),
      );
      return rules.length === 0 ? [] : [[path, rules.map((rule) => rule.verdict.rule)] as const];
    });
    return {
      statements: this.#statements,
      judged: this.#statements - notJudged,
      distinct: this.#distinct,
      notJudged: this.#notJudged,
      notUnderstood: this.#notUnderstood,
      groups: [...this.#groups.values()].toSorted((a, b) => b.count - a.count),
      missing: new Map(missing),
    };
  }
}

/** How often each agent, and each rule that decides now (or decided before, of what is let go), changes that way. */
export function totalsOf(groups: readonly ChangeGroup[], change: Change) {
  const agents = new Map<string, number>();
  const rules = new Map<string, number>();
  let count = 0;
  for (const group of groups) {
    if (group.change !== change) continue;
    count += group.count;
    const { rule } = change === 'let go' ? group.before : group.now;
    rules.set(rule, (rules.get(rule) ?? 0) + group.count);
    for (const [agent, times] of group.agents) agents.set(agent, (agents.get(agent) ?? 0) + times);
  }
  return { count, agents: byCount(agents), rules: byCount(rules) };
}

const byCount = (counts: ReadonlyMap<string, number>) =>
  new Map([...counts].toSorted(([, a], [, b]) => b - a));

/** What tells sessions apart, for rules that look at these paths. */
function sessionKey(looksAt: ReadonlySet<string>): (session: SessionVariables) => string {
  const used = SESSION_PATHS.filter(
    ([path]) => looksAt.has(path) || looksAt.has(path.split('.', 1)[0] ?? ''),
  );
  if (used.length === 0) return () => '';
  return (session) => JSON.stringify(used.map(([, read]) => read(session)));
}

/** What differs between records; what the log does not have is the same in all. */
const SESSION_PATHS: readonly (readonly [string, (session: SessionVariables) => unknown])[] = [
  ['session.agent', (session) => session.agent],
  ['session.owner', (session) => session.owner],
  ['session.on_behalf_of', (session) => session.onBehalfOf],
  ['session.database', (session) => session.database],
  ['session.role', (session) => session.role],
  ['session.client_address', (session) => session.clientAddress],
  ['session.in_transaction', (session) => session.inTransaction],
  ['claimed.application_name', (session) => session.claimed.applicationName],
  ['claimed.purpose', (session) => session.claimed.purpose],
];

const runsByName = ({ names }: Facts): boolean =>
  names.some(({ kind }) => kind === 'execute' || kind === 'fetch');

const isUnderstood = (understanding: Understanding): boolean =>
  understanding.known && understanding.statements.every(({ classes }) => !classes.includes('unknown'));

/**
 * With what the catalog said when it was recorded: that functions of the user's own are harmless, or that a view or a rule
 * does more than the text shows.
 */
function asInDatabase(understanding: Understanding, recorded: readonly string[]): Understanding {
  if (!understanding.known) return understanding;
  const shown = new Set<string>(understanding.statements.flatMap(({ classes }) => classes));
  const hidden = STATEMENT_CLASSES.filter((one) => recorded.includes(one) && !shown.has(one));
  if (hidden.length === 0 && [...shown].every((one) => recorded.includes(one))) return understanding;
  return {
    ...understanding,
    statements: understanding.statements.map((facts) => ({
      ...facts,
      classes: [...(recorded.includes('code') ? facts.classes : facts.open.classes), ...hidden],
    })),
  };
}

function asRecorded(text: string): Unknown {
  return {
    known: false,
    text,
    reason: 'name',
    detail: 'what it would run was not known when it was recorded',
  };
}
