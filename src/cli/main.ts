#!/usr/bin/env node
// The command line: which commands there are, and what their failures come to. Each command is a file of its own.
import { Command } from 'commander';
import { approveCommand } from './approve.ts';
import { auditCommand } from './audit.ts';
import { checkCommand } from './check.ts';
import { demoCommand } from './demo.ts';
import { denyCommand } from './deny.ts';
import { keygenCommand } from './keygen.ts';
import { pendingCommand } from './pending.ts';
import { rulesCommand } from './rules.ts';
import { secretCommand } from './secret.ts';
import { serveCommand } from './serve.ts';
import { showCommand } from './show.ts';
import { printFailure, processTerminal } from './terminal.ts';
import { tokenCommand } from './token.ts';
import { version } from './version.ts';
import { watchCommand } from './watch.ts';

const terminal = processTerminal();

const program = new Command('countersign')
  .description(
    'Holds risky SQL until a person approves it, and writes down who asked, who decided and what happened.',
  )
  .version(version)
  .showHelpAfterError('(--help says what there is)');

for (const command of [
  demoCommand(),
  serveCommand(),
  checkCommand(),
  pendingCommand(terminal),
  showCommand(terminal),
  approveCommand(terminal),
  denyCommand(terminal),
  watchCommand(terminal),
  rulesCommand(),
  auditCommand(terminal),
  keygenCommand(),
  tokenCommand(),
  secretCommand(),
]) {
  program.addCommand(command);
}
forEachCommand(program, (command) => command.exitOverride());

// Whoever reads us through a pipe may stop reading; that is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = printFailure(terminal, error);
}

function forEachCommand(command: Command, act: (command: Command) => void): void {
  act(command);
  for (const child of command.commands) forEachCommand(child, act);
}
