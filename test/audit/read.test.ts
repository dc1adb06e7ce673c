import { appendFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { follow, openedValue, readLast, readRecord } from '../../src/audit/read.ts';
import { intent, open, outcome } from './drafts.ts';
import {
  leaves,
  onlySegment,
  openTestLog,
  reached,
  segmentFiles,
  temporaryFolder,
  writeLog,
} from './log-folder.ts';

describe('reading back', () => {
  it('gives the last records, over segments, oldest first', async () => {
    const dir = temporaryFolder();
    await writeLog(dir, { segmentBytes: 3_000 });
    const all = leaves(dir).map((leaf) => leaf['seq']);
    expect(segmentFiles(dir).length).toBeGreaterThan(3);
    for (const count of [0, 1, 2, 5, all.length, 100]) {
      const seqs = readLast(dir, count).records.map((record) => record.seq);
      expect(seqs).toEqual(count === 0 ? [] : all.slice(-count));
    }
  });

  it('passes over what it cannot read', async () => {
    const dir = temporaryFolder();
    await writeLog(dir);
    appendFileSync(onlySegment(dir), 'garbage\n{"leaf":{"seq":"x"}}\n{"leaf":{"seq":99');
    expect(readLast(dir, 1).records[0]?.leaf['type']).toBe('stopped');
  });

  it('finds a record by its number, and what came of it', async () => {
    const dir = temporaryFolder();
    const { log } = await openTestLog(dir, { segmentBytes: 2_000 });
    log.append(open);
    const seq = log.append(intent({ sql: 'SELECT 11', parameters: ['x', null] }));
    await reached(log, 'written');
    log.append(outcome(seq, { result: 'suspended' }));
    await reached(log, 'written');
    const other = log.append(intent());
    await reached(log, 'written');
    log.append(outcome(other));
    await reached(log, 'written');
    log.append(outcome(seq, { rows: 7 }));
    await log.close();
    expect(segmentFiles(dir).length).toBeGreaterThan(2);
    const { record, outcomes } = readRecord(dir, seq);
    expect(openedValue(record, 'sql')).toBe('SELECT 11');
    expect(openedValue(record, 'parameters')).toEqual(['x', null]);
    expect(outcomes.map((o) => [o.leaf['result'], o.leaf['rows']])).toEqual([
      ['suspended', 1],
      ['done', 7],
    ]);
    expect(readRecord(dir, 0)).toMatchObject({ record: { leaf: { type: 'started' } }, outcomes: [] });
    expect(() => readRecord(dir, 999)).toThrow(expect.objectContaining({ code: 'not_found' }));
  });

  it('follows what is written, over the end of a segment', async () => {
    const dir = temporaryFolder();
    const { log } = await openTestLog(dir, { segmentBytes: 2_000 });
    const { end } = readLast(dir, 1);
    const stop = new AbortController();
    const seen: number[] = [];
    const done = (async () => {
      for await (const record of follow(dir, end, stop.signal)) {
        seen.push(record.seq);
        if (record.leaf['type'] === 'stopped') stop.abort();
      }
    })();
    log.append(open);
    for (let i = 0; i < 12; i++) {
      log.append(outcome(log.append(intent())));
      await reached(log, 'written');
    }
    await expect.poll(() => seen.length, { timeout: 10_000 }).toBeGreaterThan(10);
    await log.close();
    await done;
    expect(seen).toEqual(
      leaves(dir)
        .map((leaf) => leaf['seq'])
        .slice(1),
    );
  });

  it('is an error where there is no log', () => {
    const dir = temporaryFolder();
    writeFileSync(`${dir}/something`, '');
    expect(() => readLast(dir, 1)).toThrow(expect.objectContaining({ code: 'log_invalid' }));
    expect(() => readRecord(dir, 1)).toThrow(expect.objectContaining({ code: 'log_invalid' }));
  });
});
