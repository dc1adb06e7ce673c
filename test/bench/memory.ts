// A gigabyte to a reader that is slower than the server: how much more memory a proxy has meanwhile than when it is idle, at
// its highest, and while the reader pauses, with the garbage collected: what it really keeps for it.
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { serialize } from 'pg-protocol';
import { atTheEnd } from './closings.ts';
import { settledKib } from './idle.ts';
import type { Bench, Part } from './part.ts';
import { type ProxyProcess, residentKib } from './process.ts';
import type { Reading } from './readings.ts';
import type { RunningTarget } from './targets.ts';

const RELAYED_MB = 1000;
/** What the first relay loads, compiles and lets the heap grow to is not the next one's. */
const WARM_UP_MB = 100;
/** The reader takes so much, and then pauses. */
const TAKE_BYTES = 16 * 1024 * 1024;
const PAUSE_MS = 20;
const SAMPLE_MS = 10;
const READY_FOR_QUERY = Buffer.from('Z\0\0\0\x05I', 'latin1');

export const MEMORY_CASE = `${RELAYED_MB} MB to a slow reader`;

export const memory: Part = {
  title: 'memory while relaying (over idle)',
  async round({ server, targets, say }: Bench): Promise<Reading[]> {
    const readings: Reading[] = [];
    for (const target of targets) {
      const running = await target.start();
      const { proxy } = running;
      if (proxy === null) continue;
      say(`${MEMORY_CASE}: ${target.name}`);
      const session = new pg.Client({ host: running.host, port: running.port, ...server.login });
      session.on('error', () => {});
      await session.connect();
      const close = atTheEnd(() => session.end());
      await relay(session, running, proxy, WARM_UP_MB);
      const idleKib = await settledKib(proxy);
      const { peakKib, keptKib } = await relay(session, running, proxy, RELAYED_MB);
      readings.push({
        case: MEMORY_CASE,
        target: target.name,
        values: { peakMib: (peakKib - idleKib) / 1024, keptMib: (keptKib - idleKib) / 1024 },
      });
      await close();
      await running.stop();
    }
    return readings;
  },
};

/** Rows of 100 kB, read on the session's own socket behind the driver's back. */
async function relay(
  session: pg.Client,
  { name }: RunningTarget,
  proxy: ProxyProcess,
  megabytes: number,
): Promise<{ peakKib: number; keptKib: number }> {
  const socket = (session as unknown as { connection: { stream: Socket } }).connection.stream;
  const drivers = socket.listeners('data') as ((chunk: Buffer) => void)[];
  socket.removeAllListeners('data');
  let peakKib = 0;
  const sampling = setInterval(() => {
    peakKib = Math.max(peakKib, residentKib(proxy.pid));
  }, SAMPLE_MS);
  try {
    let received = 0;
    let taken = 0;
    let keptKib = 0;
    let last = Buffer.alloc(0);
    const take = (chunk: Buffer): void => {
      received += chunk.length;
      taken += chunk.length;
      last = Buffer.concat([last, chunk.subarray(-READY_FOR_QUERY.length)]).subarray(-READY_FOR_QUERY.length);
      if (taken >= TAKE_BYTES) socket.pause();
    };
    socket.on('data', take);
    socket.write(
      serialize.query(`SELECT repeat('0123456789', 10000) FROM generate_series(1, ${megabytes * 10})`),
    );
    socket.resume();
    while (!last.equals(READY_FOR_QUERY)) {
      if (socket.destroyed) throw new Error(`${name} closed the connection after ${received} bytes`);
      if (taken < TAKE_BYTES) {
        await delay(1);
        continue;
      }
      if (received > (megabytes * 1e6) / 2 && keptKib === 0) keptKib = await settledKib(proxy);
      else await delay(PAUSE_MS);
      taken = 0;
      socket.resume();
    }
    if (received < megabytes * 1e6) throw new Error(`${name} relayed ${received} bytes only`);
    socket.off('data', take);
    return { peakKib, keptKib };
  } finally {
    clearInterval(sampling);
    for (const driver of drivers) socket.on('data', driver);
  }
}
