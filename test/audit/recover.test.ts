import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseCheckpoint } from '../../src/audit/checkpoint.ts';
import { encodeKeys, parseSigner } from '../../src/audit/note.ts';
import { intent, open, outcome } from './drafts.ts';
import {
  check,
  leaves,
  onlySegment,
  openTestLog,
  reached,
  resummed,
  rewrite,
  segmentFiles,
  temporaryFolder,
  writeLog,
  writeStory,
} from './log-folder.ts';

/** A copy of the log as a kill would leave it now: files as they are, the lock gone with its process. */
function snapshot(dir: string): string {
  const copy = join(dir, 'copy');
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(join(copy, 'segments'), { recursive: true });
  copyFileSync(join(dir, 'checkpoint'), join(copy, 'checkpoint'));
  for (const file of segmentFiles(dir)) copyFileSync(file, join(copy, 'segments', basename(file)));
  return copy;
}

describe('after a crash', () => {
  it('at every byte of the last batch: nothing acknowledged is lost, and the log is whole', async () => {
    const dir = temporaryFolder();
    const { log } = await openTestLog(dir);
    await writeStory(log);
    log.append(open);
    const forwarded = log.append(intent());
    await reached(log, 'written');
    const before = readFileSync(onlySegment(dir)).length;
    // As of now: the next one may be published while the batch is looked at below.
    const checkpoint = readFileSync(join(dir, 'checkpoint'));
    const acknowledged = leaves(dir);
    log.append(outcome(forwarded));
    log.append(intent({ sql: 'SELECT 2' }));
    await reached(log, 'written');
    const after = readFileSync(onlySegment(dir)).length;
    for (let end = before; end < after; end += end - before < 12 || after - end < 12 ? 1 : 61) {
      const copy = snapshot(dir);
      writeFileSync(join(copy, 'checkpoint'), checkpoint);
      truncateSync(onlySegment(copy), end);
      const again = await openTestLog(copy);
      expect(again.recovered).toEqual({ cutBytes: end - before, openIntents: [forwarded] });
      expect(again.log.append(open)).toBe(acknowledged.length + 2);
      await again.log.close();
      expect(leaves(copy).slice(0, acknowledged.length)).toEqual(acknowledged);
      expect(leaves(copy)[acknowledged.length]).toMatchObject({
        type: 'recovered',
        cut_bytes: end - before,
        open_intents: [forwarded],
      });
      expect(check(copy).violations).toEqual([]);
    }
    await log.close();
  });

  it('before the first record: there is a log', async () => {
    const dir = temporaryFolder();
    await writeLog(dir);
    const header = readFileSync(onlySegment(dir), 'utf8').indexOf('\n') + 1;
    for (const bytes of [0, 1, header - 1, header]) {
      const copy = snapshot(dir);
      truncateSync(onlySegment(copy), bytes);
      rewrite(join(copy, 'checkpoint'), (text) => String(text).replace(/\n\d+\n.*\n/, EMPTY_TREE));
      const again = await openTestLog(copy);
      expect(again.size).toBe(0);
      await writeStory(again.log);
      await again.log.close();
      expect(check(copy).violations).toEqual([]);
    }
  });

  it('says that it happened, even with nothing to cut; after a clean stop there is nothing to say', async () => {
    const dir = temporaryFolder();
    const { log } = await openTestLog(dir);
    await writeStory(log);
    const copy = snapshot(dir);
    await log.close();
    const crashed = await openTestLog(copy);
    expect(crashed.recovered).toEqual({ cutBytes: 0, openIntents: [] });
    await crashed.log.close();
    const clean = await openTestLog(dir);
    expect(clean.recovered).toBeNull();
    await clean.log.close();
    expect(leaves(dir).map((leaf) => leaf['type'])).not.toContain('recovered');
    for (const folder of [dir, copy]) expect(check(folder).violations).toEqual([]);
  });

  it('goes on over many restarts and segments as one log', async () => {
    const dir = temporaryFolder();
    for (let i = 0; i < 4; i++) await writeLog(dir, { segmentBytes: 4_000 });
    expect(leaves(dir).map((leaf) => leaf['seq'])).toEqual(leaves(dir).map((_, i) => i));
    expect(check(dir).violations).toEqual([]);
  });
});

const EMPTY_TREE = '\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n';

describe('a log of several segments', () => {
  /** Every segment but the newest, gone as far as a reader is concerned; returns what brings them back. */
  function hideOlder(dir: string): () => void {
    const older = segmentFiles(dir).slice(0, -1);
    expect(older.length).toBeGreaterThan(2);
    const kept = older.map((file) => readFileSync(file));
    for (const file of older) {
      unlinkSync(file);
      symlinkSync('/nowhere', file);
    }
    return () => {
      for (const [i, file] of older.entries()) {
        unlinkSync(file);
        writeFileSync(file, kept[i] as Buffer);
      }
    };
  }

  it('is opened by its newest alone after a clean stop, and goes on as one', async () => {
    const dir = temporaryFolder();
    await writeLog(dir, { segmentBytes: 4_000 });
    for (let i = 0; i < 3; i++) {
      const size = leaves(dir).length;
      const bringBack = hideOlder(dir);
      const { log, size: found, recovered } = await openTestLog(dir, { segmentBytes: 4_000 });
      expect({ found, recovered }).toEqual({ found: size, recovered: null });
      await writeStory(log);
      await log.close();
      bringBack();
      expect(check(dir)).toMatchObject({ ok: true, violations: [], size: leaves(dir).length });
    }
  });

  it('is read as a whole after a crash: what is open may stand anywhere', async () => {
    const dir = temporaryFolder();
    const { log } = await openTestLog(dir, { segmentBytes: 4_000 });
    log.append(open);
    const forwarded = log.append(intent());
    for (let i = 0; i < 20; i++) {
      log.append(outcome(log.append(intent())));
      await reached(log, 'written');
    }
    const crashed = snapshot(dir);
    await log.close();
    const bringBack = hideOlder(crashed);
    await expect(openTestLog(crashed)).rejects.toMatchObject({ code: 'log_invalid' });
    bringBack();
    const again = await openTestLog(crashed);
    expect(again.recovered).toEqual({ cutBytes: 0, openIntents: [forwarded] });
    await again.log.close();
    expect(check(crashed).violations).toEqual([]);
  });

  it('is read as a whole when the checkpoint is of before its newest', async () => {
    const dir = temporaryFolder();
    await writeLog(dir, { segmentBytes: 4_000 });
    const early = readFileSync(join(dir, 'checkpoint'));
    await writeLog(dir, { segmentBytes: 4_000 });
    writeFileSync(join(dir, 'checkpoint'), early);
    const newest = segmentFiles(dir).at(-1) ?? '';
    const good = readFileSync(newest, 'utf8');
    const [header = '', ...rest] = good.split('\n');
    const changed = header.replace(/"edge":\["[^"]*"/, `"edge":["${Buffer.alloc(32, 9).toString('base64')}"`);
    writeFileSync(newest, [resummed(changed), ...rest].join('\n'));
    await expect(openTestLog(dir)).rejects.toMatchObject({ code: 'log_invalid' });
    writeFileSync(newest, good);
    const { log, recovered } = await openTestLog(dir);
    expect(recovered).toBeNull();
    await log.close();
    expect(check(dir).violations).toEqual([]);
  });

  it('is read as a whole when the newest does not come to the root of the checkpoint', async () => {
    const dir = temporaryFolder();
    await writeLog(dir, { segmentBytes: 4_000 });
    const newest = segmentFiles(dir).at(-1) ?? '';
    const good = readFileSync(newest, 'utf8');
    const wrong: readonly [RegExp, string][] = [
      [/"edge":\["[^"]*"/, `"edge":["${Buffer.alloc(32, 9).toString('base64')}"`],
      [/"edge":\["[^"]*",/, '"edge":['],
      [/"origin":"[^"]*"/, '"origin":"another"'],
    ];
    for (const [from, to] of wrong) {
      const [header = '', ...rest] = good.split('\n');
      const changed = header.replace(from, to);
      expect(changed).not.toBe(header);
      writeFileSync(newest, [resummed(changed), ...rest].join('\n'));
      await expect(openTestLog(dir), to).rejects.toMatchObject({
        code: 'log_invalid',
        message: expect.stringContaining(`damaged at ${basename(newest)}:1`),
      });
    }
    writeFileSync(newest, good);
    const { log } = await openTestLog(dir);
    await log.close();
  });
});

describe('a damaged log is not written on', () => {
  const refused = { code: 'log_invalid' };

  it('a byte in the middle', async () => {
    const dir = temporaryFolder();
    await writeLog(dir);
    const length = readFileSync(onlySegment(dir)).length;
    for (let at = 0; at < length; at += 211) {
      const copy = snapshot(dir);
      rewrite(onlySegment(copy), (bytes) => {
        bytes[at] = (bytes[at] ?? 0) ^ 1;
        return bytes;
      });
      const before = readFileSync(onlySegment(copy));
      await expect(openTestLog(copy), `byte ${at}`).rejects.toMatchObject({
        ...refused,
        message: expect.stringMatching(/damaged at .*00000\.jsonl:\d+/),
      });
      expect(readFileSync(onlySegment(copy))).toEqual(before);
    }
  });

  it('a byte in a batch beyond the checkpoint, with another batch behind it', async () => {
    const dir = temporaryFolder();
    const { log } = await openTestLog(dir);
    const early = readFileSync(join(dir, 'checkpoint'));
    const start = readFileSync(onlySegment(dir)).length;
    for (const draft of [open, intent()]) {
      log.append(draft);
      await reached(log, 'written');
    }
    const copy = snapshot(dir);
    await log.close();
    writeFileSync(join(copy, 'checkpoint'), early);
    const good = readFileSync(onlySegment(copy));
    rewrite(onlySegment(copy), (bytes) => {
      bytes[start + 20] = (bytes[start + 20] ?? 0) ^ 1;
      return bytes;
    });
    await expect(openTestLog(copy)).rejects.toMatchObject(refused);
    writeFileSync(onlySegment(copy), good);
    const { log: again } = await openTestLog(copy);
    await again.close();
  });

  it('a middle segment, and one that is missing', async () => {
    const dir = temporaryFolder();
    await writeLog(dir, { segmentBytes: 4_000 });
    for (let i = 0; i < segmentFiles(dir).length; i++) {
      const copy = snapshot(dir);
      unlinkSync(segmentFiles(copy)[i] ?? '');
      // A crash, as after a clean stop only the newest is looked at.
      appendFileSync(segmentFiles(copy).at(-1) ?? '', '{"leaf":');
      await expect(openTestLog(copy)).rejects.toMatchObject(refused);
    }
    const copy = snapshot(dir);
    rewrite(segmentFiles(copy)[1] ?? '', (bytes) => bytes.subarray(0, bytes.length - 5));
    appendFileSync(segmentFiles(copy).at(-1) ?? '', '{"leaf":');
    await expect(openTestLog(copy)).rejects.toMatchObject(refused);
  });

  it('one that is shorter than its checkpoint, has none, or has nothing else', async () => {
    const dir = temporaryFolder();
    await writeLog(dir);
    const lines = readFileSync(onlySegment(dir), 'utf8').split('\n');
    const cut = snapshot(dir);
    writeFileSync(onlySegment(cut), `${lines.slice(0, 6).join('\n')}\n`);
    await expect(openTestLog(cut)).rejects.toMatchObject({
      ...refused,
      message: expect.stringContaining('missing from the end'),
    });
    const bare = snapshot(dir);
    unlinkSync(join(bare, 'checkpoint'));
    await expect(openTestLog(bare)).rejects.toMatchObject(refused);
    const empty = snapshot(dir);
    unlinkSync(onlySegment(empty));
    await expect(openTestLog(empty)).rejects.toMatchObject(refused);
  });

  it('one that was rewritten from the start', async () => {
    const dir = temporaryFolder();
    await writeLog(dir);
    const other = temporaryFolder();
    await writeLog(other, { node: 'node1' });
    copyFileSync(join(dir, 'checkpoint'), join(other, 'checkpoint'));
    await expect(openTestLog(other)).rejects.toMatchObject({
      ...refused,
      message: expect.stringContaining('not those of its checkpoint'),
    });
  });

  it('one that is signed, without its key; one that is not, with a key; one signed by another', async () => {
    const signer = parseSigner(encodeKeys('example.com/a', Buffer.alloc(32, 1)).signer);
    const other = parseSigner(encodeKeys('example.com/a', Buffer.alloc(32, 2)).signer);
    const signed = temporaryFolder();
    await writeLog(signed, { signer });
    await writeLog(signed, { signer });
    await expect(openTestLog(signed)).rejects.toMatchObject(refused);
    await expect(openTestLog(signed, { signer: other })).rejects.toMatchObject(refused);
    const unsigned = temporaryFolder();
    await writeLog(unsigned);
    await expect(openTestLog(unsigned, { signer })).rejects.toMatchObject(refused);
    expect(parseCheckpoint(readFileSync(join(signed, 'checkpoint'), 'utf8')).origin).toBe('example.com/a');
  });
});

describe('one writer at a time', () => {
  it('a second is told who the first is', async () => {
    const dir = temporaryFolder();
    const { log } = await openTestLog(dir);
    await expect(openTestLog(dir)).rejects.toMatchObject({
      code: 'config',
      message: `the log is written by process ${process.pid} on ${hostname()} already`,
    });
    await log.close();
    const { log: next } = await openTestLog(dir);
    await next.close();
  });

  it.each([
    ['a process that has ended', { pid: 2 ** 22 + 1, start: '1', host: hostname() }, true],
    ['a process whose number was given again', { pid: process.pid, start: '1', host: hostname() }, true],
    ['another machine', { pid: 2 ** 22 + 1, start: '1', host: 'elsewhere' }, false],
    ['nobody knows whom', 'x', false],
  ] as const)('a lock of %s', async (_name, owner, takenOver) => {
    const dir = temporaryFolder();
    await writeLog(dir);
    writeFileSync(join(dir, 'lock'), JSON.stringify(owner));
    if (takenOver) await writeLog(dir);
    else await expect(openTestLog(dir)).rejects.toMatchObject({ code: 'config' });
  });

  it('of many that find a stale lock at once, one gets it', async () => {
    const dir = temporaryFolder();
    await writeLog(dir);
    writeFileSync(join(dir, 'lock'), JSON.stringify({ pid: 2 ** 22 + 1, start: '1', host: hostname() }));
    const tries = await Promise.allSettled(Array.from({ length: 5 }, () => openTestLog(dir)));
    const opened = tries.flatMap((t) => (t.status === 'fulfilled' ? [t.value.log] : []));
    expect(opened).toHaveLength(1);
    await opened[0]?.close();
  });
});
