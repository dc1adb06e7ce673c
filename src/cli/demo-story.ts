// The demo's story, lived by a program: an allowed read, a held DROP that is approved, one that is denied, and a log
// that says so. Every step is checked; the first that does not hold ends it with an error.
import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import { verifyLog } from '../audit/verify.ts';
import { CountersignError } from '../base/errors.ts';
import { HoldsApi } from './client.ts';
import type { Demo } from './demo.ts';
import { processTerminal } from './terminal.ts';

export async function liveTheStory(demo: Demo): Promise<void> {
  const api = new HoldsApi({ url: demo.apiUrl, token: demo.token }, processTerminal());
  const agent = new pg.Client({ connectionString: demo.agentUrl });
  const notices: string[] = [];
  agent.on('notice', (notice) => notices.push(notice.message ?? ''));
  await agent.connect();
  try {
    const read = await agent.query('SELECT count(*)::int AS customers FROM customers');
    require(read.rows[0]?.customers > 0, 'an ordinary read goes through');
    say(`The agent reads: ${read.rows[0].customers} customers. Nobody is asked.`);

    const table = 'CREATE TABLE refunds (id int PRIMARY KEY, amount numeric)';
    const create = agent.query(table);
    create.catch(() => {}); // reported below; here only so that an earlier failure is not drowned by this one
    const asked = await nextHold(api);
    require(asked.statement.text === table, 'the approver sees the very statement');
    await eventually('the agent is told that it waits', async () =>
      notices.some((notice) => notice.includes(asked.id)),
    );
    say(`The agent sends: ${table}`);
    say(`It is held (${asked.id}, rule ${asked.rule.name}); psql would show: NOTICE:  ${notices.at(-1)}`);
    await vote(api, asked, 'approve', 'the refund work of this sprint');
    const created = await create;
    require(created.command === 'CREATE', 'the approved statement runs');
    say('alice@example.com approves; it runs once.');

    const drop = 'DROP TABLE customers CASCADE';
    const dropped = agent.query(drop).then(
      () => null,
      (error: unknown) => error,
    );
    await vote(api, await nextHold(api), 'deny', 'not the customers');
    const refusal = await dropped;
    require(refusal instanceof pg.DatabaseError &&
      refusal.code === '42501', 'the denied statement does not run');
    say(`The agent sends: ${drop}`);
    say(`alice@example.com denies it; the agent gets: ERROR 42501: ${refusal.message}`);
    const after = await agent.query('SELECT count(*)::int AS customers FROM customers');
    require(after.rows[0]?.customers === read.rows[0].customers, 'the session goes on and nothing is lost');
    say('The session goes on; the customers are still there.');
  } finally {
    await agent.end();
    await demo.close();
  }
  const report = verifyLog(demo.auditDir, { verifier: null, known: [] });
  require(report.ok, 'the log verifies');
  say(`The log in ${demo.auditDir} verifies: ${report.size} records, nothing edited, removed or reordered.`);
}

type Asked = Awaited<ReturnType<HoldsApi['get']>>;

async function nextHold(api: HoldsApi): Promise<Asked> {
  return await eventually('the risky statement is held', async () => (await api.list('pending')).holds[0]);
}

/** Asks again until there is an answer, for five seconds. */
async function eventually<Value>(
  what: string,
  ask: () => Promise<Value | false | undefined>,
): Promise<Value> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const answer = await ask();
    if (answer) return answer;
    await wait(50);
  }
  throw new CountersignError('internal', `demo: it did not hold that ${what}`);
}

async function vote(api: HoldsApi, hold: Asked, decision: 'approve' | 'deny', reason: string): Promise<void> {
  await api.vote(hold.id, {
    decision,
    reason,
    statement_sha256: hold.statement.sha256,
    version: hold.version,
  });
}

function require(held: boolean, what: string): asserts held {
  if (!held) throw new CountersignError('internal', `demo: it did not hold that ${what}`);
}

function say(line: string): void {
  process.stdout.write(`  ${line}\n`);
}
