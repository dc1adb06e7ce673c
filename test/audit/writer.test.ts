import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseCheckpoint } from '../../src/audit/checkpoint.ts';
import { type LogFiles, realFiles, type SyncJob } from '../../src/audit/files.ts';
import type { CountersignError } from '../../src/base/errors.ts';
import { intent, open, outcome } from './drafts.ts';
import {
  check,
  leaves,
  logLines,
  onlySegment,
  openTestLog,
  reached,
  segmentFiles,
  temporaryFolder,
  writeStory,
} from './log-folder.ts';

/** Real files, with the syncs held back or failed, and the writes failed, as the test says. */
class Files implements LogFiles {
  readonly #real = realFiles();
  readonly events: string[] = [];
  hold = false;
  failWrite: ((bytes: Buffer) => number) | null = null;
  failSync: Error | null = null;
  #held: (() => void)[] = [];

  write(fd: number, bytes: Buffer): number {
    this.events.push('write');
    return this.failWrite === null ? writeSync(fd, bytes) : this.failWrite(bytes);
  }

  sync(job: SyncJob, done: (error: Error | null) => void): void {
    this.events.push(job.checkpoint === null ? 'sync' : 'sync and checkpoint');
    const run = (): void => {
      const { failSync } = this;
      if (failSync !== null) setImmediate(done, failSync);
      else this.#real.sync(job, done);
    };
    if (this.hold) this.#held.push(run);
    else run();
  }

  letGo(): void {
    this.hold = false;
    for (const run of this.#held) run();
    this.#held = [];
  }

  close(): Promise<void> {
    return this.#real.close();
  }
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('appending', () => {
  it('numbers records without gaps, and writes nothing before the turn ends', async () => {
    const dir = temporaryFolder();
    const { log, size, recovered } = await openTestLog(dir);
    expect({ size, recovered }).toEqual({ size: 0, recovered: null });
    const before = readFileSync(onlySegment(dir));
    expect([log.append(open), log.append(intent()), log.append(outcome(2))]).toEqual([1, 2, 3]);
    expect(readFileSync(onlySegment(dir))).toEqual(before);
    await reached(log, 'written');
    expect(leaves(dir).map((leaf) => leaf['type'])).toEqual([
      'started',
      'session.open',
      'statement.intent',
      'statement.outcome',
    ]);
    await log.close();
    expect(leaves(dir).map((leaf) => leaf['seq'])).toEqual([0, 1, 2, 3, 4]);
    expect(leaves(dir).at(-1)?.['type']).toBe('stopped');
  });

  it('puts the records of one turn into one write, under one mark', async () => {
    const dir = temporaryFolder();
    const files = new Files();
    const { log } = await openTestLog(dir, { files });
    files.events.length = 0;
    const marks = logLines(dir).filter((line) => line.startsWith('{"commit"')).length;
    log.append(open);
    for (let i = 0; i < 50; i++) log.append(intent());
    await reached(log, 'written');
    expect(files.events.filter((event) => event === 'write')).toHaveLength(1);
    expect(logLines(dir).filter((line) => line.startsWith('{"commit"'))).toHaveLength(marks + 1);
    await log.close();
  });

  it('shows the SQL to grep, one line per record', async () => {
    const dir = temporaryFolder();
    const { log } = await openTestLog(dir);
    log.append(open);
    log.append(intent({ sql: 'SELECT 1;\n-- two lines' }));
    await log.close();
    expect(logLines(dir).filter((line) => line.includes('"SELECT 1;\\n-- two lines"'))).toHaveLength(1);
  });

  it('makes files that nobody else may read', async () => {
    const dir = join(temporaryFolder(), 'new', 'audit');
    const { log } = await openTestLog(dir);
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    expect(statSync(onlySegment(dir)).mode & 0o777).toBe(0o600);
    expect(statSync(join(dir, 'checkpoint')).mode & 0o777).toBe(0o600);
    await log.close();
  });

  it('begins a new segment when one is full, and both are one log', async () => {
    const dir = temporaryFolder();
    const { log } = await openTestLog(dir, { segmentBytes: 5_000 });
    log.append(open);
    for (let i = 0; i < 40; i++) {
      log.append(outcome(log.append(intent())));
      await reached(log, i % 3 === 0 ? 'durable' : 'written');
    }
    await log.close();
    expect(segmentFiles(dir).length).toBeGreaterThan(5);
    for (const file of segmentFiles(dir)) expect(statSync(file).size).toBeLessThanOrEqual(5_000);
    expect(check(dir)).toMatchObject({ ok: true, size: 83 });
  });

  it('takes a record larger than its buffer and than a segment', async () => {
    const dir = temporaryFolder();
    const { log } = await openTestLog(dir, { segmentBytes: 100_000 });
    log.append(open);
    const sql = `SELECT '${'€'.repeat(2_000_000)}'`;
    log.append(outcome(log.append(intent({ sql }))));
    await reached(log, 'written');
    log.append(outcome(log.append(intent())));
    await log.close();
    expect(check(dir)).toMatchObject({ ok: true, violations: [] });
  });

  it('leaves the log as it was when a record cannot be written down', async () => {
    const dir = temporaryFolder();
    const { log } = await openTestLog(dir);
    expect(() => log.append(outcome(Number.NaN))).toThrow(expect.objectContaining({ code: 'internal' }));
    expect(log.append(open)).toBe(1);
    await log.close();
    expect(check(dir).violations).toEqual([]);
  });
});

describe('being told', () => {
  it('`written` comes after the write and before the sync, in the order asked for', async () => {
    const dir = temporaryFolder();
    const files = new Files();
    const { log } = await openTestLog(dir, { files });
    const heard: string[] = [];
    files.hold = true;
    const written = onlySegment(dir);
    const size = statSync(written).size;
    log.append(open);
    const last = new Promise<void>((resolve) => {
      log.when('durable', () => heard.push('durable 1'));
      log.when('written', () => heard.push(`written 1, ${statSync(written).size > size}`));
      log.when('written', () => heard.push('written 2'));
      log.when('durable', () => {
        heard.push('durable 2');
        resolve();
      });
    });
    expect(heard).toEqual([]);
    await nextTurn();
    await nextTurn();
    expect(heard).toEqual(['written 1, true', 'written 2']);
    files.letGo();
    await last;
    expect(heard).toEqual(['written 1, true', 'written 2', 'durable 1', 'durable 2']);
    await log.close();
  });

  it('`written` means durable in strict mode', async () => {
    const files = new Files();
    const { log } = await openTestLog(temporaryFolder(), { files, durability: 'strict' });
    files.hold = true;
    log.append(open);
    let told = false;
    log.when('written', () => {
      told = true;
    });
    await nextTurn();
    await nextTurn();
    expect(told).toBe(false);
    files.letGo();
    await reached(log, 'written');
    expect(told).toBe(true);
    await log.close();
  });

  it('many who wait share one sync; who comes during it shares the next', async () => {
    const files = new Files();
    const { log } = await openTestLog(temporaryFolder(), { files });
    files.hold = true;
    files.events.length = 0;
    const waiting: Promise<void>[] = [];
    for (let turn = 0; turn < 5; turn++) {
      for (let i = 0; i < 10; i++) {
        log.append({ type: 'rules.loaded', rules: 'x', files: [] });
        waiting.push(reached(log, 'durable'));
      }
      await nextTurn();
      await nextTurn();
    }
    files.letGo();
    await Promise.all(waiting);
    expect(files.events.filter((event) => event.startsWith('sync'))).toHaveLength(2);
    await log.close();
  });

  it('also when nothing is new, and never from within the asking', async () => {
    const { log } = await openTestLog(temporaryFolder());
    for (const level of ['written', 'durable'] as const) {
      let inside = true;
      const told = new Promise<boolean>((resolve) => log.when(level, () => resolve(inside)));
      inside = false;
      expect(await told).toBe(false);
    }
    await log.close();
  });

  it('may append at once; that is the next batch', async () => {
    const dir = temporaryFolder();
    const { log } = await openTestLog(dir);
    log.append(open);
    await new Promise<void>((resolve) => {
      log.when('written', () => {
        log.append(outcome(log.append(intent())));
        log.when('written', () => resolve());
      });
    });
    await log.close();
    expect(check(dir)).toMatchObject({ ok: true, size: 5 });
  });

  it('one mistake in a callback surfaces, and stops neither the others nor the log', async () => {
    const dir = temporaryFolder();
    const { log } = await openTestLog(dir);
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    const surfaced = new Promise<Error>((resolve) => process.once('uncaughtException', resolve));
    log.append(open);
    log.when('written', () => {
      throw new Error('a mistake');
    });
    await reached(log, 'written');
    expect((await surfaced).message).toBe('a mistake');
    for (const listener of listeners) process.on('uncaughtException', listener);
    log.append(outcome(log.append(intent())));
    await log.close();
    expect(check(dir).violations).toEqual([]);
  });
});

describe('the checkpoint', () => {
  it('is never ahead of what is synced, and covers everything after close', async () => {
    const dir = temporaryFolder();
    const files = new Files();
    const size = () => parseCheckpoint(readFileSync(join(dir, 'checkpoint'), 'utf8')).size;
    const { log } = await openTestLog(dir, { files });
    files.hold = true;
    const before = size();
    await writeStoryWithoutWaiting(log);
    expect(size()).toBe(before);
    files.letGo();
    await log.close();
    expect(size()).toBe(leaves(dir).length);
  });

  it('follows by itself when nobody asks', async () => {
    const dir = temporaryFolder();
    const { log } = await openTestLog(dir);
    log.append(open);
    const size = () => parseCheckpoint(readFileSync(join(dir, 'checkpoint'), 'utf8')).size;
    await expect.poll(size, { timeout: 10_000 }).toBe(2);
    await log.close();
  });
});

async function writeStoryWithoutWaiting(log: Parameters<typeof writeStory>[0]): Promise<void> {
  log.append(open);
  for (let i = 0; i < 20; i++) {
    log.append(outcome(log.append(intent())));
    log.when('durable', () => {});
    await nextTurn();
  }
}

describe('a log that fails', () => {
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  const failures: readonly [string, (files: Files) => void, string][] = [
    [
      'the disk is full',
      (files) => {
        files.failWrite = () => {
          throw full;
        };
      },
      'ENOSPC',
    ],
    [
      'half of a batch was taken',
      (files) => {
        files.failWrite = (bytes) => bytes.length - 1;
      },
      'bytes were taken',
    ],
    [
      'a sync fails',
      (files) => {
        files.failSync = new Error('EIO: i/o error, fdatasync');
      },
      'EIO',
    ],
  ];

  it.each(failures)('when %s, tells everyone who waits and never writes again', async (_name, fail, why) => {
    const dir = temporaryFolder();
    const files = new Files();
    const heard: CountersignError[] = [];
    const { log } = await openTestLog(dir, { files, onFailure: (error) => heard.push(error) });
    await writeStory(log);
    fail(files);
    log.append({ type: 'rules.loaded', rules: 'x', files: [] });
    const told = await Promise.allSettled([reached(log, 'durable'), reached(log, 'durable')]);
    for (const { status, ...rest } of told) {
      expect(status).toBe('rejected');
      expect(rest).toMatchObject({
        reason: { code: 'log_unwritable', detail: expect.stringContaining(why) },
      });
    }
    expect(heard).toHaveLength(1);
    expect(heard[0]?.code).toBe('log_unwritable');
    // Though the disk should be well again: what happened in between is not known.
    files.failWrite = null;
    files.failSync = null;
    files.events.length = 0;
    expect(() => log.append(open)).toThrow(expect.objectContaining({ code: 'log_unwritable' }));
    await expect(reached(log, 'written')).rejects.toMatchObject({ code: 'log_unwritable' });
    await log.close();
    expect(files.events).toEqual([]);
    expect(heard).toHaveLength(1);
  });

  it('is a good log again after a restart, with everything that was acknowledged', async () => {
    const dir = temporaryFolder();
    const files = new Files();
    const { log } = await openTestLog(dir, { files });
    await writeStory(log);
    const acknowledged = leaves(dir);
    files.failWrite = (bytes) => {
      writeFileSync(onlySegment(dir), bytes.subarray(0, 100), { flag: 'a' });
      return 100;
    };
    log.append(open);
    await expect(reached(log, 'written')).rejects.toThrow();
    await log.close();
    const again = await openTestLog(dir);
    expect(again.recovered).toMatchObject({ cutBytes: 100 });
    await again.log.close();
    expect(leaves(dir).slice(0, acknowledged.length)).toEqual(acknowledged);
    expect(check(dir).violations).toEqual([]);
  });

  it('fails really on a device that is full', async () => {
    const heard: CountersignError[] = [];
    const files = realFiles();
    const fd = openSync('/dev/full', 'a');
    let ready = false;
    const { log } = await openTestLog(temporaryFolder(), {
      onFailure: (error) => heard.push(error),
      files: {
        write: (own, bytes) => files.write(ready ? fd : own, bytes),
        sync: (job, done) => files.sync(job, done),
        close: () => files.close(),
      },
    });
    ready = true;
    log.append(open);
    await expect(reached(log, 'written')).rejects.toMatchObject({
      detail: expect.stringContaining('ENOSPC'),
    });
    await log.close();
    closeSync(fd);
  });

  it('does not open where it cannot be written', async () => {
    const dir = temporaryFolder();
    writeFileSync(join(dir, 'file'), '');
    for (const path of [join(dir, 'file'), join(dir, 'file', 'audit'), '/proc/audit']) {
      await expect(openTestLog(path)).rejects.toMatchObject({
        code: 'log_unwritable',
        message: expect.stringContaining(path),
      });
    }
    mkdirSync(join(dir, 'taken', 'segments', '00000000000000000000.jsonl'), { recursive: true });
    await expect(openTestLog(join(dir, 'taken'))).rejects.toThrow();
    expect(existsSync(join(dir, 'taken', 'lock'))).toBe(false);
  });
});

describe('close', () => {
  it('is done once, whoever asks, and ends appending', async () => {
    const dir = temporaryFolder();
    const { log } = await openTestLog(dir);
    await Promise.all([log.close(), log.close()]);
    await log.close();
    expect(leaves(dir).map((leaf) => leaf['type'])).toEqual(['started', 'stopped']);
    expect(() => log.append(open)).toThrow(expect.objectContaining({ code: 'log_unwritable' }));
    expect(existsSync(join(dir, 'lock'))).toBe(false);
  });

  it('rejects when the end could not be written', async () => {
    const files = new Files();
    const { log } = await openTestLog(temporaryFolder(), { files });
    files.failWrite = () => 0;
    await expect(log.close()).rejects.toMatchObject({ code: 'log_unwritable' });
  });
});
