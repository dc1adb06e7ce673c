// The proxy killed with kill -9, at many moments. Whatever the server says it ran must stand in our log as an intent, at
// most once, and with a person's approval where the rules want one; the log left behind must open and verify.
import { spawn } from 'node:child_process';
import { randomInt, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { countersign, type RunningCountersign, startCountersign } from '../services/countersign.ts';
import { createDatabase, type Database } from '../services/database.ts';
import { tempDir } from '../services/places.ts';
import {
  ALICE,
  Approver,
  connectAgent,
  failureOf,
  forwardedTexts,
  loggedRecords,
  sceneConfig,
  segmentFiles,
} from '../services/scene.ts';
import { builtCli } from '../services/shared.ts';
import { eventually } from '../services/wait.ts';

let database: Database;
// One for each test, since each has a log of its own to compare with.
beforeEach(async () => {
  database = await createDatabase();
});
afterEach(() => database.close());

/** What the killed proxy had sent is read by the server still. Resolves when its last session has ended. */
async function serverHasFinished(): Promise<void> {
  const sql = 'SELECT FROM pg_stat_activity WHERE datname = $1 AND usename = $2';
  await eventually(
    async () => (await database.superuser.query(sql, [database.name, database.user])).rowCount === 0,
    { timeoutMs: 20_000, what: 'the server ending the sessions of the killed proxy' },
  );
}

/** What must hold after every kill. `approved`: texts that somebody has approved, or tried to. */
async function expectNothingLost(auditDir: string, approved: ReadonlySet<string>): Promise<void> {
  await serverHasFinished();
  const ran = database.statements();
  const forwarded = forwardedTexts(auditDir);
  expect(ran.filter((text) => !forwarded.includes(text))).toEqual([]);
  expect(ran.filter((text, i) => ran.indexOf(text) !== i)).toEqual([]);
  expect(ran.filter((text) => text.startsWith('CREATE ') && !approved.has(text))).toEqual([]);
}

/** Starts again on the same log: it recovers by itself, works, ends in order, and verifies. */
async function expectRestart(config: object, folder: string): Promise<string> {
  const proxy = await startCountersign(config, { folder });
  expect(proxy.stderr()).toContain('the log was not closed cleanly; recovered');
  const agent = await connectAgent(proxy);
  const text = `SELECT '${randomUUID()}'`;
  await agent.query(text);
  // Nothing of the old process's holds has survived, and nothing of them runs now.
  expect(await new Approver(proxy).list('all')).toEqual([]);
  await agent.end();
  expect(await proxy.stop()).toBe(0);
  expect(database.statements()).toContain(text);
  const verified = await countersign(['audit', 'verify', join(folder, 'audit')]);
  expect(verified).toMatchObject({ code: 0, stderr: '' });
  return verified.stdout;
}

/** Runs statements until the connection is lost; counts every answer. */
async function keepBusy(proxy: RunningCountersign, onAnswer: () => void): Promise<void> {
  try {
    const agent = await connectAgent(proxy);
    for (;;) {
      const id = randomUUID();
      await agent.query(`SELECT '${id}'`);
      onAnswer();
      await agent.query(`INSERT INTO notes (body) VALUES ('${id}')`);
      onAnswer();
      await agent.query(`/* ${id} */ UPDATE notes SET body = $1 WHERE body = $2`, [`${id}!`, id]);
      onAnswer();
      // Several in one flight, so that the kill finds frames between us and the server.
      await Promise.all([1, 2, 3].map((n) => agent.query(`SELECT '${id}-${n}'`)));
      onAnswer();
      await agent.query(`CREATE TABLE "t ${id}" ()`);
      onAnswer();
    }
  } catch {
    // The kill.
  }
}

/** Approves whatever waits, for as long as the API answers. */
async function approveAll(proxy: RunningCountersign, approved: Set<string>): Promise<void> {
  const approver = new Approver(proxy);
  try {
    for (;;) {
      for (const hold of await approver.list()) {
        approved.add(hold.statement.text);
        await approver.vote(hold, 'approve');
      }
    }
  } catch {
    // The kill.
  }
}

test('under load: every statement that the server ran is in the log, and was run once', {
  timeout: 120_000,
}, async () => {
  const folder = tempDir('kill');
  const auditDir = join(folder, 'audit');
  const config = await sceneConfig(database);
  const approved = new Set<string>();
  for (const least of [1, 30, 90]) {
    const killAt = randomInt(least, least * 2);
    const proxy = await startCountersign(config, { folder });
    let answers = 0;
    let killed: Promise<void> | null = null;
    const onAnswer = (): void => {
      answers++;
      if (answers >= killAt) killed ??= proxy.kill9();
    };
    await Promise.all([
      ...Array.from({ length: 5 }, () => keepBusy(proxy, onAnswer)),
      approveAll(proxy, approved),
    ]);
    await killed;
    expect(answers, `killed at answer ${killAt}`).toBeGreaterThanOrEqual(killAt);
    await expectNothingLost(auditDir, approved);
    await expectRestart(config, folder);
  }
  // There was something to lose, of each kind.
  for (const kind of ['SELECT', 'INSERT', '/*', 'CREATE TABLE']) {
    expect(database.statements().filter((text) => text.startsWith(kind)).length).toBeGreaterThan(5);
  }
});

test('while the server runs a statement: it is shown as open, and without an outcome', async () => {
  const folder = tempDir('kill');
  const config = await sceneConfig(database);
  const proxy = await startCountersign(config, { folder });
  const agent = await connectAgent(proxy);
  await database.superuser.query('BEGIN; LOCK TABLE notes');
  const text = `CREATE INDEX "${randomUUID()}" ON notes (body)`;
  const lost = failureOf(agent.query(text));
  const hold = await new Approver(proxy).approve(text);
  await eventually(() => database.statements().includes(text), { what: 'the server running it' });
  await proxy.kill9();
  await lost;
  await database.superuser.query('ROLLBACK');
  await expectNothingLost(join(folder, 'audit'), new Set([text]));
  const report = await expectRestart(config, folder);

  const records = loggedRecords(join(folder, 'audit'));
  const intent = records.find(({ type, sql }) => type === 'statement.intent' && sql === text);
  const recovered = records.find(({ type }) => type === 'recovered');
  expect(recovered?.leaf['open_intents']).toEqual([intent?.seq]);
  expect(intent?.leaf).toMatchObject({ hold: hold.id, votes: [{ voter: ALICE.name }] });
  expect(
    records.some(({ type, leaf }) => type === 'statement.outcome' && leaf['intent'] === intent?.seq),
  ).toBe(false);
  expect(report).toMatch(/1 .*(without|indeterminate|open)/);
  const shown = await countersign(['audit', 'show', String(intent?.seq), join(folder, 'audit')]);
  expect(shown.code).toBe(0);
  expect(shown.stdout).toContain('No outcome is recorded: whether it ran is not known.');
});

test('while statements wait: none of them ever runs', async () => {
  const folder = tempDir('kill');
  const config = await sceneConfig(database);
  const proxy = await startCountersign(config, { folder });
  const texts = [1, 2, 3].map(() => `CREATE TABLE "waiting ${randomUUID()}" ()`);
  const lost = await Promise.all(
    texts
      .map(async (text) => failureOf((await connectAgent(proxy)).query(text)).then(() => text))
      .map((waiting) => ({ waiting })),
  );
  const approver = new Approver(proxy);
  await Promise.all(texts.map((text) => approver.waiting(text)));
  // An approver may see a hold before its record is on disk; whatever comes of it is recorded behind it.
  const requested = () =>
    loggedRecords(join(folder, 'audit')).filter(({ type }) => type === 'hold.requested');
  await eventually(() => requested().length === 3, { what: 'three requests in the log' });
  await proxy.kill9();
  await Promise.all(lost.map(({ waiting }) => waiting));
  await expectRestart(config, folder);
  await expectNothingLost(join(folder, 'audit'), new Set());
  expect(requested()).toHaveLength(3);
});

// The log is the clock: the moment a record stands in it, the process is killed.
describe.each(['hold.approved', 'hold.consumed', 'statement.intent'])(
  'between approval and relay, at %s',
  (type) => {
    test('it ran with a record, or not at all', async () => {
      const folder = tempDir('kill');
      const auditDir = join(folder, 'audit');
      const config = await sceneConfig(database);
      const { main } = await builtCli();
      const texts: string[] = [];
      for (let round = 0; round < 2; round++) {
        const proxy = await startCountersign(config, { folder });
        const agent = await connectAgent(proxy);
        const text = `CREATE TABLE "between ${randomUUID()}" ()`;
        const answered = agent.query(text).then(
          () => 'ran',
          () => 'lost',
        );
        const { id } = await new Approver(proxy).waiting(text);
        const file = segmentFiles(auditDir).at(-1)!;
        const before = readFileSync(file).length;
        // A process of its own votes, so that this one can look without letting go.
        const vote = spawn(process.execPath, [main, 'approve', id], {
          env: { COUNTERSIGN_URL: `http://127.0.0.1:${proxy.httpPort}`, COUNTERSIGN_TOKEN: ALICE.token },
          stdio: 'ignore',
        });
        const ended = once(vote, 'exit');
        const bound = performance.now() + 10_000;
        while (!readFileSync(file).subarray(before).includes(`"type":"${type}"`)) {
          if (performance.now() > bound) throw new Error(`no record ${type} within 10 s: ${proxy.stderr()}`);
        }
        await proxy.kill9();
        await Promise.all([ended, answered]);
        await expectNothingLost(auditDir, new Set([...database.statements()]));
        if ((await answered) === 'ran') expect(database.statements()).toContain(text);
        texts.push(text);
      }
      await expectRestart(config, folder);
      for (const text of texts) {
        expect(database.statements().filter((one) => one === text).length).toBeLessThanOrEqual(1);
      }
    });
  },
);
