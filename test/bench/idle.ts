// What a session costs that does nothing: the proxy's memory with many of them, less that without, over their number.
// A fresh process each time, since memory that was once taken from the system is seldom given back.
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { atTheEnd } from './closings.ts';
import type { Bench, Part } from './part.ts';
import { type ProxyProcess, residentKib } from './process.ts';
import type { Reading } from './readings.ts';
import type { RunningTarget } from './targets.ts';

export const IDLE_SESSIONS = 200;
export const IDLE_CASE = `${IDLE_SESSIONS} idle sessions`;

/** Opened and left open beforehand: what the first sessions load and compile is not theirs alone. */
const FIRST_SESSIONS = 100;
/** At once, so that no listening queue overflows. */
const BATCH = 10;

// V8 gives pages back some two seconds after it has emptied them: a memory that has just stopped changing may be halfway.
const SETTLE_POLLS = 12;
const SETTLE_POLL_MS = 250;

export const idle: Part = {
  title: 'idle sessions (garbage collected before each look)',
  async round({ server, targets, say }: Bench): Promise<Reading[]> {
    const readings: Reading[] = [];
    for (const target of targets) {
      const running = await target.start();
      const { proxy } = running;
      if (proxy === null) continue;
      say(`${IDLE_CASE}: ${target.name}`);
      const sessions: pg.Client[] = [];
      const close = atTheEnd(() => Promise.all(sessions.map((session) => session.end())));
      const open = (count: number): Promise<void> => openSessions(running, server.login, sessions, count);
      await open(FIRST_SESSIONS);
      const before = await settledKib(proxy);
      await open(IDLE_SESSIONS);
      const after = await settledKib(proxy);
      readings.push({
        case: IDLE_CASE,
        target: target.name,
        values: { sessionKib: (after - before) / IDLE_SESSIONS, startMs: proxy.startMs },
      });
      await close();
      await running.stop();
    }
    return readings;
  },
};

async function openSessions(
  { host, port }: RunningTarget,
  login: Bench['server']['login'],
  sessions: pg.Client[],
  count: number,
): Promise<void> {
  for (let opened = 0; opened < count; opened += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, count - opened) }, () => {
      const session = new pg.Client({ host, port, ...login });
      // On an interruption the proxy goes before its sessions do.
      session.on('error', () => {});
      sessions.push(session);
      return session;
    });
    await Promise.all(batch.map((session) => session.connect()));
    // One statement each: what a session needs for its work belongs to it.
    await Promise.all(batch.map((session) => session.query('SELECT 1')));
  }
}

/** Resident memory once garbage is collected and given back. */
export async function settledKib(proxy: ProxyProcess): Promise<number> {
  for (let poll = 0; poll < SETTLE_POLLS; poll += 1) {
    proxy.collectGarbage();
    await delay(SETTLE_POLL_MS);
  }
  return residentKib(proxy.pid);
}
