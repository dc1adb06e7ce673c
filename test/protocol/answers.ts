// What a connection said before it was closed, and what the log says of it.
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { expect } from 'vitest';
import { parseErrorFields } from '../../src/wire/backend.ts';
import type { RunningCountersign } from '../services/countersign.ts';
import { type LoggedRecord, loggedRecords } from '../services/scene.ts';
import { eventually } from '../services/wait.ts';

/** What arrives at a socket until the other side closes it. */
export async function untilClosed(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => {});
  // Not once(): a reset is a way of closing too, and would reject.
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
  return Buffer.concat(chunks);
}

/** The fields of the first ErrorResponse in `bytes`, wherever it stands. */
export function errorIn(bytes: Buffer): Record<string, string | undefined> {
  for (let at = 0; at + 5 <= bytes.length; at += 1 + bytes.readUInt32BE(at + 1)) {
    if (bytes[at] === 0x45)
      return { ...parseErrorFields(bytes.subarray(at, at + 1 + bytes.readUInt32BE(at + 1))) };
  }
  throw new Error(`no ErrorResponse in ${bytes.toString('latin1')}`);
}

/** Waits for the records of limits that were met to be these, in order. Nobody waits for such a record to be written. */
export async function expectLimitsHit(
  proxy: Pick<RunningCountersign, 'folder'>,
  limits: readonly string[],
): Promise<LoggedRecord[]> {
  return await eventually(() => {
    const hits = loggedRecords(join(proxy.folder, 'audit')).filter(({ type }) => type === 'limit.hit');
    expect(hits.map(({ leaf }) => leaf['limit'])).toEqual(limits);
    return hits;
  });
}
