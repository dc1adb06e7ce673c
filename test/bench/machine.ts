// Where the numbers come from: they mean little without it.
import { cpus, release, type } from 'node:os';
import type { Server } from './server.ts';

export interface Machine {
  readonly cores: number;
  readonly cpu: string;
  readonly system: string;
  readonly node: string;
  readonly postgres: string;
  /** Over the last minute when the bench began: above 0.5 somebody else is at work, and ratios are worth more than times. */
  readonly loadAverage: number;
}

export function describeMachine(server: Server, loadAverage: number): Machine {
  const all = cpus();
  return {
    cores: all.length,
    cpu: all[0]?.model.trim() || 'unknown',
    system: `${type()} ${release()}`,
    node: process.version,
    postgres: server.version,
    loadAverage: Math.round(loadAverage * 100) / 100,
  };
}
