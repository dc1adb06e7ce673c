// `countersign audit …` and `keygen`, as the shell sees them: words in, text and exit code out.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { parseSigner } from '../../src/audit/note.ts';
import type { HoldId } from '../../src/base/ids.ts';
import { auditCommand } from '../../src/cli/audit.ts';
import { keygenCommand } from '../../src/cli/keygen.ts';
import type { Terminal } from '../../src/cli/terminal.ts';
import { hold, intent, open, outcome, VOTE } from './drafts.ts';
import { onlySegment, openTestLog, rewrite, temporaryFolder, writeLog } from './log-folder.ts';

afterEach(() => {
  process.exitCode = undefined;
});

async function audit(...words: string[]): Promise<{ text: string; exitCode: number }> {
  let text = '';
  const terminal: Terminal = {
    out: (more) => {
      text += more;
    },
    err: () => {},
    env: {},
    tty: false,
    errTty: false,
    columns: 80,
    colour: false,
    onInterrupt: () => () => {},
  };
  await exitsByThrowing(auditCommand(terminal)).parseAsync(words, { from: 'user' });
  const exitCode = Number(process.exitCode ?? 0);
  process.exitCode = undefined;
  return { text, exitCode };
}

function exitsByThrowing(command: Command): Command {
  const silent = { writeErr: () => {}, writeOut: () => {} };
  for (const each of [command, ...command.commands]) each.exitOverride().configureOutput(silent);
  return command;
}

describe('audit verify', () => {
  it('says what it checked, and exits 0', async () => {
    const dir = temporaryFolder();
    await writeLog(dir);
    const { text, exitCode } = await audit('verify', dir);
    expect(exitCode).toBe(0);
    expect(text).toContain('The log is whole.');
    expect(text).toMatch(/records +14 \(0 to 13\) in 1 segment/);
    expect(text).toContain('3: 1 held, 1 refused, 0 without an outcome; 1 session(s)');
    const json = JSON.parse((await audit('verify', '--json', dir)).text) as object;
    expect(json).toMatchObject({ ok: true, violations: [], size: 14 });
  });

  it('says where a record was changed, and exits 1', async () => {
    const dir = temporaryFolder();
    await writeLog(dir);
    rewrite(onlySegment(dir), (bytes) => String(bytes).replace('"rows":1,', '"rows":0,'));
    const { text, exitCode } = await audit('verify', dir);
    expect(exitCode).toBe(1);
    expect(text).toMatch(
      /violation +00000000000000000000\.jsonl:\d+ \(byte \d+\): the line does not have the checksum/,
    );
    expect(text).toContain('The log is not what was written.');
    const json = await audit('verify', '--json', dir);
    expect(json.exitCode).toBe(1);
    expect(JSON.parse(json.text)).toMatchObject({ ok: false, violations: [{ seq: 3 }] });
  });

  it('checks the signature with what keygen made', async () => {
    const dir = temporaryFolder();
    const out = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    const key = join(dir, 'log.key');
    await exitsByThrowing(keygenCommand()).parseAsync(['example.com/log', '-o', key], { from: 'user' });
    expect(out).toHaveBeenCalledWith(readFileSync(`${key}.pub`, 'utf8'));
    out.mockRestore();
    expect(statSync(key).mode & 0o777).toBe(0o600);
    const log = join(dir, 'log');
    await writeLog(log, { signer: parseSigner(readFileSync(key, 'utf8')) });
    expect(await audit('verify', '--key', `${key}.pub`, log)).toMatchObject({ exitCode: 0 });
    await expect(audit('verify', '--key', join(dir, 'none'), log)).rejects.toMatchObject({ code: 'usage' });
    await expect(audit('verify', '--key', key, log)).rejects.toMatchObject({ code: 'config' });
    const secret = readFileSync(key, 'utf8');
    await expect(
      exitsByThrowing(keygenCommand()).parseAsync(['example.com/log', '-o', key], { from: 'user' }),
    ).rejects.toMatchObject({ code: 'usage' });
    expect(readFileSync(key, 'utf8')).toBe(secret);
  });

  it('checks against a checkpoint kept from earlier', async () => {
    const dir = temporaryFolder();
    await writeLog(dir);
    const kept = join(dir, 'kept');
    writeFileSync(kept, readFileSync(join(dir, 'checkpoint')));
    await writeLog(dir);
    expect((await audit('verify', '--known', kept, dir)).exitCode).toBe(0);
    const other = join(dir, 'other');
    await writeLog(other);
    await writeLog(other);
    expect((await audit('verify', '--known', kept, other)).exitCode).toBe(1);
  });

  it('is misused without a folder or with two, or where there is no log', async () => {
    await expect(audit('verify')).rejects.toMatchObject({ code: 'usage' });
    await expect(audit('verify', '.', '--config', 'x.yaml')).rejects.toMatchObject({ code: 'usage' });
    await expect(audit('verify', temporaryFolder())).rejects.toMatchObject({ code: 'log_invalid' });
  });
});

describe('audit tail and show', () => {
  it('prints one line per record, which nothing in the SQL can break', async () => {
    const dir = temporaryFolder();
    const { log } = await openTestLog(dir);
    log.append(open);
    const seq = log.append(intent({ sql: 'SELECT 1 --\u001b[2J\u202e\n FROM x' }));
    log.append(outcome(seq));
    await log.close();
    const { text } = await audit('tail', '-n', '3', dir);
    const lines = text.trimEnd().split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toContain('SELECT 1 --<U+001B>[2J<U+202E> FROM x');
    expect(lines[0]).toContain('reporting-bot');
    expect(lines[1]).toMatch(/of 2 {2}done {2}SELECT 1 {2}1 rows {2}42 bytes {2}0\.8 ms$/);
    expect(text).not.toContain('\u001b');
    const json = (await audit('tail', '--json', '-n', '2', dir)).text.trimEnd().split('\n');
    expect(json.map((line) => (JSON.parse(line) as { leaf: { type: string } }).leaf.type)).toEqual([
      'statement.outcome',
      'stopped',
    ]);
  });

  it('shows a record in full with its text, parameters, votes and outcome', async () => {
    const dir = temporaryFolder();
    await writeLog(dir);
    const { text } = await audit('show', '8', dir);
    for (const part of [
      'DROP TABLE café',
      'agent: reporting-bot',
      'bob@example.com',
      'result: done',
      'agreed in the change meeting',
    ]) {
      expect(text).toContain(part);
    }
    expect((await audit('show', '10', dir)).text).toContain('not kept, by rule');
    expect(JSON.parse((await audit('show', '8', dir, '--json')).text)).toMatchObject({
      leaf: { seq: 8 },
      opening: { sql: { value: 'DROP TABLE café' } },
      outcomes: [{ intent: 8 }],
    });
    await expect(audit('show', '99', dir)).rejects.toMatchObject({ code: 'not_found' });
    await expect(audit('show', 'x', dir)).rejects.toMatchObject({ code: 'commander.invalidArgument' });
  });

  it('shows what is asked in the request for a hold: a proxy may die before there is more', async () => {
    const dir = temporaryFolder();
    const { log } = await openTestLog(dir);
    log.append(open);
    const sql = `DROP TABLE café\n-- ${'x'.repeat(200)}`;
    const seq = log.append(hold('hold.requested', 1, { sql, parameters: ['17'] }));
    log.append(hold('hold.voted', 2, { vote: VOTE }));
    const digest = log.append(hold('hold.requested', 1, { hold: 'h_2' as HoldId, record: 'digest' }));
    const vote = log.append(hold('hold.voted', 2, { hold: 'h_2' as HoldId, record: 'digest' }));
    await log.close();
    const lines = (await audit('tail', '-n', '5', dir)).text.trimEnd().split('\n');
    expect(lines[0]).toMatch(/hold\.requested {2}h_0000000000000001 {2}hold-ddl {2}DROP TABLE café -- x+…/);
    expect(lines[0]).not.toContain('x'.repeat(120));
    expect(lines[1]).not.toContain('not kept');
    expect(lines[2]).toMatch(/hold-ddl {2}\(text not kept\)$/);
    const { text } = await audit('show', String(seq), dir);
    expect(text).toContain('  DROP TABLE café');
    expect(text).toContain('parameters: ["17"]');
    expect((await audit('show', String(digest), dir)).text).toContain('not kept, by rule');
    expect((await audit('show', String(vote), dir)).text).not.toContain('not kept');
  });

  it('ends quietly when its reader has gone', async () => {
    const dir = temporaryFolder();
    const { log } = await openTestLog(dir);
    for (let i = 0; i < 3_000; i++) log.append({ type: 'rules.loaded', rules: 'x'.repeat(100), files: [] });
    await log.close();
    const code = `import { auditCommand } from ${JSON.stringify(new URL('../../src/cli/audit.ts', import.meta.url).href)};
      await auditCommand().parseAsync(['tail', '-n', '3000', ${JSON.stringify(dir)}], { from: 'user' });`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code]);
    let errors = '';
    child.stderr.on('data', (more: Buffer) => {
      errors += more;
    });
    child.stdout.once('data', () => child.stdout.destroy());
    const [exitCode] = (await once(child, 'exit')) as [number | null];
    expect(errors).toBe('');
    expect(exitCode).toBe(0);
  });
});
