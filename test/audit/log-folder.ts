// Logs in temporary folders, and looking into their files.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { onTestFinished } from 'vitest';
import type { AuditLog } from '../../src/audit/log.ts';
import { type LogOptions, type OpenedLog, openLog } from '../../src/audit/open.ts';
import { type VerifyReport, verifyLog } from '../../src/audit/verify.ts';
import type { Clock } from '../../src/base/clock.ts';
import type { HoldId } from '../../src/base/ids.ts';
import { close, hold, intent, open, outcome, VOTE } from './drafts.ts';

export function temporaryFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'countersign-log-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** Starts at 2026-11-22 and moves by a millisecond at every look. */
function countingClock(): Clock {
  let ticks = 0;
  return { nowMs: () => Date.UTC(2026, 10, 22) + ticks++, monoUs: () => ticks * 1000 };
}

export function openTestLog(dir: string, options: Partial<LogOptions> = {}): Promise<OpenedLog> {
  return openLog({
    dir,
    node: 'node1',
    version: '0.1.0',
    signer: null,
    durability: 'standard',
    clock: countingClock(),
    onFailure: () => {},
    ...options,
  });
}

export function reached(log: AuditLog, level: 'written' | 'durable'): Promise<void> {
  return new Promise((resolve, reject) => {
    log.when(level, (error) => (error === null ? resolve() : reject(error)));
  });
}

/** A session with a read, a held statement and a refused one, in batches of various sizes; `started` is record 0. */
export async function writeStory(log: AuditLog): Promise<void> {
  log.append(open);
  const read = log.append(intent());
  await reached(log, 'written');
  log.append(outcome(read));
  await reached(log, 'written');
  // Another in every story: a hold is used once.
  const id = `h_${String(read).padStart(16, '0')}` as HoldId;
  const approvals = { count: 1, groups: ['dba'], reasonRequired: false };
  log.append(hold('hold.requested', 1, { hold: id, approvals }));
  log.append(hold('hold.voted', 2, { hold: id, vote: VOTE }));
  log.append(hold('hold.approved', 3, { hold: id }));
  await reached(log, 'durable');
  log.append(hold('hold.consumed', 4, { hold: id }));
  const held = log.append(
    intent({ sql: 'DROP TABLE café', parameters: null, verdict: 'hold', hold: id, votes: [VOTE] }),
  );
  await reached(log, 'durable');
  log.append(outcome(held, { tags: ['DROP TABLE'], rows: 0 }));
  const refused = log.append(
    intent({ verdict: 'deny', fate: 'refuse', refusal: 'denied', record: 'digest' }),
  );
  log.append(outcome(refused, { result: 'failed', sqlstate: '42501', rows: 0, tags: [] }));
  log.append(close);
  await reached(log, 'written');
}

export async function writeLog(dir: string, options: Partial<LogOptions> = {}): Promise<void> {
  const { log } = await openTestLog(dir, options);
  await writeStory(log);
  await log.close();
}

export function check(dir: string): VerifyReport {
  return verifyLog(dir, { verifier: null, known: [] });
}

export function segmentFiles(dir: string): string[] {
  return readdirSync(join(dir, 'segments'))
    .sort()
    .map((name) => join(dir, 'segments', name));
}

export function onlySegment(dir: string): string {
  const [path, ...more] = segmentFiles(dir);
  if (path === undefined || more.length > 0) throw new Error(`${more.length + 1} segments`);
  return path;
}

/** Every whole line of the log, all segments. */
export function logLines(dir: string): string[] {
  return segmentFiles(dir).flatMap((path) => readFileSync(path, 'utf8').split('\n').slice(0, -1));
}

export function leaves(dir: string): Record<string, unknown>[] {
  return logLines(dir).flatMap((line) => {
    const { leaf } = JSON.parse(line) as { leaf?: Record<string, unknown> };
    return leaf === undefined ? [] : [leaf];
  });
}

export function rewrite(path: string, change: (bytes: Buffer) => Buffer | string): void {
  writeFileSync(path, change(readFileSync(path)));
}

/** A line with a checksum that fits again, as someone would write who knows the format. */
export function resummed(line: string): string {
  const body = line.slice(0, -',"sum":"00000000"}'.length);
  return `${body},"sum":"${crc32(body).toString(16).padStart(8, '0')}"}`;
}
