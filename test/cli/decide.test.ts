// The commands that decide, against the real API: what a person reads, what a script reads, and the exit codes.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import type { Command } from 'commander';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { approveCommand } from '../../src/cli/approve.ts';
import { denyCommand } from '../../src/cli/deny.ts';
import { pendingCommand } from '../../src/cli/pending.ts';
import { showCommand } from '../../src/cli/show.ts';
import { printFailure, type Terminal } from '../../src/cli/terminal.ts';
import { widthOf } from '../../src/cli/visible.ts';
import { watchCommand } from '../../src/cli/watch.ts';
import { impact } from '../holds/sample.ts';
import { Stage, until } from '../http/stage.ts';

class Screen implements Terminal {
  stdout = '';
  stderr = '';
  readonly env: Record<string, string>;
  tty = false;
  readonly errTty = false;
  columns = 80;
  colour = false;
  interrupt: (() => void) | null = null;
  constructor(env: Record<string, string>) {
    this.env = env;
  }
  out = (text: string): void => {
    this.stdout += text;
  };
  err = (text: string): void => {
    this.stderr += text;
  };
  onInterrupt(stop: () => void): () => void {
    this.interrupt = stop;
    return () => {
      this.interrupt = null;
    };
  }
}

let stage: Stage;
let screen: Screen;
beforeEach(async () => {
  stage = await new Stage().open();
  screen = new Screen({ COUNTERSIGN_URL: stage.server.address, COUNTERSIGN_TOKEN: 'bob-token' });
});
afterEach(() => stage.close());

/** As main does it: runs the command and returns the exit code. */
async function run(make: (terminal: Terminal) => Command, ...args: string[]): Promise<number> {
  screen.stdout = '';
  screen.stderr = '';
  try {
    await make(screen).parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    return printFailure(screen, error);
  }
}

const NOISY_SQL = 'DROP TABLE \u202ecustomers\u202c\u200b -- \u001b[2K\u001b[1A\u009b2J\r\n  Rule  allowed';

describe('pending', () => {
  test('a table of 80 columns on a terminal', async () => {
    screen.tty = true;
    await run(pendingCommand);
    expect(screen.stdout).toBe('Nothing is waiting.\n');
    const hold = await stage.hold(`DELETE FROM orders WHERE note = '${'漢'.repeat(80)}'`, {
      agent: 'an-agent-with-quite-a-long-name',
      approvals: { count: 2, groups: [], reasonRequired: false },
    });
    expect(await run(pendingCommand)).toBe(0);
    const lines = screen.stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^ID +LEFT +VOTES +AGENT +STATEMENT$/);
    expect(lines[1]).toMatch(new RegExp(`^${hold.request.id}  30m +0/2 +an-agent-with-q…  DELETE FROM .*…$`));
    for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(80);
  });

  test('tab-separated and whole for a script, JSON with --json, both without anything unseen', async () => {
    const hold = await stage.hold(NOISY_SQL);
    await run(pendingCommand);
    const cells = screen.stdout.split('\n')[0]?.split('\t');
    expect(cells?.[0]).toBe(hold.request.id);
    expect(cells?.[4]).toContain('<U+202E>customers<U+202C>');
    expect(await run(pendingCommand, '--json')).toBe(0);
    const listed = JSON.parse(screen.stdout) as { holds: { statement: { text: string } }[] };
    expect(listed.holds[0]?.statement.text).toBe(NOISY_SQL);
    expect(screen.stdout).not.toMatch(/[\u202e\u200b\u009b\u001b]/);
  });
});

describe('show', () => {
  test('prints what an approver needs, at 80 columns, with nothing that moves, hides or reorders', async () => {
    const hold = await stage.hold(`${NOISY_SQL}\n${'x'.repeat(200)}`, {
      onBehalfOf: ['dave@example.com', 'erin@example.com'],
      inTransaction: true,
      claimed: { applicationName: 'psql\u001b]0;owned\u0007', purpose: 'tidy\nRule          none' },
    });
    expect(await run(showCommand, hold.request.id)).toBe(0);
    for (const text of [
      '<U+202E>customers<U+202C>',
      '<U+001B>[2K',
      '<U+009B>2J',
      '<U+200B> --',
      'reporting-bot, by scram-sha-256, from 192.0.2.7',
      'alice@example.com',
      'dave@example.com > erin@example.com',
      'psql<U+001B>]0;owned<U+0007>',
      'shop as countersign, inside a transaction',
      'public.customers (define)',
      'ddl: Schema changes need a person.',
      hold.request.statement.sha256,
      '0 of 1 approval',
    ]) {
      expect(screen.stdout).toContain(text);
    }
    expect(screen.stdout).not.toMatch(/[^\P{C}\n]|[\u202e\u200b]/u);
    for (const line of screen.stdout.split('\n')) {
      expect(widthOf(line)).toBeLessThanOrEqual(80);
      // A line of the statement or of a claim that looks like ours stands behind the margin.
      if (/Rule +(allowed|none)/.test(line)) expect(line).toMatch(/^( {2}│ | {16})/);
    }
  });

  test('says what it would do, with separators and estimates marked, and lets no name in it play with the terminal', async () => {
    const hostile = 'public.x\u001b[2Ky\u202e';
    const hold = await stage.hold('DELETE FROM orders', {
      impact: [
        impact({
          relations: [{ relation: hostile, kind: 'table', bytes: 123_456_789, rows: 1_234_567 }],
          locks: [
            { relation: hostile, mode: 'ACCESS EXCLUSIVE', rewrites: true, blockers: 1, waiting: 2 },
            { relation: 'public.read', mode: 'ACCESS SHARE', rewrites: false, blockers: 0, waiting: 0 },
          ],
          cascades: [{ constraint: hostile, relation: 'public.items', action: 'CASCADE', rows: 2_000 }],
          dependents: [`view ${hostile}`],
        }),
        impact({ rows: { known: false, why: `no such ${hostile}` }, locks: [], unknown: [] }),
      ],
    });
    expect(await run(showCommand, hold.request.id)).toBe(0);
    const text = screen.stdout.replaceAll(/\s+/g, ' ');
    for (const words of [
      'Statement 1 DELETE',
      'Would delete about 100,000 rows from public.orders (by plan)',
      'table, 117.7 MiB, about 1,234,567 rows in all',
      '; rewrites it; 1 session in its way now, and all that comes after would wait behind it; 2 sessions waiting',
      'of public.items: CASCADE (about 2,000 rows in all)',
      'Trigger watch on public.orders calls public.watch',
      'Takes along view public.x<U+001B>[2Ky<U+202E>',
      'Body line 1: DELETE (write)',
      'Not known sizes: a lock on it was not free',
      'Statement 2 DELETE',
      'Rows UNKNOWN: no such public.x',
    ]) {
      expect(text).toContain(words);
    }
    // Every SELECT takes that one; it is news only where somebody is in the way.
    expect(text).not.toContain('ACCESS SHARE');
    expect(screen.stdout).not.toMatch(/[^\P{C}\n]|[\u202e\u200b]/u);
    for (const line of screen.stdout.split('\n')) expect(widthOf(line)).toBeLessThanOrEqual(80);
  });

  test('colour on a terminal that has it, none otherwise', async () => {
    const hold = await stage.hold();
    await run(showCommand, hold.request.id);
    expect(stripVTControlCharacters(screen.stdout)).toBe(screen.stdout);
    screen.colour = true;
    await run(showCommand, hold.request.id);
    expect(stripVTControlCharacters(screen.stdout)).not.toBe(screen.stdout);
  });

  test('values that a rule keeps to itself are said to be missing, not absent', async () => {
    const hold = await stage.hold();
    const { statement } = hold.request;
    const hidden = await stage.hold('SELECT $1', { statement: { ...statement, parameters: null } });
    await run(showCommand, hidden.request.id);
    expect(screen.stdout).toContain('parameter values are not shown');
    const bound = await stage.hold('SELECT $1', {
      statement: { ...statement, parameters: ["o'clock", null] },
    });
    await run(showCommand, bound.request.id);
    expect(screen.stdout).toContain("  │ $1 = 'o''clock'\n  │ $2 = NULL\n");
  });

  test('by a beginning of the id, when it fits one hold', async () => {
    const one = await stage.hold('DROP TABLE a', { id: 'h_aaaa000000000001' as never });
    await stage.hold('DROP TABLE b', { id: 'h_aaaa000000000002' as never });
    await stage.hold('DROP TABLE c', { id: 'h_bbbb000000000000' as never });
    expect(await run(showCommand, 'bbbb')).toBe(0);
    expect(screen.stdout).toContain('DROP TABLE c');
    expect(await run(showCommand, 'H_AAAA000000000001')).toBe(0);
    expect(screen.stdout).toContain(one.request.id);
    expect(await run(showCommand, 'h_aaaa')).toBe(2);
    expect(screen.stderr).toContain('h_aaaa000000000001 h_aaaa000000000002');
    expect(await run(showCommand, 'bb')).toBe(2);
    expect(await run(showCommand, 'cccc')).toBe(1);
    expect(screen.stderr).toContain('there is no hold h_cccc');
    expect(await run(showCommand, 'h_cccccccccccccccc')).toBe(1);
    expect(screen.stdout).toBe('');
  });
});

describe('approve and deny', () => {
  test('approve shows the whole statement, then votes on exactly that', async () => {
    const hold = await stage.hold('DROP TABLE customers;\nDROP TABLE orders');
    expect(await run(approveCommand, hold.request.id, '--reason', 'as agreed')).toBe(0);
    expect(screen.stdout).toContain('  │ DROP TABLE customers;\n  │ DROP TABLE orders\n');
    expect(screen.stdout).toMatch(/You approved it\. It is approved: 1 of 1 approvals\n$/);
    expect(stage.recorded[0]).toMatchObject({
      event: {
        statementSha256: hold.request.statement.sha256,
        version: 1,
        vote: { decision: 'approve', reason: 'as agreed', channel: 'cli', voter: 'bob@example.com' },
      },
    });
  });

  test('approve --json prints the document after the vote, and nothing else', async () => {
    const hold = await stage.hold('DROP TABLE a', {
      approvals: { count: 2, groups: [], reasonRequired: false },
    });
    expect(await run(approveCommand, hold.request.id, '--json')).toBe(0);
    expect(JSON.parse(screen.stdout)).toMatchObject({ state: 'pending', version: 2 });
    expect(screen.stderr).toBe('');
  });

  test('deny needs a reason and gives it', async () => {
    const hold = await stage.hold();
    expect(await run(denyCommand, hold.request.id)).toBe(2);
    expect(screen.stderr).toContain('--reason');
    expect(await run(denyCommand, hold.request.id, '--reason', 'not today')).toBe(0);
    expect(screen.stdout).toMatch(/You denied it\. It is denied: denied by bob@example\.com: not today\n$/);
  });

  test('each refusal: exit 1, the reason on standard error', async () => {
    const hold = await stage.hold();
    screen.env['COUNTERSIGN_TOKEN'] = 'alice-token';
    expect(await run(approveCommand, hold.request.id)).toBe(1);
    expect(screen.stderr).toBe('countersign: nobody decides their own request\n');
    screen.env['COUNTERSIGN_TOKEN'] = 'guessed-token';
    expect(await run(approveCommand, hold.request.id)).toBe(1);
    expect(screen.stderr).toContain('the token was not accepted');
    expect(screen.stderr).not.toContain('guessed-token');
    screen.env['COUNTERSIGN_TOKEN'] = 'bob-token';
    stage.logReady = false;
    expect(await run(approveCommand, hold.request.id)).toBe(1);
    expect(screen.stderr).toContain('the log cannot be written');
    stage.logReady = true;
    await run(denyCommand, hold.request.id, '--reason', 'no');
    expect(await run(approveCommand, hold.request.id)).toBe(1);
    expect(screen.stderr).toContain('the hold is denied');
    expect(stage.recorded).toHaveLength(1);
  });
});

describe('reaching the API', () => {
  test('nobody there, no token, a bad token, a bad URL, another server', async () => {
    const { address } = stage.server;
    await stage.server.close();
    expect(await run(pendingCommand)).toBe(1);
    expect(screen.stderr).toContain(`cannot reach Countersign at ${address}: connection refused`);
    expect(screen.stderr).toContain('--url');
    delete screen.env['COUNTERSIGN_TOKEN'];
    expect(await run(pendingCommand)).toBe(2);
    expect(screen.stderr).toContain('no approver token');
    expect(await run(pendingCommand, '--token', 'two\nlines')).toBe(2);
    expect(screen.stderr).not.toContain('two');
    expect(await run(pendingCommand, '--token', 'x', '--url', 'ftp://127.0.0.1')).toBe(2);
    expect(await run(pendingCommand, '--nonsense')).toBe(2);
    expect(await run(showCommand)).toBe(2);

    const other = createServer((_request, response) => response.end('<html>hello</html>'));
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const bound = other.address();
    const port = bound !== null && typeof bound === 'object' ? bound.port : 0;
    expect(await run(pendingCommand, '--token', 'x', '--url', `http://127.0.0.1:${port}`)).toBe(1);
    expect(screen.stderr).toContain('not as Countersign does');
    other.closeAllConnections();
    await new Promise((resolve) => other.close(resolve));
  });

  test('the token is not carried along a redirect', async () => {
    let carried = 0;
    const other = createServer((request, response) => {
      if (request.url === '/stolen') carried++;
      response.writeHead(307, { location: '/stolen' }).end();
    });
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const bound = other.address();
    const port = bound !== null && typeof bound === 'object' ? bound.port : 0;
    expect(await run(pendingCommand, '--url', `http://127.0.0.1:${port}`)).toBe(1);
    expect(carried).toBe(0);
    other.closeAllConnections();
    await new Promise((resolve) => other.close(resolve));
  });

  test('the token from a file, and a warning when it would go over the network in the open', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-'));
    writeFileSync(join(folder, 'token'), 'bob-token\n');
    delete screen.env['COUNTERSIGN_TOKEN'];
    expect(await run(pendingCommand, '--token-file', join(folder, 'token'))).toBe(0);
    expect(screen.stderr).toBe('');
    expect(await run(pendingCommand, '--token-file', join(folder, 'nothing'))).toBe(2);
    rmSync(folder, { recursive: true });
    await run(pendingCommand, '--token', 'x', '--url', 'http://countersign.invalid:1');
    expect(screen.stderr).toContain('without TLS');
  });

  test('--help is not a failure', async () => {
    for (const make of [pendingCommand, showCommand, approveCommand, denyCommand, watchCommand]) {
      expect(await run(make, '--help')).toBe(0);
      expect(screen.stdout).toContain('--token-file');
      expect(screen.stdout).not.toContain('bob-token');
    }
  });
});

describe('watch', () => {
  const quick = (terminal: Terminal): Command => watchCommand(terminal, 5);
  const seen = (text: string) => until(() => screen.stdout.includes(text), text);

  test('tells of each hold as it comes, with the commands to type, and how it ends', async () => {
    const running = run(quick);
    await until(() => screen.interrupt !== null, 'the start');
    const hold = await stage.hold('DROP TABLE \u202ecustomers', {
      approvals: { count: 2, groups: [], reasonRequired: false },
    });
    await seen(`countersign approve ${hold.request.id}`);
    expect(screen.stdout).toContain('  │ DROP TABLE <U+202E>customers');
    const body = { decision: 'approve', statement_sha256: hold.request.statement.sha256, version: 1 };
    await stage.call(`/v1/holds/${hold.request.id}/votes`, { as: 'carol', body });
    await seen('1 of 2 approvals');
    await stage.call(`/v1/holds/${hold.request.id}/votes`, {
      body: { ...body, decision: 'deny', reason: 'no', version: 2 },
    });
    await seen(`${hold.request.id}  denied: denied by bob@example.com: no\n`);
    screen.interrupt?.();
    expect(await running).toBe(0);
    expect(screen.stdout.split('countersign approve').length).toBe(2);
  });

  test('--json: one document a line', async () => {
    const hold = await stage.hold();
    const running = run(quick, '--json');
    await seen('\n');
    screen.interrupt?.();
    expect(await running).toBe(0);
    expect(JSON.parse(screen.stdout.split('\n')[0] ?? '')).toMatchObject({ id: hold.request.id });
  });

  test('waits out a lost connection, saying so once; a refused token ends it', async () => {
    const running = run(quick);
    await until(() => screen.interrupt !== null, 'the start');
    const { port } = stage.server;
    await stage.server.close();
    await until(() => screen.stderr.includes('trying again'), 'the loss');
    await stage.open(port);
    await until(() => screen.stderr.includes('connected again'), 'the return');
    expect(screen.stderr.split('trying again')).toHaveLength(2);
    screen.interrupt?.();
    expect(await running).toBe(0);
    expect(await run(quick, '--token', 'guessed-token')).toBe(1);
  });
});
