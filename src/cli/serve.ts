// `countersign serve`: runs a node until it is told to stop. SIGTERM and SIGINT end it in good order, SIGHUP loads the
// rules again, and so does a change of their files. On standard output one line of JSON when it is ready; everything else goes to standard error.
import { Command } from 'commander';
import { type Logger, pino } from 'pino';
import { CountersignError } from '../base/errors.ts';
import { formatProblem, ProblemsError } from '../base/problem.ts';
import { loadConfig } from '../config.ts';
import type { LoadedRules } from '../rules/load.ts';
import type { RunningNode } from './node.ts';
import { RuleFiles } from './rule-watch.ts';
import { version } from './version.ts';

/** How long sessions may take to end before the process does. */
const SHUTDOWN_MS = 10_000;

export function serveCommand(): Command {
  return new Command('serve')
    .description('run the proxy')
    .option('-c, --config <file>', 'the config file', 'countersign.yaml')
    .option('--log-level <level>', 'trace, debug, info, warn, error or silent', 'info')
    .option('--no-watch', 'load the rules again on SIGHUP only, not when their files change')
    .action(async (options: { config: string; logLevel: string; watch: boolean }) => {
      const logger = operatorLog(options.logLevel);
      const config = loadConfig(options.config);
      for (const warning of config.warnings) logger.warn(formatProblem(warning));
      let failed: (error: CountersignError) => void = () => {};
      const logFailed = new Promise<CountersignError>((resolve) => {
        failed = resolve;
      });
      // Not before the config is known to be good: it takes as long to load as all the rest.
      const { startNode } = await import('./node.ts');
      const node = await startNode(config, { version, logger, onLogFailure: failed });
      warnOf(node.rules(), logger);
      const reloading = new RuleFiles(
        () => node.rules().sources,
        () => reload(node, logger),
      );
      // Before anyone is told that we are there: a signal must find its handler.
      process.on('SIGHUP', () => reloading.reload());
      if (options.watch) reloading.watch();
      const stopped = stopSignal();
      process.stdout.write(`${JSON.stringify({ ready: true, listen: node.listen, http: node.http })}\n`);

      const why = await Promise.race([logFailed, stopped]);
      if (why !== null) logger.fatal({ err: why }, 'the log has failed');
      await withDeadline(node.close(why ?? undefined));
      if (why !== null) throw why;
      // Everything is written and told. A peer that is slow to close its end keeps nobody here.
      process.exit(0);
    });
}

/** Structured lines on standard error, so that standard output stays for programs. */
export function operatorLog(level: string): Logger {
  const levels = ['trace', 'debug', 'info', 'warn', 'error', 'silent'];
  if (!levels.includes(level)) {
    throw new CountersignError('usage', `--log-level is one of ${levels.join(', ')}`);
  }
  return pino(
    { level, base: { name: 'countersign' }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination(2),
  );
}

function reload(node: RunningNode, logger: Logger): void {
  try {
    const rules = node.reloadRules();
    logger.info({ rules: rules.hash, files: rules.files }, 'rules loaded');
    warnOf(rules, logger);
  } catch (error) {
    if (!(error instanceof ProblemsError)) throw error;
    logger.error(
      { problems: error.problems.map(formatProblem) },
      'the new rules are not used; the old ones stay',
    );
  }
}

function warnOf(rules: LoadedRules, logger: Logger): void {
  for (const warning of rules.warnings) logger.warn(formatProblem(warning));
}

function stopSignal(): Promise<null> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(null));
  });
}

async function withDeadline(closing: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, SHUTDOWN_MS);
  });
  await Promise.race([closing, late]);
  clearTimeout(timer);
}
