// A process as the system accounts for it: what it has in RAM, and whether it does anything.
import { readFileSync } from 'node:fs';

/** Resident memory of a process, in bytes. */
export function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

/** Its main thread waits for something to happen. */
export function isAsleep(pid: number): boolean {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // "pid (name, which may hold anything) state …", proc(5).
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('S');
}

/** Bytes that it has read so far, from files and sockets. */
export function bytesReadBy(pid: number): number {
  return Number(/^rchar: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1]);
}
