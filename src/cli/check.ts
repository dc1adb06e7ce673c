// `countersign check`: every problem in the config and in the rules that it names, with its place, before anything is
// started. Reads files only.
import { Command } from 'commander';
import { CountersignError } from '../base/errors.ts';
import { formatProblem, type Problem, ProblemsError } from '../base/problem.ts';
import { readConfig } from '../config.ts';
import { type LoadedRules, loadRules } from '../rules/load.ts';

interface Findings {
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
  readonly rules: LoadedRules | null;
}

/** What is wrong with `file` and the rules in it; both are looked into, whatever is wrong with the other. */
function findProblems(file: string): Findings {
  const reading = readConfig(file);
  if (reading.rules.length === 0)
    return { problems: reading.problems, warnings: reading.warnings, rules: null };
  try {
    const rules = loadRules(reading.rules);
    return { problems: reading.problems, warnings: [...reading.warnings, ...rules.warnings], rules };
  } catch (error) {
    if (!(error instanceof ProblemsError)) throw error;
    return { problems: [...reading.problems, ...error.problems], warnings: reading.warnings, rules: null };
  }
}

export function checkCommand(): Command {
  return new Command('check')
    .description('print every problem in the config file and its rules; exit 2 if there is any')
    .option('-c, --config <file>', 'the config file', 'countersign.yaml')
    .option('--json', 'print one JSON object', false)
    .action((options: { config: string; json: boolean }) => {
      const { problems, warnings, rules } = findProblems(options.config);
      if (options.json) {
        const ok = problems.length === 0;
        process.stdout.write(`${JSON.stringify({ ok, problems, warnings, rules: rules?.hash ?? null })}\n`);
      } else {
        for (const warning of warnings) process.stdout.write(`warning: ${formatProblem(warning)}\n`);
      }
      if (problems.length > 0) {
        const count = `${problems.length} problem${problems.length === 1 ? '' : 's'} in ${options.config}`;
        throw options.json ? new CountersignError('config', count) : new ProblemsError('config', problems);
      }
      if (!options.json) {
        process.stdout.write(
          `${options.config} is good: ${rules?.names.length ?? 0} rules, ${rules?.hash}\n`,
        );
      }
    });
}
