// The log's folder cannot be had, or the disk will not take another record, or somebody has changed what is in it: nothing
// is forwarded without a record, the process says why it ends, and `audit verify` says where.
import { randomUUID } from 'node:crypto';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CliResult, countersign, startCountersign } from '../services/countersign.ts';
import { createDatabase, type Database } from '../services/database.ts';
import { tempDir } from '../services/places.ts';
import {
  Approver,
  connectAgent,
  failureOf,
  forwardedTexts,
  loggedRecords,
  sceneConfig,
  segmentFiles,
} from '../services/scene.ts';
import { eventually } from '../services/wait.ts';

let database: Database;
beforeAll(async () => {
  database = await createDatabase('empty');
});
afterAll(() => database.close());

const verify = (dir: string): Promise<CliResult> => countersign(['audit', 'verify', dir]);

describe('at the start', () => {
  async function refusal(dir: string, folder = tempDir('log')): Promise<CliResult> {
    const configFile = join(folder, 'other.yaml');
    writeFileSync(configFile, JSON.stringify(await sceneConfig(database, { audit: { dir } })));
    return countersign(['serve', '--config', configFile], { cwd: folder });
  }

  test('a folder that cannot be made', async () => {
    const folder = tempDir('log');
    writeFileSync(join(folder, 'file'), '');
    const dir = join(folder, 'file', 'audit');
    const result = await refusal(dir, folder);
    expect(result).toMatchObject({ code: 1, stdout: '' });
    expect(result.stderr).toMatch(/^countersign: the audit log in .*file\/audit cannot be written: ENOTDIR/m);
  });

  test('a file where the folder should be', async () => {
    const folder = tempDir('log');
    const dir = join(folder, 'audit');
    writeFileSync(dir, 'mine');
    const result = await refusal(dir, folder);
    expect(result).toMatchObject({ code: 1, stdout: '' });
    expect(result.stderr).toMatch(/cannot be written: E(NOTDIR|EXIST)/);
    expect(readFileSync(dir, 'utf8')).toBe('mine');
  });

  test('a folder that another serve writes to', async () => {
    const proxy = await startCountersign(await sceneConfig(database));
    const result = await refusal(join(proxy.folder, 'audit'));
    expect(result).toMatchObject({ code: 2, stdout: '' });
    expect(result.stderr).toContain(`the log is written by process ${proxy.pid} on`);
    // The one that writes is not disturbed.
    await (await connectAgent(proxy)).query('SELECT 1');
    expect(await proxy.stop()).toBe(0);
    expect((await verify(join(proxy.folder, 'audit'))).code).toBe(0);
  });

  test('a log that somebody has changed', async () => {
    const folder = tempDir('log');
    const config = await sceneConfig(database);
    const proxy = await startCountersign(config, { folder });
    await (await connectAgent(proxy)).query('SELECT 1');
    await proxy.stop();
    const [file = ''] = segmentFiles(join(folder, 'audit'));
    writeFileSync(file, readFileSync(file, 'utf8').replace('SELECT 1', 'SELECT 2'));
    const result = await refusal(join(folder, 'audit'), folder);
    expect(result).toMatchObject({ code: 1, stdout: '' });
    expect(result.stderr).toMatch(/000\.jsonl/);
  });
});

// Long texts: what does not fit is then an intent, and not the outcome of the statement before it.
const padding = 'x'.repeat(50_000);

test.each([
  ['a read', (id: string) => `SELECT '${id}' /* ${padding} */`],
  // There is no such table, which does not matter: the server says that it was asked.
  ['a write', (id: string) => `INSERT INTO numbers VALUES ('${id}') /* ${padding} */`],
])(
  'the disk is full at %s: not forwarded, clients get 58030, exit 1; with room again it recovers',
  async (_, textOf) => {
    const folder = tempDir('log');
    const auditDir = join(folder, 'audit');
    const config = await sceneConfig(database);
    const proxy = await startCountersign(config, { folder, fileBytesMax: 128 * 1024 });
    const [busy, waiting] = [await connectAgent(proxy), await connectAgent(proxy)];
    const held = `CREATE TABLE "${randomUUID()}" ()`;
    const heldFails = failureOf(waiting.query(held));
    const hold = await new Approver(proxy).waiting(held);

    const sent: string[] = [];
    const failure = await failureOf(
      (async () => {
        for (;;) {
          const text = textOf(randomUUID());
          sent.push(text);
          await busy.query(text).catch((error: { code: string }) => {
            if (error.code !== '42P01') throw error;
          });
        }
      })(),
    );
    expect(failure).toMatchObject({ code: '58030', severity: 'FATAL' });
    expect(failure.message).toMatch(/audit log cannot be written/);
    expect(JSON.stringify(failure)).not.toContain(folder);
    expect(await heldFails).toMatchObject({ code: '58030' });
    expect(await proxy.exited()).toBe(1);
    expect(proxy.stderr()).toContain('the log has failed');
    expect(proxy.stderr()).toMatch(/EFBIG|ENOSPC|bytes were taken/);

    // Every text but the last reached the server, and has its record.
    expect(sent.length).toBeGreaterThan(1);
    const reached = database.statements();
    expect(sent.map((text) => reached.includes(text))).toEqual(sent.map((_text, i) => i < sent.length - 1));
    expect(reached).not.toContain(held);
    const forwarded = forwardedTexts(auditDir);
    expect(sent.slice(0, -1).filter((text) => !forwarded.includes(text))).toEqual([]);

    // Still no room: it says so and stays away.
    const again = await countersign(['serve', '--config', proxy.configFile], {
      cwd: folder,
      fileBytesMax: 32 * 1024,
    });
    expect(again).toMatchObject({ code: 1, stdout: '' });
    expect(again.stderr).toMatch(/cannot be written/);

    const restarted = await startCountersign(config, { folder });
    expect(restarted.stderr()).toContain('recovered');
    const text = `SELECT '${randomUUID()}'`;
    await (await connectAgent(restarted)).query(text);
    expect(await restarted.stop()).toBe(0);
    expect(forwardedTexts(auditDir)).toContain(text);
    expect(await verify(auditDir)).toMatchObject({ code: 0 });
    expect(loggedRecords(auditDir).some(({ leaf }) => leaf['hold'] === hold.id)).toBe(true);
    expect(database.statements()).not.toContain(held);
  },
);

describe('a log that was changed', () => {
  let original: string;
  let lines: string[];
  beforeAll(async () => {
    const proxy = await startCountersign(await sceneConfig(database));
    const agent = await connectAgent(proxy);
    await agent.query('SELECT 1');
    const denied = failureOf(agent.query('DROP TABLE a'));
    const approver = new Approver(proxy);
    await approver.vote(await approver.waiting('DROP TABLE a'), 'deny');
    await denied;
    const ran = agent.query('CREATE TABLE b ()');
    await approver.approve('CREATE TABLE b ()');
    await ran;
    await agent.query('SELECT $1::int + 1', ['2']);
    await agent.end();
    await proxy.stop();
    original = join(proxy.folder, 'audit');
    const [file = ''] = segmentFiles(original);
    lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
    expect(await verify(original)).toMatchObject({ code: 0 });
  });

  /** What verify says of a copy whose only segment has these lines. */
  async function verdictOn(changed: readonly string[]): Promise<CliResult & { file: string }> {
    const copy = join(tempDir('tampered'), 'audit');
    cpSync(original, copy, { recursive: true });
    const [file = ''] = segmentFiles(copy);
    chmodSync(file, 0o600);
    writeFileSync(file, changed.map((line) => `${line}\n`).join(''));
    return { ...(await verify(copy)), file: file.split('/').at(-1) ?? '' };
  }

  /** The first violation is at this line, or at the mark of its batch or the next record, which are right behind. */
  function expectNamed({ code, stdout, stderr, file }: CliResult & { file: string }, line: number): void {
    expect(code, stdout + stderr).toBe(1);
    const named = new RegExp(`${file}:(\\d+)`).exec(stdout + stderr);
    expect(named, stdout + stderr).not.toBeNull();
    const at = Number(named?.[1]);
    expect(at).toBeGreaterThanOrEqual(line);
    expect(at).toBeLessThanOrEqual(line + 2);
  }

  const isRecord = (line: string): boolean => line.startsWith('{"leaf":');
  const indexesOf = (which: (line: string) => boolean): number[] =>
    lines.flatMap((line, i) => (which(line) ? [i] : []));

  test('one byte of any record', async () => {
    // Every record's own turn is the unit tests'; here the real command, on a third of them.
    const some = indexesOf(isRecord).filter((_, i) => i % 3 === 0);
    expect(some.length).toBeGreaterThan(5);
    const verdicts = await Promise.all(
      some.map(async (i) => {
        const bytes = Buffer.from(lines[i] ?? '');
        const at = 9 + ((i * 7919) % (bytes.length - 12));
        bytes[at] = (bytes[at] ?? 0) ^ 1;
        return { i, verdict: await verdictOn(lines.with(i, bytes.toString('latin1'))) };
      }),
    );
    for (const { i, verdict } of verdicts) expectNamed(verdict, i + 1);
  });

  test('a dropped line, a dropped batch, two lines swapped, a record said twice', async () => {
    const records = indexesOf(isRecord);
    const middle = records[Math.floor(records.length / 2)] ?? 0;
    expectNamed(await verdictOn(lines.toSpliced(middle, 1)), middle + 1);
    expectNamed(await verdictOn(lines.toSpliced(middle, 0, lines[middle] ?? '')), middle + 2);
    const marks = indexesOf((line) => !isRecord(line)).slice(1);
    const [from = 0, to = 0] = marks.slice(Math.floor(marks.length / 2));
    expectNamed(await verdictOn(lines.toSpliced(from + 1, to - from)), from + 2);
    const next = records.find((i) => i > middle) ?? 0;
    const swapped = lines.with(middle, lines[next] ?? '').with(next, lines[middle] ?? '');
    expectNamed(await verdictOn(swapped), middle + 1);
  });

  test('the newest records cut off, and the whole of it taken away', async () => {
    const marks = indexesOf((line) => !isRecord(line));
    const cut = await verdictOn(lines.slice(0, (marks.at(-2) ?? 0) + 1));
    expect(cut.code).toBe(1);
    expect(cut.stdout).toMatch(/checkpoint/);
    const gone = await verify(join(tempDir('nothing'), 'audit'));
    expect(gone.code).toBe(1);
    expect(gone.stdout + gone.stderr).not.toMatch(/bug in countersign/);
  });
});

test('nothing of the log is readable by others', async () => {
  const folder = tempDir('log');
  mkdirSync(folder, { recursive: true });
  const proxy = await startCountersign(await sceneConfig(database), { folder });
  const { statSync } = await import('node:fs');
  const dir = join(folder, 'audit');
  await eventually(() => existsSync(join(dir, 'checkpoint')), { what: 'the checkpoint' });
  for (const path of [dir, join(dir, 'segments'), ...segmentFiles(dir)]) {
    expect(statSync(path).mode & 0o077, path).toBe(0);
  }
  await proxy.stop();
});
