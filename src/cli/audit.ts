// `countersign audit verify | tail | show`: the log, read back. Verifying needs nothing of ours but the log's folder.
import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import { parseCheckpoint } from '../audit/checkpoint.ts';
import { parseVerifier } from '../audit/note.ts';
import { follow, readLast, readRecord, type StoredRecord } from '../audit/read.ts';
import { verifyLog } from '../audit/verify.ts';
import { systemClock } from '../base/clock.ts';
import { CountersignError } from '../base/errors.ts';
import { recordLine, recordPage, reportText } from './audit-text.ts';
import { processTerminal, type Terminal } from './terminal.ts';
import { visibleJson } from './visible.ts';

const MIB = 1024 * 1024;

interface Where {
  readonly config?: string;
  readonly json?: true;
}
interface VerifyOptions extends Where {
  readonly key?: string;
  readonly known: readonly string[];
}
interface TailOptions extends Where {
  readonly lines: number;
  readonly follow?: true;
}
type ShowOptions = Where;

export function auditCommand(terminal: Terminal = processTerminal()): Command {
  const audit = new Command('audit').description('read the log, and check that nobody has changed it');
  withWhere(
    audit.command('verify').description('check the whole log; exit 1 when it is not what was written'),
  )
    .option('--key <file>', 'verifier key, as keygen printed it: check the signature too')
    .option('--known <file>', 'a checkpoint kept from earlier; may be given several times', collect, [])
    .option('--json', 'print a report for programs')
    .action((dir: string | undefined, options: VerifyOptions) => verify(terminal, dir, options));
  withWhere(audit.command('tail').description('print the newest records'))
    .option('-n, --lines <count>', 'how many', parseCount, 20)
    .option('-f, --follow', 'go on with new ones')
    .option('--json', 'one JSON object per record')
    .action((dir: string | undefined, options: TailOptions) => tail(terminal, dir, options));
  withWhere(
    audit
      .command('show')
      .description('print one record in full, and what came of it')
      .argument('<seq>', 'its number', parseCount),
  )
    .option('--json', 'as JSON')
    .action((seq: number, dir: string | undefined, options: ShowOptions) =>
      show(terminal, seq, dir, options),
    );
  return audit;
}

function withWhere(command: Command): Command {
  return command
    .argument('[dir]', "the log's folder")
    .option('--config <file>', 'take the folder from a config file');
}

function collect(value: string, earlier: readonly string[]): readonly string[] {
  return [...earlier, value];
}

function parseCount(value: string): number {
  const count = Number(value);
  if (!/^[0-9]+$/.test(value) || !Number.isSafeInteger(count)) {
    throw new InvalidArgumentError('a whole number, 0 or more');
  }
  return count;
}

async function verify(terminal: Terminal, dir: string | undefined, options: VerifyOptions): Promise<void> {
  const folder = await folderOf(dir, options);
  const verifier = options.key === undefined ? null : parseVerifier(readText(options.key));
  const known = options.known.map((path) => parseCheckpoint(readText(path)));
  const start = systemClock.monoUs();
  const progress = (bytes: number): void => terminal.err(`\r${Math.floor(bytes / MIB)} MiB checked `);
  const showProgress = terminal.tty && options.json !== true;
  const report = verifyLog(folder, { verifier, known, ...(showProgress && { onProgress: progress }) });
  if (showProgress) terminal.err('\r\u001b[K');
  const tookMs = (systemClock.monoUs() - start) / 1000;
  terminal.out(
    options.json === true
      ? `${visibleJson({ ...report, tookMs }, 2)}\n`
      : `${reportText(report, tookMs, terminal)}\n`,
  );
  if (!report.ok) process.exitCode = 1;
}

async function tail(terminal: Terminal, dir: string | undefined, options: TailOptions): Promise<void> {
  const folder = await folderOf(dir, options);
  const write = (record: StoredRecord): void =>
    terminal.out(`${options.json === true ? jsonOf(record) : recordLine(record, terminal)}\n`);
  const stop = new AbortController();
  // `tail --follow | head` ends the pipe; that is no failure, and there is nobody left to write for.
  const onPipeEnd = (error: NodeJS.ErrnoException): void => {
    stop.abort();
    if (error.code !== 'EPIPE') throw error;
  };
  process.stdout.on('error', onPipeEnd);
  const offInterrupt = terminal.onInterrupt(() => stop.abort());
  try {
    const { records, end } = readLast(folder, options.lines);
    for (const record of records) write(record);
    if (options.follow === true) for await (const record of follow(folder, end, stop.signal)) write(record);
  } finally {
    offInterrupt();
  }
}

async function show(
  terminal: Terminal,
  seq: number,
  dir: string | undefined,
  options: ShowOptions,
): Promise<void> {
  const { record, outcomes } = readRecord(await folderOf(dir, options), seq);
  const { leaf, opening } = record;
  terminal.out(
    options.json === true
      ? `${visibleJson({ leaf, opening, outcomes: outcomes.map((outcome) => outcome.leaf) }, 2)}\n`
      : `${recordPage(record, outcomes, terminal)}\n`,
  );
}

function jsonOf(record: StoredRecord): string {
  return visibleJson({ leaf: record.leaf, opening: record.opening });
}

async function folderOf(dir: string | undefined, options: Where): Promise<string> {
  if (dir !== undefined && options.config === undefined) return dir;
  if (dir === undefined && options.config !== undefined) {
    // Most of what this command would otherwise take to start, and whoever names the folder has no use for it.
    const { loadConfig } = await import('../config.ts');
    return loadConfig(options.config).audit.dir;
  }
  throw new CountersignError(
    'usage',
    "name either the log's folder, or with --config the file that names it",
  );
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new CountersignError('usage', error instanceof Error ? error.message : `cannot read ${path}`);
  }
}
