// A fresh build for the bench alone, so that neither an old `dist` is measured nor somebody's build is replaced.
import { execFile } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PROJECT } from '../services/places.ts';
import { atTheEnd } from './closings.ts';

const run = promisify(execFile);

/**
 * Compiles src and gives the path of cli/main.js. Inside node_modules, so that libraries are found from there; with
 * links to what the program looks for beside its dist folder. Throws what the compiler says when it finds a fault.
 */
export async function build(): Promise<string> {
  const folder = join(PROJECT, 'node_modules', '.cache', 'countersign-bench', String(process.pid));
  mkdirSync(folder, { recursive: true });
  atTheEnd(() => rmSync(folder, { recursive: true, force: true }));
  for (const name of ['package.json', 'rules']) symlinkSync(join(PROJECT, name), join(folder, name));
  const outDir = join(folder, 'dist');
  const tsc = join(PROJECT, 'node_modules', '.bin', 'tsc');
  await run(tsc, ['-p', join(PROJECT, 'tsconfig.build.json'), '--outDir', outDir], { cwd: PROJECT });
  return join(outDir, 'cli', 'main.js');
}
