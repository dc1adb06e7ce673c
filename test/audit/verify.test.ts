import {
  copyFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { encodeCheckpoint, parseCheckpoint } from '../../src/audit/checkpoint.ts';
import { encodeKeys, parseSigner, parseVerifier } from '../../src/audit/note.ts';
import { verifyLog } from '../../src/audit/verify.ts';
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

let dir: string;
beforeEach(async () => {
  dir = temporaryFolder();
  await writeLog(dir);
});

/** The log in a fresh folder, changed. */
function tampered(change: (lines: string[]) => readonly string[]): string {
  return changed((bytes) => `${change(bytes.toString('utf8').split('\n').slice(0, -1)).join('\n')}\n`);
}

function changed(change: (bytes: Buffer) => Buffer | string): string {
  const copy = join(dir, 'copy');
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(join(copy, 'segments'), { recursive: true });
  copyFileSync(join(dir, 'checkpoint'), join(copy, 'checkpoint'));
  const from = onlySegment(dir);
  writeFileSync(join(copy, 'segments', basename(from)), change(readFileSync(from)));
  return copy;
}

describe('a log as it was written', () => {
  it('is whole', () => {
    const report = check(dir);
    expect(report.violations).toEqual([]);
    expect(report).toMatchObject({
      ok: true,
      notes: [],
      size: leaves(dir).length,
      origin: 'countersign/node1',
      signature: 'none',
      segments: 1,
      counts: {
        records: leaves(dir).length,
        sessions: 1,
        statements: 3,
        held: 1,
        refused: 1,
        indeterminate: 0,
      },
    });
    const { root } = parseCheckpoint(readFileSync(join(dir, 'checkpoint'), 'utf8'));
    expect(report.root).toBe(root.toString('base64'));
    expect(report.from).toBe(leaves(dir)[0]?.['time']);
    expect(report.to).toBe(leaves(dir).at(-1)?.['time']);
  });

  it('is whole over many segments', async () => {
    const many = temporaryFolder();
    for (let i = 0; i < 3; i++) await writeLog(many, { segmentBytes: 3_000 });
    expect(segmentFiles(many).length).toBeGreaterThan(6);
    expect(check(many)).toMatchObject({ ok: true, violations: [], segments: segmentFiles(many).length });
  });
});

describe('a changed log is found out, and the place is named', () => {
  it('whatever byte is changed, to whatever', () => {
    const original = readFileSync(onlySegment(dir));
    const lineAt = (offset: number) =>
      original.subarray(0, offset).filter((byte) => byte === 0x0a).length + 1;
    fc.assert(
      fc.property(fc.nat({ max: original.length - 1 }), fc.integer({ min: 1, max: 255 }), (offset, mask) => {
        const copy = changed((bytes) => {
          bytes[offset] = (bytes[offset] ?? 0) ^ mask;
          return bytes;
        });
        const { ok, violations } = check(copy);
        expect(ok).toBe(false);
        const last = offset === original.length - 1;
        // A last line without its newline is what a crash leaves: the checkpoint tells it from one.
        if (last) expect(violations[0]?.what).toContain('missing from the end');
        else expect(violations[0]?.line).toBe(lineAt(offset));
      }),
      { numRuns: 400 },
    );
  });

  it('whichever line is dropped', () => {
    const count = readFileSync(onlySegment(dir), 'utf8').split('\n').length - 1;
    for (let i = 0; i < count; i++) {
      const { ok, violations } = check(tampered((lines) => lines.toSpliced(i, 1)));
      expect(ok, `line ${i + 1}`).toBe(false);
      // What stands where it was, or, if that was a mark, what the mark after it ends.
      const [first] = violations;
      const atEnd = i === count - 1;
      if (atEnd) expect(first?.what).toContain('missing from the end');
      else expect(first?.line, `line ${i + 1}: ${first?.what}`).toBeGreaterThanOrEqual(i + 1);
      if (!atEnd) expect(first?.line).toBeLessThanOrEqual(i + 8);
    }
  });

  it('names the record that was dropped', () => {
    const at = readFileSync(onlySegment(dir), 'utf8')
      .split('\n')
      .findIndex((line) => line.includes('"seq":4,'));
    const { violations } = check(tampered((lines) => lines.toSpliced(at, 1)));
    expect(violations[0]).toMatchObject({
      line: at + 1,
      what: 'record 4 is expected here, and this is record 5',
    });
    expect(violations).toHaveLength(1);
  });

  it('whichever two lines change places, and whichever is there twice', () => {
    const count = readFileSync(onlySegment(dir), 'utf8').split('\n').length - 1;
    for (let i = 0; i < count; i++) {
      expect(check(tampered((lines) => lines.toSpliced(i, 0, lines[i] ?? ''))).ok, `twice ${i}`).toBe(false);
      for (let j = i + 1; j < count; j++) {
        const copy = tampered((lines) => lines.with(i, lines[j] ?? '').with(j, lines[i] ?? ''));
        const { ok, violations } = check(copy);
        expect(ok, `${i} and ${j}`).toBe(false);
        expect(violations[0]?.line ?? 0, `${i} and ${j}`).toBeGreaterThanOrEqual(i + 1);
      }
    }
  });

  it('however many records are cut from the end', () => {
    const lines = readFileSync(onlySegment(dir), 'utf8').split('\n').slice(0, -1);
    const size = leaves(dir).length;
    for (let keep = 1; keep < lines.length; keep++) {
      const { ok, violations } = check(tampered((all) => all.slice(0, keep)));
      expect(ok).toBe(false);
      const marks = lines.slice(0, keep).flatMap((line) => /"size":(\d+)/.exec(line)?.[1] ?? []);
      const missing = size - Number(marks.at(-1) ?? 0);
      expect(violations[0]?.what).toMatch(new RegExp(`^${missing} records? (are|is) missing from the end`));
    }
  });

  it('with the checksum put right again', () => {
    const edits: readonly [RegExp, string][] = [
      [/"rows":1,/, '"rows":2,'],
      [/"verdict":"hold"/, '"verdict":"allow"'],
      [/"voter":"bob@/, '"voter":"eve@'],
    ];
    for (const [from, to] of edits) {
      const at = readFileSync(onlySegment(dir), 'utf8')
        .split('\n')
        .findIndex((line) => from.test(line));
      const copy = tampered((lines) => lines.with(at, resummed((lines[at] ?? '').replace(from, to))));
      const { violations } = check(copy);
      expect(violations.map((v) => v.what).join()).toContain('changed since being written');
      const batch = violations.find((v) => v.what.includes('changed since'));
      expect(batch?.line).toBeGreaterThan(at);
      expect(batch?.line).toBeLessThanOrEqual(at + 5);
    }
  });

  it('with the SQL changed beside its commitment, or taken away', () => {
    const at = readFileSync(onlySegment(dir), 'utf8')
      .split('\n')
      .findIndex((line) => line.includes('DROP TABLE café'));
    const edit = (change: (line: string) => string) =>
      check(tampered((lines) => lines.with(at, resummed(change(lines[at] ?? ''))))).violations;
    expect(edit((line) => line.replace('DROP TABLE café', 'SELECT 1'))).toMatchObject([
      { line: at + 1, what: expect.stringContaining('its sql is not what was written') },
    ]);
    expect(edit((line) => line.replace(/,"opening":.*(?=,"sum")/, ''))).toMatchObject([
      { line: at + 1, what: expect.stringContaining('its sql is missing') },
      { line: at + 1, what: expect.stringContaining('its statement_sha256 is missing') },
    ]);
    expect(edit((line) => line.replace('"opening":{', '"opening":{"extra":{},'))).toMatchObject([
      { line: at + 1, what: expect.stringContaining('opens what it does not have') },
    ]);
    const digest = readFileSync(onlySegment(dir), 'utf8')
      .split('\n')
      .findIndex((line) => line.includes('"record":"digest"'));
    const kept = check(
      tampered((lines) =>
        lines.with(digest, resummed((lines[digest] ?? '').replace(/(?=,"sum")/, ',"opening":{"sql":{}}'))),
      ),
    );
    expect(kept.violations[0]).toMatchObject({ line: digest + 1 });
  });

  it('with another spelling of the same values', () => {
    for (const change of [
      (line: string) => line.replace('"leaf":', '"leaf": '),
      (line: string) => line.replace('"seq":2', '"seq":2.0'),
      (line: string) => line.replace('"seq":2', '"seq":2,"seq":2'),
      (line: string) => line.replace('SELECT name', '\\u0053ELECT name'),
      (line: string) => `${line.slice(0, -1)} }`,
      (line: string) => line.replace(/("epoch":1),("fate":"forward")/, '$2,$1'),
      (line: string) => line.replace(/("salt":"[^"]*"),("value":\["17"\])/, '$2,$1'),
    ]) {
      const at = readFileSync(onlySegment(dir), 'utf8')
        .split('\n')
        .findIndex((line) => line.includes('"seq":2,'));
      const { violations } = check(tampered((lines) => lines.with(at, resummed(change(lines[at] ?? '')))));
      expect(violations[0], String(change)).toMatchObject({ line: at + 1 });
    }
  });

  it('with bytes that are no UTF-8, though they read as the same text', async () => {
    const { log } = await openTestLog(dir);
    log.append(open);
    log.append(intent({ sql: 'SELECT \ufffd' }));
    await log.close();
    const bytes = readFileSync(onlySegment(dir));
    const at = bytes.indexOf('\ufffd');
    const start = bytes.lastIndexOf('\n', at) + 1;
    const end = bytes.indexOf('\n', at);
    const line = Buffer.concat([bytes.subarray(start, at), Buffer.from([0xff]), bytes.subarray(at + 3, end)]);
    expect(line.toString()).toBe(bytes.subarray(start, end).toString());
    const body = line.subarray(0, line.length - ',"sum":"00000000"}'.length);
    const sum = Buffer.from(`,"sum":"${crc32(body).toString(16).padStart(8, '0')}"}`);
    writeFileSync(
      onlySegment(dir),
      Buffer.concat([bytes.subarray(0, start), body, sum, bytes.subarray(end)]),
    );
    expect(check(dir).violations[0]).toMatchObject({
      offset: start,
      what: 'the line is not a line of the log',
    });
  });

  it('with every chain value worked out anew: by the checkpoint', async () => {
    const other = temporaryFolder();
    await writeLog(other, { clock: { nowMs: () => 1_790_000_000_000, monoUs: () => 5 } });
    copyFileSync(join(dir, 'checkpoint'), join(other, 'checkpoint'));
    const { violations } = check(other);
    expect(violations).toHaveLength(1);
    expect(violations[0]?.what).toContain('not those that checkpoint speaks of');
  });

  it('with a whole segment gone, wherever', async () => {
    const many = temporaryFolder();
    await writeLog(many, { segmentBytes: 3_000 });
    const files = segmentFiles(many);
    for (const file of files) {
      const bytes = readFileSync(file);
      unlinkSync(file);
      const { ok, violations } = check(many);
      expect(ok).toBe(false);
      expect(violations[0]?.what).toContain('missing');
      writeFileSync(file, bytes);
    }
    expect(check(many).ok).toBe(true);
  });

  it("with the tree in a segment's header changed", async () => {
    const many = temporaryFolder();
    await writeLog(many, { segmentBytes: 3_000 });
    const edits: readonly ((edge: string[]) => string[])[] = [
      (edge) => edge.with(-1, Buffer.alloc(32, 9).toString('base64')),
      (edge) => edge.slice(1),
      (edge) => [...edge, ...edge],
    ];
    for (const file of segmentFiles(many).slice(1)) {
      const bytes = readFileSync(file);
      for (const edit of edits) {
        rewrite(file, () => {
          const [header = '', ...rest] = bytes.toString('utf8').split('\n');
          const changed = header.replace(
            /"edge":(\[[^\]]*\])/,
            (_, edge: string) => `"edge":${JSON.stringify(edit(JSON.parse(edge) as string[]))}`,
          );
          expect(changed).not.toBe(header);
          return [resummed(changed), ...rest].join('\n');
        });
        const { violations } = check(many);
        expect(violations).toMatchObject([
          {
            file: basename(file),
            line: 1,
            what: 'the tree that the segment says it continues is not the one before it',
          },
        ]);
      }
      writeFileSync(file, bytes);
    }
    expect(check(many).ok).toBe(true);
  });

  it('with segments of another log, or under another name', async () => {
    const many = temporaryFolder();
    await writeLog(many, { segmentBytes: 3_000 });
    const other = temporaryFolder();
    await writeLog(other, { segmentBytes: 3_000, node: 'node2' });
    const [, second = ''] = segmentFiles(many);
    copyFileSync(join(other, 'segments', basename(second)), second);
    const { violations } = check(many);
    expect(violations[0]).toMatchObject({ file: basename(second), line: 1 });
    expect(violations[0]?.what).toContain('is of another log');
  });

  it('with its checkpoint gone, damaged, or ahead', () => {
    const path = join(dir, 'checkpoint');
    const good = readFileSync(path, 'utf8');
    const { size, origin, root } = parseCheckpoint(good);
    unlinkSync(path);
    expect(check(dir).violations).toMatchObject([{ file: 'checkpoint', what: 'the checkpoint is missing' }]);
    for (let i = 0; i < good.length; i++) {
      writeFileSync(path, good.slice(0, i) + (good[i] === '1' ? '2' : '1') + good.slice(i + 1));
      expect(check(dir).ok, `character ${i}`).toBe(false);
    }
    writeFileSync(path, encodeCheckpoint(origin, size + 3, root, null));
    expect(check(dir).violations[0]?.what).toContain('3 records are missing from the end');
    writeFileSync(path, encodeCheckpoint(origin, size - 1, root, null));
    expect(check(dir).ok).toBe(false);
  });
});

describe('a signed log', () => {
  const keys = encodeKeys('example.com/log/node1', Buffer.alloc(32, 3));
  const signer = parseSigner(keys.signer);
  const verifier = parseVerifier(keys.verifier);

  it('verifies with its key, and not with another or without a signature', async () => {
    const signed = temporaryFolder();
    await writeLog(signed, { signer });
    expect(verifyLog(signed, { verifier, known: [] })).toMatchObject({ ok: true, signature: 'good' });
    expect(verifyLog(signed, { verifier: null, known: [] })).toMatchObject({
      ok: true,
      signature: 'not checked',
    });
    const other = parseVerifier(encodeKeys('example.com/log/node1', Buffer.alloc(32, 4)).verifier);
    expect(verifyLog(signed, { verifier: other, known: [] })).toMatchObject({ ok: false, signature: 'bad' });
    rewrite(join(signed, 'checkpoint'), (bytes) => `${bytes.toString('utf8').split('\n\n')[0]}\n\n`);
    expect(verifyLog(signed, { verifier, known: [] })).toMatchObject({ ok: false, signature: 'bad' });
  });

  it('is a continuation of what its earlier checkpoints speak of', async () => {
    const first = parseCheckpoint(readFileSync(join(dir, 'checkpoint'), 'utf8'));
    await writeLog(dir);
    expect(verifyLog(dir, { verifier: null, known: [first] }).ok).toBe(true);
    const rebuilt = temporaryFolder();
    await writeLog(rebuilt);
    await writeLog(rebuilt);
    const { violations } = verifyLog(rebuilt, { verifier: null, known: [first] });
    expect(violations[0]?.what).toContain('not those that the known checkpoint speaks of');
  });
});

describe('a log that is being written', () => {
  it('may end within a batch, beyond its checkpoint', async () => {
    const live = temporaryFolder();
    const { log } = await openTestLog(live);
    log.append(open);
    await reached(log, 'durable');
    const before = readFileSync(onlySegment(live));
    log.append(intent());
    await reached(log, 'written');
    const after = readFileSync(onlySegment(live));
    await log.close();
    // Back to a checkpoint of before, as it stands while a batch is on its way.
    const size = before
      .toString('utf8')
      .split('\n')
      .filter((line) => line.startsWith('{"leaf"')).length;
    for (let end = before.length; end < after.length; end += 7) {
      writeFileSync(onlySegment(live), after.subarray(0, end));
      const { root } = verifyLog(live, { verifier: null, known: [] });
      writeFileSync(
        join(live, 'checkpoint'),
        encodeCheckpoint('countersign/node1', size, Buffer.from(root ?? '', 'base64'), null),
      );
      const report = check(live);
      expect(report.violations).toEqual([]);
      expect(report.notes.length > 0).toBe(end > before.length);
      expect(report.size).toBe(size);
    }
  });

  it('stops listing after a hundred violations, and says that there are more', async () => {
    const { log } = await openTestLog(dir);
    for (let i = 0; i < 150; i++) log.append(outcome(3));
    await log.close();
    const report = check(dir);
    expect(report.violations).toHaveLength(100);
    expect(report.more).toBe(true);
    expect(report.violations[0]?.what).toContain('is not open');
  });

  it('is nothing where there is no log', () => {
    expect(() => check(temporaryFolder())).toThrow(expect.objectContaining({ code: 'log_invalid' }));
  });

  it('that cannot be read is not called changed', () => {
    unlinkSync(onlySegment(dir));
    symlinkSync('/nowhere', join(dir, 'segments', '00000000000000000000.jsonl'));
    expect(() => check(dir)).toThrow(expect.objectContaining({ message: expect.stringContaining('ENOENT') }));
  });

  it('is read in its story', async () => {
    const { log } = await openTestLog(dir);
    await writeStory(log);
    expect(check(dir).violations).toEqual([]);
    await log.close();
  });
});
