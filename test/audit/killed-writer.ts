// Run by kill.test.ts in a process of its own: appends without end, and prints the number of each record once it has been told
// that the record is written or durable. It is killed in the midst of it.
import { writeSync } from 'node:fs';
import { openLog } from '../../src/audit/open.ts';
import { systemClock } from '../../src/base/clock.ts';
import { newSessionId } from '../../src/base/ids.ts';
import { intent, open, outcome } from './drafts.ts';

const dir = process.argv[2];
if (dir === undefined) throw new Error('which folder?');
const { log } = await openLog({
  dir,
  node: 'node1',
  version: '0.1.0',
  signer: null,
  durability: 'standard',
  clock: systemClock,
  segmentBytes: 100_000,
  onFailure: (error) => {
    throw error;
  },
});

/** In one system call: what was printed was acknowledged, and what was acknowledged may be acted on. */
function print(line: string): void {
  for (;;) {
    try {
      writeSync(1, line);
      return;
    } catch (error) {
      // The pipe is full: the test is slower than we are.
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
    }
  }
}

function run(level: 'written' | 'durable'): void {
  const session = newSessionId();
  log.append({ ...open, session });
  const next = (): void => {
    const seq = log.append(intent({ session, sql: 'x'.repeat(50 + (session.length % 7) * 100) }));
    log.when(level, (error) => {
      if (error !== null) throw error;
      print(`${seq}\n`);
      log.append(outcome(seq, { session }));
      next();
    });
  };
  next();
}

for (let i = 0; i < 8; i++) run(i % 2 === 0 ? 'written' : 'durable');
