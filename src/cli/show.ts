// `countersign show ID`: one hold, with everything an approver needs to decide.
import type { Command } from 'commander';
import { systemClock } from '../base/clock.ts';
import { type ApiOptions, apiCommand, HoldsApi } from './client.ts';
import { holdSheet } from './sheet.ts';
import { processTerminal, type Terminal } from './terminal.ts';
import { visibleJson } from './visible.ts';

export function showCommand(terminal: Terminal = processTerminal()): Command {
  return apiCommand('show', terminal)
    .description('show one hold in full')
    .argument('<id>', 'its id, or an unambiguous beginning of it')
    .action(async (id: string, options: ApiOptions) => {
      const hold = await new HoldsApi(options, terminal).find(id);
      terminal.out(
        options.json === true ? `${visibleJson(hold, 2)}\n` : holdSheet(terminal, hold, systemClock.nowMs()),
      );
    });
}
