// A disk that takes its time: loaded into the proxy before anything else, it keeps every fdatasync of the log waiting for as
// long as a file is there. Node reads NODE_OPTIONS for worker threads too, and it is one of those that syncs.
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tempDir } from './places.ts';

const PRELOAD = (stalled: string): string => `
const fs = require('node:fs');
const { fdatasyncSync } = fs;
const nobody = new Int32Array(new SharedArrayBuffer(4));
fs.fdatasyncSync = (fd) => {
  while (fs.existsSync(${JSON.stringify(stalled)})) Atomics.wait(nobody, 0, 0, 5);
  fdatasyncSync(fd);
};
`;

export interface SlowDisk {
  /** For the process whose disk it is. */
  readonly env: Readonly<Record<string, string>>;
  stall(): void;
  goOn(): void;
}

export function slowDisk(): SlowDisk {
  const folder = tempDir('slow-disk');
  const [stalled, preload] = [join(folder, 'stalled'), join(folder, 'slow-disk.cjs')];
  writeFileSync(preload, PRELOAD(stalled));
  return {
    env: { NODE_OPTIONS: `--require ${preload}` },
    stall: () => writeFileSync(stalled, ''),
    goOn: () => {
      if (existsSync(stalled)) rmSync(stalled);
    },
  };
}
