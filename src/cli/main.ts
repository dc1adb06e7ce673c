#!/usr/bin/env node
// The command line: which commands there are, and what their failures come to. Each command is a file of its own.
import { Command } from 'commander';
import { printFailure, processTerminal } from './terminal.ts';
import { version } from './version.ts';

const terminal = processTerminal();

/** In the order of the help. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  demo: async () => (await import('./demo.ts')).demoCommand(),
  serve: async () => (await import('./serve.ts')).serveCommand(),
  check: async () => (await import('./check.ts')).checkCommand(),
  pending: async () => (await import('./pending.ts')).pendingCommand(terminal),
  show: async () => (await import('./show.ts')).showCommand(terminal),
  approve: async () => (await import('./approve.ts')).approveCommand(terminal),
  deny: async () => (await import('./deny.ts')).denyCommand(terminal),
  watch: async () => (await import('./watch.ts')).watchCommand(terminal),
  schema: async () => (await import('./schema.ts')).schemaCommand(),
  rules: async () => (await import('./rules.ts')).rulesCommand(terminal),
  audit: async () => (await import('./audit.ts')).auditCommand(terminal),
  keygen: async () => (await import('./keygen.ts')).keygenCommand(),
  token: async () => (await import('./token.ts')).tokenCommand(),
  secret: async () => (await import('./secret.ts')).secretCommand(),
};

const program = new Command('countersign')
  .description(
    'Holds risky SQL until a person approves it, and writes down who asked, who decided and what happened.',
  )
  .version(version)
  .showHelpAfterError('(--help says what there is)');

// A command needs nothing of the others, and all of them together take half a second to load.
const named = Object.hasOwn(COMMANDS, process.argv[2] ?? '')
  ? [process.argv[2] as string]
  : Object.keys(COMMANDS);
for (const name of named) program.addCommand(await (COMMANDS[name] as () => Promise<Command>)());
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
