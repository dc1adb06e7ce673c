// `countersign watch`: every hold as it comes and how it ends, until Ctrl-C. Asks once a second; a lost connection is
// said once and then waited out.
import type { Command } from 'commander';
import { systemClock } from '../base/clock.ts';
import { CountersignError } from '../base/errors.ts';
import type { HoldId } from '../base/ids.ts';
import type { HoldDocument } from '../holds/document.ts';
import { type ApiOptions, apiCommand, HoldsApi } from './client.ts';
import { holdSheet, progress, stateWord } from './sheet.ts';
import { processTerminal, type Terminal } from './terminal.ts';
import { visibleJson, visibleLine } from './visible.ts';

const POLL_MS = 1_000;

export function watchCommand(terminal: Terminal = processTerminal(), pollMs: number = POLL_MS): Command {
  return apiCommand('watch', terminal)
    .description('print every hold as it comes and as it ends, until Ctrl-C')
    .action(async (options: ApiOptions) => {
      const api = new HoldsApi(options, terminal);
      const print = options.json === true ? jsonLine(terminal) : sentences(terminal);
      const interrupted = new AbortController();
      const ignore = terminal.onInterrupt(() => interrupted.abort());
      if (terminal.tty && options.json !== true) terminal.out('Watching. Ctrl-C ends it.\n');
      try {
        await watch(api, print, terminal, pollMs, interrupted.signal);
      } finally {
        ignore();
      }
    });
}

type Print = (hold: HoldDocument) => void;

async function watch(
  api: HoldsApi,
  print: Print,
  terminal: Terminal,
  pollMs: number,
  interrupted: AbortSignal,
): Promise<void> {
  const open = new Map<HoldId, number>();
  let cutOff = false;
  while (!interrupted.aborted) {
    try {
      await look(api, open, print);
      if (cutOff) terminal.err('countersign: connected again\n');
      cutOff = false;
    } catch (error) {
      if (!(error instanceof CountersignError) || error.code !== 'approvals_unavailable') throw error;
      if (!cutOff) terminal.err(`countersign: ${visibleLine(error.message)}; trying again\n`);
      cutOff = true;
    }
    await pause(pollMs, interrupted);
  }
}

/** Prints what has changed since the last look: new holds, new votes, and holds that are open no more. */
async function look(api: HoldsApi, open: Map<HoldId, number>, print: Print): Promise<void> {
  const { holds } = await api.list('open');
  const seen = new Set<HoldId>();
  for (const hold of holds) {
    seen.add(hold.id);
    if (open.get(hold.id) === hold.version) continue;
    open.set(hold.id, hold.version);
    print(hold);
  }
  for (const id of open.keys()) {
    if (seen.has(id)) continue;
    const hold = await ended(api, id);
    // Consumed: it is running, and its outcome is still to be told.
    if (hold !== null && hold.state === 'consumed') continue;
    open.delete(id);
    if (hold !== null) print(hold);
  }
}

async function ended(api: HoldsApi, id: HoldId): Promise<HoldDocument | null> {
  try {
    return await api.get(id);
  } catch (error) {
    if (error instanceof CountersignError && error.code === 'not_found') return null;
    throw error;
  }
}

function jsonLine(terminal: Terminal): Print {
  return (hold) => terminal.out(`${visibleJson(hold)}\n`);
}

function sentences(terminal: Terminal): Print {
  return (hold) => {
    const nowMs = systemClock.nowMs();
    if (hold.state === 'pending' && hold.votes.length === 0) {
      terminal.out(
        `\n${holdSheet(terminal, hold, nowMs)}\n` +
          `  countersign approve ${hold.id}\n` +
          `  countersign deny ${hold.id} --reason "…"\n`,
      );
    } else {
      terminal.out(`${hold.id}  ${stateWord(terminal, hold)}: ${progress(hold, nowMs)}\n`);
    }
  };
}

function pause(pauseMs: number, interrupted: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (interrupted.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      interrupted.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, pauseMs);
    interrupted.addEventListener('abort', done);
  });
}
