// Where a command writes and what it may assume of whoever reads it. Handed in, so that a test can read it too.
import { styleText } from 'node:util';
import { CommanderError } from 'commander';
import { CountersignError, meaningOf } from '../base/errors.ts';
import { ProblemsError } from '../base/problem.ts';
import { visibleLine } from './visible.ts';

export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Standard output is a person's terminal. */
  readonly tty: boolean;
  /** Standard error is: there may be a progress line. */
  readonly errTty: boolean;
  readonly columns: number;
  readonly colour: boolean;
  /** Calls `stop` at Ctrl-C until the returned function is called. */
  onInterrupt(stop: () => void): () => void;
}

const DEFAULT_COLUMNS = 80;
/** Narrower than this, wrapping does not help any more. */
const MIN_COLUMNS = 40;

export function processTerminal(): Terminal {
  const { stdout, stderr, env } = process;
  const tty = stdout.isTTY === true;
  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    env,
    tty,
    errTty: stderr.isTTY === true,
    columns: Math.max(MIN_COLUMNS, (tty && stdout.columns) || DEFAULT_COLUMNS),
    // https://no-color.org: present and not empty.
    colour: tty && !env['NO_COLOR'] && env['TERM'] !== 'dumb',
    onInterrupt(stop) {
      process.on('SIGINT', stop);
      process.on('SIGTERM', stop);
      return () => {
        process.off('SIGINT', stop);
        process.off('SIGTERM', stop);
      };
    },
  };
}

type Style = Parameters<typeof styleText>[0];

/** Whether there is colour is the terminal's to say, so styleText does not ask process.stdout again. */
export function styled(terminal: Terminal, style: Style, text: string): string {
  return terminal.colour ? styleText(style, text, { validateStream: false }) : text;
}

/** Says on standard error why a command failed and returns the exit code: 1 the answer is no, 2 misused. */
export function printFailure(terminal: Terminal, error: unknown): 0 | 1 | 2 {
  // commander has printed its own message, or the help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof CountersignError) {
    // Only these have several lines of their own.
    const lines = error instanceof ProblemsError ? error.message.split('\n') : [error.message];
    terminal.err(`countersign: ${lines.map(visibleLine).join('\n')}\n`);
    if (error.hint) terminal.err(`  ${visibleLine(error.hint)}\n`);
    return meaningOf(error.code).exit;
  }
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  terminal.err(`countersign: this is a bug in countersign; please report it\n${detail}\n`);
  return 1;
}
