// `countersign rules backtest` over logs that the log's own writer wrote: what changes, for whom and by which rule, and
// what could not be judged.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { AuditLog } from '../../src/audit/log.ts';
import type { IntentFields } from '../../src/audit/record.ts';
import { CountersignError } from '../../src/base/errors.ts';
import type { SessionId } from '../../src/base/ids.ts';
import { rulesCommand } from '../../src/cli/rules.ts';
import type { Terminal } from '../../src/cli/terminal.ts';
import { intent, open, outcome, WHO } from '../audit/drafts.ts';
import { openTestLog, temporaryFolder } from '../audit/log-folder.ts';

interface Result {
  readonly out: string;
  readonly err: string;
  readonly error: CountersignError | null;
}

afterEach(() => {
  process.exitCode = undefined;
});

async function backtest(words: readonly string[], errTty = false): Promise<Result> {
  const text = { out: '', err: '' };
  const terminal: Terminal = {
    out: (more) => {
      text.out += more;
    },
    err: (more) => {
      text.err += more;
    },
    env: {},
    tty: false,
    errTty,
    columns: 100,
    colour: false,
    onInterrupt: () => () => {},
  };
  try {
    await rulesCommand(terminal).parseAsync(['backtest', ...words], { from: 'user' });
    return { ...text, error: null };
  } catch (error) {
    if (error instanceof CountersignError) return { ...text, error };
    throw error;
  }
}

/** A log whose sessions say these statements; a session is opened as `open` has it. */
async function logOf(statements: readonly Partial<IntentFields>[]): Promise<string> {
  return logWritten((log) => {
    log.append(open);
    for (const fields of statements) {
      log.append(outcome(log.append(intent({ parameters: null, ...fields }))));
    }
  });
}

async function logWritten(write: (log: AuditLog) => void): Promise<string> {
  const dir = temporaryFolder();
  // Small segments: what is told must not end with the first file.
  const { log } = await openTestLog(dir, { segmentBytes: 4096 });
  write(log);
  await log.close();
  return dir;
}

function pack(rules: string): string {
  const file = join(temporaryFolder(), 'pack.yaml');
  writeFileSync(file, `version: 1\ndefault: allow\nrules:\n${rules}`);
  return file;
}

async function json(dir: string, ...words: string[]) {
  const { out, error } = await backtest(['--log', dir, '--json', ...words]);
  expect(error).toBeNull();
  return JSON.parse(out) as Record<string, unknown>;
}

const DROP = { sql: 'DROP TABLE orders', tags: ['DROP TABLE'], classes: ['ddl'] } as const;
const other = { ...WHO, agent: 'billing-bot' };

test('what is newly held, newly denied and let go, by agent and by rule, with examples', async () => {
  const dir = await logOf([
    DROP,
    { ...DROP, who: other },
    { ...DROP, sql: 'DROP TABLE users' },
    { sql: 'SET client_encoding = latin1', classes: ['session'] },
    { sql: 'SELECT 1', verdict: 'hold', rule: 'strange', fate: 'refuse', refusal: 'expired' },
    { sql: 'SELECT 2', verdict: 'deny', rule: 'stranger', fate: 'refuse', refusal: 'denied' },
    { sql: 'SELECT 3' },
    { ...DROP, verdict: 'hold', rule: 'another', fate: 'refuse', refusal: 'denied' },
    { ...DROP, verdict: 'deny', rule: 'another', fate: 'refuse', refusal: 'denied' },
  ]);
  expect(await json(dir)).toMatchObject({
    statements: 9,
    judged: 9,
    distinct: 6,
    not_judged: {},
    newly_held: {
      count: 4,
      by_agent: { 'reporting-bot': 3, 'billing-bot': 1 },
      by_rule: { 'schema-changes': 4 },
      groups: [
        {
          before: { action: 'allow', rule: 'default' },
          now: { action: 'hold', rule: 'schema-changes' },
          count: 3,
          examples: ['DROP TABLE orders', 'DROP TABLE users'],
        },
        { before: { action: 'deny', rule: 'another' }, count: 1 },
      ],
    },
    newly_denied: { count: 1, by_rule: { lexing: 1 } },
    newly_let_go: { count: 2, by_rule: { strange: 1, stranger: 1 }, by_agent: { 'reporting-bot': 2 } },
  });
  const { out } = await backtest(['--log', dir]);
  expect(out).toContain('newly held    4\n');
  expect(out).toContain('allow by default → hold by schema-changes: 3 (reporting-bot 2, billing-bot 1)');
  expect(out).toContain('DROP TABLE users\n');
});

test('exits 1 for more new holds than may be, after it has said which', async () => {
  const dir = await logOf([DROP, DROP]);
  expect((await backtest(['--log', dir, '--max-new-holds', '2'])).error).toBeNull();
  const over = await backtest(['--log', dir, '--max-new-holds', '1']);
  expect(over.error).toMatchObject({ code: 'denied' });
  expect(over.out).toContain('newly held    2');
});

test('what the record cannot say is counted and not judged', async () => {
  const dir = await logOf([
    { ...DROP, record: 'digest' },
    { sql: 'EXECUTE report(1)', classes: ['read'] },
    { sql: 'FETCH 10 FROM cursor', classes: ['read'] },
    { sql: 'COPY users TO STDOUT', rule: 'resumed portal' },
  ]);
  const report = await json(dir);
  expect(report).toMatchObject({
    statements: 4,
    judged: 0,
    not_judged: { redacted: 1, named: 2, resumed: 1 },
    newly_held: { count: 0 },
  });
  expect((await backtest(['--log', dir])).out).toContain('not judged    1: text not kept');
});

test('what only the catalog knew is known from the record: a harmless function, a view that runs code', async () => {
  const dir = await logOf([
    { sql: 'SELECT full_name(u) FROM users u', classes: ['read'], verdict: 'allow', rule: 'ordinary' },
    { sql: 'SELECT * FROM danger_view', classes: ['read', 'code'], verdict: 'hold', rule: 'code' },
    // What its text alone shows stays, whatever was recorded.
    { sql: "SELECT pg_read_file('x')", classes: ['read'], verdict: 'allow', rule: 'ordinary' },
  ]);
  const { out } = await backtest(['--log', dir, '--json']);
  expect(JSON.parse(out)).toMatchObject({ judged: 3, newly_held: { count: 1 }, newly_let_go: { count: 0 } });
  expect(out).toContain('pg_read_file');
});

test('what the gate could not understand is judged as not understood, though its text could be', async () => {
  const dir = await logOf([
    { sql: 'SELECT 1', verdict: 'hold', rule: 'strict' },
    { sql: 'SELECT 1', classes: ['unknown'], verdict: 'hold', rule: 'not-understood' },
  ]);
  expect(await json(dir)).toMatchObject({
    judged: 2,
    judged_as_not_understood: 1,
    newly_let_go: { count: 1, by_rule: { strict: 1 } },
  });
});

test('rules see the session and the time of the record, each its own', async () => {
  const file = pack(`
    - { name: agent, when: 'session.agent == "billing-bot"', action: hold }
    - { name: owner, when: 'session.owner == "eve@example.com"', action: hold }
    - { name: behalf, when: '"dave@example.com" in session.on_behalf_of', action: hold }
    - { name: database, when: 'session.database == "other"', action: hold }
    - { name: role, when: 'session.role == "root"', action: hold }
    - { name: address, when: 'session.client_address == "10.9.9.9"', action: hold }
    - { name: transaction, when: session.in_transaction, action: hold }
    - { name: application, when: 'claimed.application_name == "psql"', action: hold }
    - { name: purpose, when: 'claimed.purpose == "other"', action: hold }
`);
  const second = 's_0000000000000002' as SessionId;
  const third = 's_0000000000000003' as SessionId;
  const dir = await logWritten((log) => {
    const { who, ...rest } = open as typeof open & { type: 'session.open' };
    log.append({ ...rest, who, applicationName: 'x', purpose: 'x' });
    log.append({ ...rest, who, session: second, applicationName: 'psql', purpose: 'x' });
    log.append({ ...rest, who, session: third, applicationName: 'x', purpose: 'other' });
    const say = (fields: Partial<IntentFields>) =>
      log.append(intent({ sql: 'SELECT 1', parameters: null, ...fields }));
    say({});
    say({ who: other });
    say({ who: { ...WHO, owner: 'eve@example.com' } });
    say({ who: { ...WHO, onBehalfOf: ['dave@example.com'] } });
    say({ who: { ...WHO, database: 'other' } });
    say({ who: { ...WHO, role: 'root' } });
    say({ who: { ...WHO, clientAddress: '10.9.9.9' } });
    say({ inTransaction: true });
    say({ session: second });
    say({ session: third });
  });
  expect(await json(dir, '--rules', file)).toMatchObject({
    judged: 10,
    not_in_the_log: {},
    newly_held: {
      count: 9,
      by_rule: {
        agent: 1,
        owner: 1,
        behalf: 1,
        database: 1,
        role: 1,
        address: 1,
        transaction: 1,
        application: 1,
        purpose: 1,
      },
    },
  });
  const clock = pack(`
    - { name: past, when: 'time.now < timestamp("2026-11-23T00:00:00Z")', action: hold }
`);
  expect(await json(dir, '--rules', clock)).toMatchObject({ newly_held: { count: 10 } });
});

test('what no record has is taken as nothing, and said', async () => {
  const file = pack(`
    - { name: not-dba, when: '!("dba" in session.groups)', action: hold }
    - { name: in-the-clear, when: '!session.tls && "x" in session.claims', action: hold }
`);
  const dir = await logOf([{ sql: 'SELECT 1' }]);
  expect(await json(dir, '--rules', file)).toMatchObject({
    not_in_the_log: {
      'session.groups': ['not-dba'],
      'session.claims': ['in-the-clear'],
      'session.tls': ['in-the-clear'],
    },
    newly_held: { count: 1, by_rule: { 'not-dba': 1 } },
  });
  const { out } = await backtest(['--log', dir, '--rules', file]);
  expect(out).toContain('the log does not have session.groups, taken as empty: not-dba');
  expect(out).toContain('the log does not have session.tls, taken as false: in-the-clear');
});

test('statements of an agent cannot steer the terminal', async () => {
  const dir = await logOf([{ ...DROP, sql: 'DROP TABLE x\u001b[2J\n; -- \u202e' }]);
  const { out } = await backtest(['--log', dir]);
  expect(out).not.toMatch(/[\u001b\u202e]/u);
  expect(out).toContain('DROP TABLE x<U+001B>[2J');
});

test('a bar on a terminal, and only there', async () => {
  const dir = await logWritten((log) => {
    log.append(open);
    for (let i = 0; i < 11_000; i++) log.append(intent({ parameters: null }));
  });
  expect((await backtest(['--log', dir])).err).toBe('');
  expect((await backtest(['--log', dir], true)).err).toMatch(/^\r\[#+ +\] \d+ %.*\r\u001b\[K$/s);
});

test('a log and rules must be named', async () => {
  expect((await backtest([])).error).toMatchObject({ code: 'usage' });
  expect((await backtest(['--log', temporaryFolder()])).error).toMatchObject({ code: 'log_invalid' });
});
