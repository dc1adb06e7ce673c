// kill -9, for real: whatever the log said was written is there afterwards, and the log is whole.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { check, leaves, openTestLog, temporaryFolder } from './log-folder.ts';

const WRITER = fileURLToPath(new URL('killed-writer.ts', import.meta.url));

/** Runs the writer until it has acknowledged `count` records, kills it, and says which those were. */
async function killAfter(dir: string, count: number): Promise<number[]> {
  const child = spawn(process.execPath, ['--import', 'tsx', WRITER, dir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  let seen = 0;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
    seen += text.split('\n').length - 1;
    if (seen >= count) child.kill('SIGKILL');
  });
  const [, signal] = (await once(child, 'close')) as [number | null, string | null];
  expect(signal).toBe('SIGKILL');
  return printed.split('\n').slice(0, -1).map(Number);
}

it('keeps what it acknowledged, however often it is killed', async () => {
  const dir = temporaryFolder();
  const acknowledged: number[] = [];
  for (const count of fc.sample(fc.integer({ min: 1, max: 1500 }), 5)) {
    acknowledged.push(...(await killAfter(dir, count)));
    // The next writer recovers; in between, the log may end within a batch, and no more.
    expect(check(dir).violations).toEqual([]);
  }
  const { log, recovered } = await openTestLog(dir);
  expect(recovered).not.toBeNull();
  await log.close();
  const intents = new Set(
    leaves(dir).flatMap((leaf) => (leaf['type'] === 'statement.intent' ? [leaf['seq']] : [])),
  );
  expect(acknowledged.length).toBeGreaterThan(4);
  expect(acknowledged.filter((seq) => !intents.has(seq))).toEqual([]);
  expect(check(dir)).toMatchObject({ ok: true, violations: [], notes: [] });
  expect(leaves(dir).filter((leaf) => leaf['type'] === 'recovered')).toHaveLength(5);
}, 120_000);
