// One writer per log. A lock file says who: Node has no flock, so the file names a process precisely enough to tell whether
// it still lives, and a lock left by kill -9 is taken over.
import { linkSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { CountersignError } from '../base/errors.ts';

interface Owner {
  readonly pid: number;
  /** Start time in clock ticks since boot, from /proc: process ids are used again. null where there is no /proc. */
  readonly start: string | null;
  readonly host: string;
}

export interface Lock {
  release(): void;
}

/** Throws CountersignError `config` when another process writes the log. */
export function takeLock(path: string): Lock {
  const own: Owner = { pid: process.pid, start: startOf(process.pid), host: hostname() };
  if (!create(path, own)) {
    refuseIfAlive(path);
    takeOver(path, own);
  }
  return { release: () => removeIfThere(path) };
}

/** Only one process at a time may look again and replace a stale lock; the others find the second lock and give up. */
function takeOver(path: string, own: Owner): void {
  const second = `${path}.takeover`;
  if (!create(second, own)) {
    refuseIfAlive(second);
    unlinkSync(second);
    if (!create(second, own)) throw busy(second, null);
  }
  try {
    refuseIfAlive(path);
    removeIfThere(path);
    if (!create(path, own)) throw busy(path, null);
  } finally {
    removeIfThere(second);
  }
}

/** By a link: the name appears with its content, so nobody reads half an owner. */
function create(path: string, owner: Owner): boolean {
  const draft = `${path}.${owner.pid}`;
  writeFileSync(draft, `${JSON.stringify(owner)}\n`, { mode: 0o600 });
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false;
    throw error;
  } finally {
    unlinkSync(draft);
  }
}

function refuseIfAlive(path: string): void {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (isCode(error, 'ENOENT')) return;
    throw error;
  }
  const owner = parseOwner(text);
  // Another machine's processes, or another container's, cannot be seen from here.
  if (owner === null || owner.host !== hostname() || isAlive(owner)) throw busy(path, owner);
}

function parseOwner(text: string): Owner | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return null;
    const { pid, start, host } = value as Partial<Owner>;
    return Number.isInteger(pid) && typeof host === 'string' && start !== undefined
      ? { pid: pid as number, start, host }
      : null;
  } catch {
    return null;
  }
}

function isAlive(owner: Owner): boolean {
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    if (isCode(error, 'ESRCH')) return false;
  }
  const start = startOf(owner.pid);
  return start === null || owner.start === null || start === owner.start;
}

function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field, the program's name, is in parentheses and may hold anything; start time is the 22nd.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

function busy(path: string, owner: Owner | null): CountersignError {
  const who = owner === null ? 'another process' : `process ${owner.pid} on ${owner.host}`;
  return new CountersignError('config', `the log is written by ${who} already`, {
    hint: `Give each process a log folder of its own. If that process is certainly gone, remove ${path}.`,
  });
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw error;
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
