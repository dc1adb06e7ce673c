// `countersign approve ID`: one person's yes to exactly the statement that is shown.
import type { Command } from 'commander';
import { apiCommand } from './client.ts';
import { processTerminal, type Terminal } from './terminal.ts';
import { type VoteOptions, vote } from './vote.ts';

export function approveCommand(terminal: Terminal = processTerminal()): Command {
  return apiCommand('approve', terminal)
    .description('show a hold and approve it')
    .argument('<id>', 'its id, or an unambiguous beginning of it')
    .option('--reason <text>', 'why; recorded with your vote')
    .action((id: string, options: VoteOptions) => vote(terminal, 'approve', id, options));
}
