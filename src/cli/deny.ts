// `countersign deny ID --reason T`: one person's no, which ends the hold; the agent is told the reason.
import type { Command } from 'commander';
import { apiCommand } from './client.ts';
import { processTerminal, type Terminal } from './terminal.ts';
import { type VoteOptions, vote } from './vote.ts';

export function denyCommand(terminal: Terminal = processTerminal()): Command {
  return apiCommand('deny', terminal)
    .description('show a hold and deny it')
    .argument('<id>', 'its id, or an unambiguous beginning of it')
    .requiredOption('--reason <text>', 'why; the agent is told')
    .action((id: string, options: VoteOptions) => vote(terminal, 'deny', id, options));
}
