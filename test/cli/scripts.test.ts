// The command line as a shell sees it: arguments in, text and exit code out. First the scenarios that need no server,
// from test/vectors/scripts; then those with a node of their own.
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import {
  type CliResult,
  countersign,
  type RunningCountersign,
  startCountersign,
} from '../services/countersign.ts';
import { createDatabase, type Database } from '../services/database.ts';
import { freePort, tempDir, VECTORS } from '../services/places.ts';
import {
  ALICE,
  Approver,
  BOT,
  connectAgent,
  failureOf,
  loggedRecords,
  sceneConfig,
} from '../services/scene.ts';
import { eventually } from '../services/wait.ts';

interface Run {
  readonly run: string;
  readonly stdin?: string;
  readonly env?: Record<string, string>;
  readonly exit: number;
  readonly stdout?: '' | readonly string[];
  readonly stderr?: '' | readonly string[];
  readonly not?: string;
}

interface Scenario {
  readonly what: string;
  readonly files?: Record<string, string>;
  readonly runs: readonly Run[];
}

/** As a shell would split it, with quotes and nothing else. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, bare]) => double ?? single ?? bare ?? '',
  );
}

function expectText(text: string, expected: Run['stdout'], shown: string): void {
  if (expected === undefined) return;
  if (expected === '') expect(text, shown).toBe('');
  for (const pattern of expected) expect(text, shown).toMatch(new RegExp(pattern, 'm'));
}

const FOLDER = join(VECTORS, 'scripts');
describe.each(readdirSync(FOLDER).filter((name) => name.endsWith('.yaml')))('%s', (name) => {
  const scenarios = parse(readFileSync(join(FOLDER, name), 'utf8')) as Scenario[];
  test.each(scenarios)('$what', { timeout: 60_000 }, async ({ files = {}, runs }) => {
    const folder = tempDir('script');
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    const free = String(await freePort());
    for (const { run, exit, stdout, stderr, not, stdin = '', env = {} } of runs) {
      const result = await countersign(wordsOf(run.replace('$FREE', free)), { cwd: folder, stdin, env });
      const shown = `countersign ${run}\n${result.stdout}${result.stderr}`;
      expect(result.code, shown).toBe(exit);
      expectText(result.stdout, stdout, shown);
      expectText(result.stderr, stderr, shown);
      if (not !== undefined) expect(result.stdout + result.stderr).not.toMatch(new RegExp(not));
    }
    expect(runs.length).toBeGreaterThan(0);
  });
});

let database: Database;
beforeAll(async () => {
  database = await createDatabase('empty');
});
afterAll(() => database.close());

/** Takes a port of 127.0.0.1 until the test gives it back. */
async function takePort(): Promise<{ port: number; server: Server }> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no TCP address');
  return { port: address.port, server };
}

describe('serve', () => {
  test.each(['listen', 'http'])('the port of %s taken: exit 2, and which', async (section) => {
    const { port, server } = await takePort();
    try {
      const folder = tempDir('script');
      const config = await sceneConfig(database, { [section]: { port } });
      writeFileSync(join(folder, 'countersign.yaml'), JSON.stringify(config));
      const result = await countersign(['serve'], { cwd: folder });
      expect(result).toMatchObject({ code: 2, stdout: '' });
      expect(result.stderr).toMatch(new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}: EADDRINUSE`));
      expect(result.stderr).not.toContain('bug in countersign');
    } finally {
      server.close();
    }
  });

  test('one line of JSON when ready, and the log of the operator apart from it', async () => {
    const proxy = await startCountersign(await sceneConfig(database));
    expect(proxy.stdout()).toMatch(
      /^\{"ready":true,"listen":\{"host":"127\.0\.0\.1","port":\d+\},"http":\{.*\}\}\n$/,
    );
    expect(await proxy.stop()).toBe(0);
    for (const line of proxy.stderr().split('\n').filter(Boolean))
      expect(JSON.parse(line)).toHaveProperty('level');
  });

  test('SIGTERM: idle, busy and waiting sessions are told 57P01, the log is closed, exit 0', async () => {
    const proxy = await startCountersign(await sceneConfig(database));
    const [idle, waiting, busy] = [
      await connectAgent(proxy),
      await connectAgent(proxy),
      await connectAgent(proxy),
    ];
    const idleHeard = new Promise<Error>((resolve) => idle.once('error', resolve));
    const held = failureOf(waiting.query('CREATE TABLE never ()'));
    const hold = await new Approver(proxy).waiting('CREATE TABLE never ()');
    const cut = failureOf(busy.query('SELECT pg_sleep(60)'));
    await eventually(() => database.statements().includes('SELECT pg_sleep(60)'), { what: 'it running' });
    expect(await proxy.stop()).toBe(0);
    for (const error of [await idleHeard, await held, await cut]) {
      expect(error).toMatchObject({ code: '57P01', severity: 'FATAL' });
    }
    const records = loggedRecords(join(proxy.folder, 'audit'));
    expect(records.at(-1)?.type).toBe('stopped');
    const closed = records.filter(({ type }) => type === 'session.close');
    expect(closed.map(({ leaf }) => leaf['because'])).toEqual(['shutdown', 'shutdown', 'shutdown']);
    // The statement that waited has its last words in the log, written before the log was closed.
    const ofHold = records.filter(({ leaf }) => leaf['hold'] === hold.id);
    expect(ofHold.map(({ type, leaf }) => [type, leaf['fate']])).toEqual([
      ['hold.requested', undefined],
      ['hold.withdrawn', undefined],
      ['statement.intent', 'refuse'],
    ]);
    expect(database.statements()).not.toContain('CREATE TABLE never ()');
    expect((await countersign(['audit', 'verify', join(proxy.folder, 'audit')])).code).toBe(0);
  });

  test('SIGHUP: new rules count from the next statement, broken ones change nothing', async () => {
    const folder = tempDir('script');
    const file = join(folder, 'rules.yaml');
    const rules = (action: string): string =>
      `version: 1\ndefault: ${action}\nrules:\n  - { name: ones, when: '"session" in statement.classes', action: allow }\n`;
    writeFileSync(file, rules('allow'));
    const proxy = await startCountersign(await sceneConfig(database, { rules: ['rules.yaml'] }), {
      folder,
      args: ['--no-watch'],
    });
    const agent = await connectAgent(proxy);
    await agent.query('SELECT 1');

    writeFileSync(file, 'version: 1\ndefault: nonsense\n');
    proxy.signal('SIGHUP');
    await eventually(() => proxy.stderr().includes('the new rules are not used'), { what: 'the complaint' });
    expect(proxy.stderr()).toMatch(/rules\.yaml:2:\d+/);
    await agent.query('SELECT 2');

    writeFileSync(file, rules('deny'));
    proxy.signal('SIGHUP');
    await eventually(() => proxy.stderr().includes('"msg":"rules loaded"'), { what: 'the new rules' });
    expect(await failureOf(agent.query('SELECT 3'))).toMatchObject({ code: '42501' });
    await agent.end();
    expect(await proxy.stop()).toBe(0);
    const records = loggedRecords(join(folder, 'audit'));
    expect(records.filter(({ type }) => type === 'rules.loaded')).toHaveLength(2);
    const hashes = records.filter(({ type }) => type === 'statement.intent').map(({ leaf }) => leaf['rules']);
    expect(hashes[0]).toBe(hashes[1]);
    expect(hashes[2]).not.toBe(hashes[1]);
  });
});

describe('with a node', () => {
  let proxy: RunningCountersign;
  let env: Record<string, string>;
  beforeAll(async () => {
    proxy = await startCountersign(await sceneConfig(database));
    env = { COUNTERSIGN_URL: `http://127.0.0.1:${proxy.httpPort}`, COUNTERSIGN_TOKEN: ALICE.token };
  });
  afterAll(() => proxy.stop());
  const run = (...args: string[]): Promise<CliResult> => countersign(args, { env });

  test('pending, show, deny, approve: from the question to the answer', async () => {
    expect(await run('pending')).toMatchObject({ code: 0, stderr: '' });
    const agent = await connectAgent(proxy);
    const approver = new Approver(proxy);
    const denied = failureOf(agent.query('DROP TABLE orders'));
    const { id } = await approver.waiting('DROP TABLE orders');
    const pending = await run('pending');
    expect(pending.stdout).toMatch(new RegExp(`^${id}\\t.*${BOT.name}\\tDROP TABLE orders$`, 'm'));
    expect((await run('show', id)).stdout).toContain('DROP TABLE orders');
    expect(await run('deny', id, '--reason', 'not the orders')).toMatchObject({ code: 0 });
    expect(await denied).toMatchObject({ code: '42501', message: `denied by ${ALICE.name}: not the orders` });
    // Too late for another word.
    const late = await run('approve', id);
    expect(late.code).toBe(1);
    expect(late.stderr).toMatch(/denied|decided/);

    const created = agent.query('CREATE TABLE cli_made ()');
    const hold = await approver.waiting('CREATE TABLE cli_made ()');
    // By the beginning of its id.
    expect(await run('approve', hold.id.slice(0, 10), '--reason', 'agreed')).toMatchObject({ code: 0 });
    await created;
    expect((await run('show', hold.id, '--json')).stdout).toMatch(/"state": ?"(consumed|executed)"/);
    await agent.end();
  });

  test('a wrong token, and a hold that there is not', async () => {
    const wrong = await countersign(['pending', '--token', 'cs_wrong'], { env });
    expect(wrong).toMatchObject({ code: 1, stdout: '' });
    expect(wrong.stderr).toContain('the token was not accepted');
    expect(wrong.stderr).not.toContain('cs_wrong');
    expect(await run('approve', 'h_aaaaaaaaaaaaaaaa')).toMatchObject({ code: 1, stdout: '' });
    const foreign = await countersign(['pending'], {
      env: { ...env, COUNTERSIGN_URL: `http://127.0.0.1:${proxy.httpPort}/somewhere` },
    });
    expect(foreign.code).toBe(1);
  });

  test('audit tail, show and verify on the log of the node that is writing it', async () => {
    const agent = await connectAgent(proxy);
    await agent.query(`SELECT 'to be found'`);
    await agent.end();
    const dir = join(proxy.folder, 'audit');
    const record = await eventually(
      () => loggedRecords(dir).find(({ sql }) => sql === `SELECT 'to be found'`) ?? false,
      { what: 'the record' },
    );
    const tail = await countersign(['audit', 'tail', '-n', '100', '--config', proxy.configFile]);
    expect(tail).toMatchObject({ code: 0, stderr: '' });
    expect(tail.stdout).toMatch(new RegExp(`^ *${record.seq} .*${BOT.name}.*SELECT 'to be found'$`, 'm'));
    const shown = await countersign(['audit', 'show', String(record.seq), dir]);
    expect(shown.code).toBe(0);
    expect(shown.stdout).toContain(`  SELECT 'to be found'`);
    const json = await countersign(['audit', 'show', String(record.seq), dir, '--json']);
    expect(JSON.parse(json.stdout)).toMatchObject({ leaf: { seq: record.seq, type: 'statement.intent' } });
    expect((await countersign(['audit', 'show', '999999', dir])).code).toBe(1);
    const verified = await countersign(['audit', 'verify', dir, '--json']);
    expect(verified.code, verified.stdout).toBe(0);
    expect(JSON.parse(verified.stdout)).toMatchObject({ ok: true, violations: [] });
  });

  test('no colour, whatever the environment says, where nobody is at a terminal', async () => {
    for (const colour of [{ NO_COLOR: '1' }, { NO_COLOR: '', FORCE_COLOR: '1', TERM: 'xterm-256color' }]) {
      const tail = await countersign(['audit', 'tail', join(proxy.folder, 'audit')], { env: colour });
      expect(tail.stdout).not.toContain('\u001b');
      expect(tail.stdout).not.toBe('');
    }
  });
});

describe('demo', () => {
  test('--check lives the story and exits 0', { timeout: 90_000 }, async () => {
    const demo = await countersign(['demo', '--check', '--port', '0', '--http-port', '0']);
    expect(demo.code, demo.stdout + demo.stderr).toBe(0);
    for (const part of [/DROP TABLE/, /approve/i, /den(y|ied)/i, /verif/i]) expect(demo.stdout).toMatch(part);
  });

  test.each(['--port', '--http-port'])('%s taken: which one, and the flags to change it', async (flag) => {
    const { port, server } = await takePort();
    try {
      const flags = { '--port': '0', '--http-port': '0', [flag]: String(port) };
      const demo = await countersign(['demo', '--check', ...Object.entries(flags).flat()]);
      expect(demo).toMatchObject({ code: 2, stdout: '' });
      expect(demo.stderr).toContain(`127.0.0.1:${port}`);
      expect(demo.stderr).toContain(flag);
    } finally {
      server.close();
    }
  });
});
