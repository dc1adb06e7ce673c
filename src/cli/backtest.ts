// `countersign rules backtest`: the statements of a log through other rules. Reads the log as a stream, takes from it what
// a rule can look at, and prints what would change.
import { Command, InvalidArgumentError } from 'commander';
import { isObject, type Json, type JsonObject } from '../audit/canonical.ts';
import { openedValue, readAll, type StoredRecord } from '../audit/read.ts';
import { CountersignError } from '../base/errors.ts';
import { Backtest, type RecordedStatement } from '../rules/backtest.ts';
import { loadRules } from '../rules/load.ts';
import type { Action } from '../rules/verdict.ts';
import { loadParser, understand } from '../sql/understand.ts';
import { backtestJson, backtestText } from './backtest-text.ts';
import { DEFAULT_PACK, several } from './rule-files.ts';
import type { Terminal } from './terminal.ts';
import { visibleJson } from './visible.ts';

interface Options {
  readonly log?: string;
  readonly config?: string;
  readonly rules?: readonly string[];
  readonly maxNewHolds?: number;
  readonly json: boolean;
}

export function backtestCommand(terminal: Terminal): Command {
  return new Command('backtest')
    .description('judge the statements of a log by other rules, and say what would change')
    .option('--log <dir>', "the log's folder")
    .option('--config <file>', 'take the log, and the rules if none are named, from a config file')
    .option('-r, --rules <file>', 'a rule file; may be repeated (default: the default pack)', several)
    .option('--max-new-holds <count>', 'exit 1 if more statements than this would newly be held', parseCount)
    .option('--json', 'print one JSON object', false)
    .action((options: Options) => backtest(terminal, options));
}

function parseCount(value: string): number {
  if (!/^\d{1,15}$/.test(value)) throw new InvalidArgumentError('a whole number, 0 or more');
  return Number(value);
}

async function backtest(terminal: Terminal, options: Options): Promise<void> {
  const { dir, files } = await sourcesOf(options);
  let atMs = 0;
  // A rule about the time is about the time of the statement.
  const rules = loadRules(files, () => atMs);
  await loadParser();
  const test = new Backtest(rules, understand);
  const range: { from: Json; to: Json } = { from: null, to: null };
  const progress = progressLine(terminal);
  for (const statement of statementsOf(dir, progress.show, range)) {
    atMs = statement.atMs;
    test.take(statement);
  }
  progress.clear();
  const report = test.report();
  const about = { rules: rules.hash, files: rules.files, ...range };
  const json = backtestJson(report, about);
  terminal.out(options.json ? `${visibleJson(json, 2)}\n` : `${backtestText(report, about, terminal)}\n`);
  const held = json.newly_held.count;
  if (options.maxNewHolds !== undefined && held > options.maxNewHolds) {
    throw new CountersignError(
      'denied',
      `${held} statements would newly be held; at most ${options.maxNewHolds} may be`,
    );
  }
}

async function sourcesOf(options: Options): Promise<{ dir: string; files: readonly string[] }> {
  const { log, rules, config: file } = options;
  if (file === undefined) {
    if (log === undefined)
      throw new CountersignError('usage', "name the log's folder with --log, or a config file with --config");
    return { dir: log, files: rules ?? [DEFAULT_PACK] };
  }
  const { loadConfig } = await import('../config.ts');
  const config = loadConfig(file);
  return { dir: log ?? config.audit.dir, files: rules ?? config.rules };
}

/** What the gate calls it when a portal goes on (gate/judge.ts). */
const RESUMED = 'resumed portal';
const TYPES = ['started', 'session.open', 'session.close', 'statement.intent'];

function* statementsOf(
  dir: string,
  onProgress: (read: number, all: number) => void,
  range: { from: Json; to: Json },
): Generator<RecordedStatement, void, undefined> {
  // What sessions said of themselves; of a session that the log does not open, nothing.
  const claims = new Map<string, RecordedStatement['session']['claimed']>();
  for (const record of readAll(dir, TYPES, onProgress)) {
    const { leaf } = record;
    const session = String(leaf['session']);
    if (leaf['type'] === 'started') claims.clear();
    else if (leaf['type'] === 'session.close') claims.delete(session);
    else if (leaf['type'] === 'session.open') {
      claims.set(session, {
        applicationName: textOf(leaf['application_name']),
        purpose: textOf(leaf['purpose']),
      });
    } else {
      range.from ??= leaf['time'] ?? null;
      range.to = leaf['time'] ?? null;
      yield statementOf(record, claims.get(session) ?? { applicationName: '', purpose: '' });
    }
  }
}

function statementOf(
  record: StoredRecord,
  claimed: RecordedStatement['session']['claimed'],
): RecordedStatement {
  const { leaf } = record;
  const sql = openedValue(record, 'sql');
  const who: JsonObject = isObject(leaf['who']) ? leaf['who'] : {};
  return {
    sql: typeof sql === 'string' ? sql : null,
    atMs: Date.parse(textOf(leaf['time'])),
    session: {
      agent: textOf(who['agent']),
      owner: textOf(who['owner']),
      onBehalfOf: listOf(who['on_behalf_of']),
      groups: [],
      claims: {},
      database: textOf(who['database']),
      role: textOf(who['role']),
      clientAddress: textOf(who['client_address']),
      tls: false,
      inTransaction: leaf['in_transaction'] === true,
      claimed,
    },
    classes: listOf(leaf['classes']),
    resumed: leaf['rule'] === RESUMED,
    action: actionOf(leaf['verdict']),
    rule: textOf(leaf['rule']),
  };
}

const textOf = (value: Json | undefined): string => (typeof value === 'string' ? value : '');

const listOf = (value: Json | undefined): readonly string[] =>
  Array.isArray(value) ? value.filter((item: Json) => typeof item === 'string') : [];

const actionOf = (value: Json | undefined): Action =>
  value === 'hold' || value === 'deny' ? value : 'allow';

const BAR_COLUMNS = 30;

function progressLine(terminal: Terminal): { show(read: number, all: number): void; clear(): void } {
  if (!terminal.errTty) return { show: () => {}, clear: () => {} };
  let shown = -1;
  return {
    show(read, all) {
      const percent = Math.floor((100 * read) / Math.max(1, all));
      if (percent === shown) return;
      shown = percent;
      const full = Math.round((BAR_COLUMNS * percent) / 100);
      terminal.err(`\r[${'#'.repeat(full)}${' '.repeat(BAR_COLUMNS - full)}] ${percent} %`);
    },
    clear: () => terminal.err('\r\u001b[K'),
  };
}
