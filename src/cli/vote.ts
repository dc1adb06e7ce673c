// What `approve` and `deny` share: show the hold, then vote on exactly what was shown.
import { systemClock } from '../base/clock.ts';
import { CountersignError } from '../base/errors.ts';
import { type ApiOptions, HoldsApi } from './client.ts';
import { holdSheet, progress, stateWord } from './sheet.ts';
import type { Terminal } from './terminal.ts';
import { visibleJson } from './visible.ts';

export interface VoteOptions extends ApiOptions {
  readonly reason?: string;
}

export async function vote(
  terminal: Terminal,
  decision: 'approve' | 'deny',
  id: string,
  options: VoteOptions,
): Promise<void> {
  const api = new HoldsApi(options, terminal);
  const shown = await api.find(id);
  if (options.json !== true) terminal.out(`${holdSheet(terminal, shown, systemClock.nowMs())}\n`);
  // Nobody has seen all of it, so nobody can say yes to it.
  if (decision === 'approve' && shown.statement.truncated) {
    throw new CountersignError('stale', 'the statement was not shown in full, so it cannot be approved here');
  }
  const after = await api.vote(shown.id, {
    decision,
    reason: options.reason ?? null,
    statement_sha256: shown.statement.sha256,
    version: shown.version,
  });
  if (options.json === true) {
    terminal.out(`${visibleJson(after, 2)}\n`);
    return;
  }
  const yours = decision === 'approve' ? 'You approved it' : 'You denied it';
  terminal.out(`${yours}. It is ${stateWord(terminal, after)}: ${progress(after, systemClock.nowMs())}\n`);
}
