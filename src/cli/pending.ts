// `countersign pending`: what waits for a person now.
import type { Command } from 'commander';
import { systemClock } from '../base/clock.ts';
import { type ApiOptions, apiCommand, HoldsApi } from './client.ts';
import { holdTable } from './sheet.ts';
import { processTerminal, type Terminal } from './terminal.ts';
import { visibleJson } from './visible.ts';

export function pendingCommand(terminal: Terminal = processTerminal()): Command {
  return apiCommand('pending', terminal)
    .description('list the statements that wait for a person')
    .action(async (options: ApiOptions) => {
      const listed = await new HoldsApi(options, terminal).list('pending');
      if (options.json === true) {
        terminal.out(`${visibleJson(listed, 2)}\n`);
      } else if (listed.holds.length > 0) {
        terminal.out(holdTable(terminal, listed.holds, systemClock.nowMs()));
        const more = listed.total - listed.holds.length;
        if (more > 0) terminal.err(`… and ${more} older ones\n`);
      } else if (terminal.tty) {
        terminal.out('Nothing is waiting.\n');
      }
    });
}
