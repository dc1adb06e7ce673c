// `countersign rules …`: try rules out before they decide anything. `explain` says what the rules make of a statement,
// `test` runs case files, `backtest` (a file of its own) a log.
import { Command } from 'commander';
import { CountersignError } from '../base/errors.ts';
import { formatProblem } from '../base/problem.ts';
import { judgeFrame, runCases, sessionOf } from '../rules/cases.ts';
import type { Answer } from '../rules/evaluate.ts';
import { loadRules } from '../rules/load.ts';
import type { Facts, Unknown } from '../sql/facts.ts';
import { loadParser, understand } from '../sql/understand.ts';
import { backtestCommand } from './backtest.ts';
import { DEFAULT_PACK, several } from './rule-files.ts';
import { processTerminal, type Terminal } from './terminal.ts';
import { visibleJson } from './visible.ts';

interface ExplainOptions {
  readonly rules: readonly string[];
  readonly json: boolean;
  readonly agent: string;
  readonly database: string;
}

export function rulesCommand(terminal: Terminal = processTerminal()): Command {
  const command = new Command('rules').description('try rules out before they decide anything');
  command
    .command('explain')
    .description("print a statement's facts, each rule's answer and the verdict")
    .argument('<sql>', 'one frame of SQL, as an agent would send it')
    .option('-r, --rules <file>', `a rule file; may be repeated (default: the default pack)`, several)
    .option('--agent <name>', 'the agent who asks', 'agent')
    .option('--database <name>', 'the database that it is connected to', 'shop')
    .option('--json', 'print one JSON object', false)
    .action(async (sql: string, options: ExplainOptions) => {
      const text = await explain(sql, { ...options, rules: options.rules ?? [DEFAULT_PACK] });
      process.stdout.write(text);
    });
  command
    .command('test')
    .description('run case files; exit 1 if a case does not come out as written')
    .argument('<files...>', 'case files, such as rules/default.cases.yaml')
    .option('-r, --rules <file>', 'test these rule files instead of those that the case files name', several)
    .option('--json', 'print one JSON object', false)
    .action(async (files: readonly string[], options: { rules?: readonly string[]; json: boolean }) => {
      await loadParser();
      const reports = files.map((file) => ({ file, ...runCases(file, understand, options.rules) }));
      const failed = reports.reduce((sum, report) => sum + report.failures.length, 0);
      const count = reports.reduce((sum, report) => sum + report.count, 0);
      if (options.json) process.stdout.write(`${JSON.stringify({ ok: failed === 0, reports })}\n`);
      else {
        for (const { file, failures, untested } of reports) {
          for (const failure of failures) process.stdout.write(`${formatProblem(failure)}\n`);
          if (untested.length > 0) process.stdout.write(`${file}: no case matches ${untested.join(', ')}\n`);
        }
        process.stdout.write(`${count} cases, ${failed} failed\n`);
      }
      if (failed > 0) throw new CountersignError('denied', `${failed} of ${count} cases failed`);
    });
  command.addCommand(backtestCommand(terminal));
  return command;
}

async function explain(sql: string, options: ExplainOptions): Promise<string> {
  await loadParser();
  const rules = loadRules(options.rules);
  const session = sessionOf({ agent: options.agent, database: options.database });
  const understood = understand(sql);
  const verdict = judgeFrame(rules, understood, session);
  const statements = (understood.known ? understood.statements : [understood]).map((facts) => ({
    facts,
    ...rules.explain(facts, session),
  }));
  if (options.json) {
    const plain = statements.map((one) => ({ ...one, answers: one.answers.map(plainAnswer) }));
    const about = { rules: rules.hash, files: rules.files, warnings: rules.warnings, session };
    return `${visibleJson({ verdict, statements: plain, ...about })}\n`;
  }
  const parts = statements.map(({ facts, answers, verdict: own }) =>
    [...factLines(facts), ...answers.flatMap(answerLines), `  → ${own.action} by ${own.rule}`, ''].join('\n'),
  );
  const whole = verdict === null ? 'nothing to judge' : `${verdict.action} by ${verdict.rule}`;
  const would = verdict?.wouldHave
    ? `, would be ${verdict.wouldHave.action} by ${verdict.wouldHave.rule}`
    : '';
  const message = verdict?.message ? `\n${verdict.message}` : '';
  return `${parts.join('\n')}\n${whole}${would}${message}\n`;
}

function plainAnswer({ rule, enforced, matched, failure }: Answer) {
  const { verdict, condition, file, description } = rule;
  return {
    rule: verdict.rule,
    file,
    description,
    action: verdict.action,
    enforced,
    matched,
    failure,
    looks_at: [...condition.looksAt],
    approvals: verdict.approvals,
    record: verdict.record,
    message: verdict.message,
    contact: verdict.contact,
  };
}

function answerLines({ rule, enforced, matched, failure }: Answer): string[] {
  const mark = matched ? '✓' : '·';
  const notes = [
    enforced ? '' : ' (observed only)',
    failure === null ? '' : ` (could not be evaluated: ${failure})`,
  ];
  return [
    `  ${mark} ${rule.verdict.rule}: ${rule.verdict.action}${notes.join('')}`,
    `      ${[...rule.condition.looksAt].join(', ') || 'looks at nothing'}`,
  ];
}

/** The statement on one line, without control characters that would play with the terminal. */
function quoted(text: string): string {
  return text.replace(/[\p{C}\s]+/gu, ' ').trim();
}

function factLines(facts: Facts | Unknown): string[] {
  if (!facts.known)
    return [quoted(facts.text), `  not understood (${facts.reason}): ${quoted(facts.detail)}`];
  const { text, names, known, dependsOnLiterals, ...rest } = facts;
  const shown = Object.entries(rest).filter(
    ([, value]) => value !== null && !(Array.isArray(value) && value.length === 0),
  );
  return [quoted(text), ...shown.map(([name, value]) => `  ${name}: ${quoted(JSON.stringify(value))}`)];
}
