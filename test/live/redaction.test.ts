// `record: digest`: nothing that an agent's statement says may be found anywhere that outlives it or leaves the node, while
// a person still sees what kind of statement it is, and decides about exactly that one.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { verifyLog } from '../../src/audit/verify.ts';
import { Receiver } from '../notify/receiver.ts';
import { countersign, type RunningCountersign, startCountersign } from '../services/countersign.ts';
import { createDatabase, type Database } from '../services/database.ts';
import { tempDir } from '../services/places.ts';
import {
  type Agent,
  ALICE,
  Approver,
  connectAgent,
  failureOf,
  loggedRecords,
  sceneConfig,
  segmentFiles,
} from '../services/scene.ts';
import { sharedRedis } from '../services/shared.ts';
import { eventually } from '../services/wait.ts';

const RULES = `
version: 1
default: allow
rules:
  - name: notes
    when: 'statement.relations.exists(r, r.name == "notes") || !statement.known || statement.tags.exists(t, t in ["EXECUTE", "DO"])'
    action: hold
    record: digest
  - { name: quiet, when: 'statement.relations.exists(r, r.name == "users")', action: allow, record: digest }
  - { name: never, when: 'statement.relations.exists(r, r.name == "orders")', action: deny, record: digest }
`;
/** Every value of a statement holds it; as text, as hex of a binary value, and as base64. */
const SECRET = 'hunter2';
const TRACES = [
  SECRET,
  Buffer.from(SECRET).toString('hex'),
  Buffer.from(SECRET).toString('base64').slice(0, 8),
];

let database: Database;
let proxy: RunningCountersign;
let receiver: Receiver;
let redis: Redis;
let agent: Agent;
let approver: Approver;
/** Everything that was published in Redis. */
const published: string[] = [];
/** What the API, the command line and the client were told. */
const told: string[] = [];

beforeAll(async () => {
  database = await createDatabase();
  receiver = await new Receiver().open();
  const { url } = await sharedRedis();
  redis = new Redis(url);
  const listener = redis.duplicate();
  listener.on('pmessage', (_pattern, channel: string, message: string) => published.push(channel, message));
  await listener.psubscribe('*');
  const folder = tempDir('redaction');
  writeFileSync(join(folder, 'rules.yaml'), RULES);
  const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
  proxy = await startCountersign(
    await sceneConfig(database, {
      rules: ['rules.yaml'],
      holds: { store: 'redis', redis: url },
      notify: [{ type: 'webhook', url: receiver.url, secret }],
    }),
    { folder, args: ['--log-level', 'trace'] },
  );
  approver = new Approver(proxy);
  agent = await connectAgent(proxy);
  return async () => {
    listener.disconnect();
    redis.disconnect();
  };
});

afterAll(async () => {
  await agent.end();
  // Stopped already, unless the test failed.
  await proxy.kill9();
  await receiver.close();
  await database.close();
});

/** Waits for the one hold, looks at it in every way there is, and decides. */
async function decide(decision: 'approve' | 'deny'): Promise<string> {
  const hold = await eventually(async () => (await approver.list())[0] ?? false, { what: 'a hold' });
  told.push(JSON.stringify(await approver.list('all')), JSON.stringify(await approver.get(hold.id)));
  const env = { COUNTERSIGN_URL: `http://127.0.0.1:${proxy.httpPort}`, COUNTERSIGN_TOKEN: ALICE.token };
  for (const words of [['pending'], ['show', hold.id], ['show', hold.id, '--json']]) {
    const { code, stdout, stderr } = await countersign(words, { env });
    expect(code, stderr).toBe(0);
    told.push(stdout, stderr);
  }
  expect(await approver.vote(hold, decision)).toMatchObject({ status: 200 });
  return hold.statement.text;
}

test('what is held, allowed, denied and not understood leaves no trace of its values', {
  timeout: 60_000,
}, async () => {
  const simple = agent.query(`INSERT INTO notes (body) VALUES ('${SECRET}') -- ${SECRET}`);
  expect(await decide('approve')).toBe('INSERT INTO notes(body) VALUES(…)');
  await simple;

  const bound = agent.query('UPDATE notes SET body = $1 WHERE body = $2', [Buffer.from(SECRET), SECRET]);
  expect(await decide('approve')).toBe('UPDATE notes SET body = $1 WHERE body = $2');
  await bound;

  const refused = failureOf(agent.query(`DELETE FROM notes WHERE body = '${SECRET}'`));
  await decide('deny');
  told.push(JSON.stringify(await refused));

  // What an EXECUTE runs is shown as well, and a syntax error repeats what it met.
  const prepared = agent.query(
    `PREPARE p (text) AS SELECT * FROM notes WHERE body = '${SECRET}' AND body = $1`,
  );
  await decide('approve');
  await prepared;
  const executed = agent.query(`EXECUTE p ('${SECRET}')`);
  expect(await decide('approve')).toBe('EXECUTE p(…)');
  await executed;
  const broken = failureOf(agent.query(`SELECT 1 '${SECRET}' ${SECRET}`));
  expect(await decide('deny')).toBe('(kept back by the rule)');
  await broken;

  // So does the plan of what the server would refuse, and the body of a DO is shown statement by statement.
  const unplanned = failureOf(agent.query(`UPDATE notes SET id = '${SECRET}' WHERE body = 'x'`));
  await decide('deny');
  await unplanned;
  const code = failureOf(
    agent.query(`DO $$ BEGIN DELETE FROM notes WHERE body = '${SECRET}'; EXECUTE '${SECRET}'; END $$`),
  );
  await decide('deny');
  await code;
  expect(told.some((text) => text.includes('DELETE FROM notes WHERE body = …'))).toBe(true);

  await agent.query(`SELECT * FROM users WHERE name = '${SECRET}' OR email = $1`, [SECRET]);
  told.push(JSON.stringify(await failureOf(agent.query(`SELECT * FROM orders WHERE status = '${SECRET}'`))));
  told.push(agent.notices.join('\n'));

  await eventually(() => receiver.story().filter((one) => one.startsWith('hold.closed')).length === 8, {
    what: 'the webhooks',
  });
  const stored: string[] = [];
  for (const key of await redis.keys('*')) {
    stored.push(key);
    if ((await redis.type(key)) === 'hash') stored.push(JSON.stringify(await redis.hgetall(key)));
    if ((await redis.type(key)) === 'string') stored.push((await redis.get(key)) ?? '');
  }
  expect(await proxy.stop(), proxy.stderr()).toBe(0);
  const auditDir = join(proxy.folder, 'audit');
  const places = {
    log: segmentFiles(auditDir).map((file) => readFileSync(file, 'utf8')),
    'operator log': [proxy.stderr(), proxy.stdout()],
    webhooks: receiver.got.map(({ body }) => body),
    redis: [...stored, ...published],
    told,
  };
  for (const [place, texts] of Object.entries(places)) {
    expect(texts.join('').length, `something in ${place}`).toBeGreaterThan(100);
    for (const trace of TRACES) {
      expect(texts.join('\n').includes(trace), `${trace} in ${place}`).toBe(false);
    }
  }
  // Committed to all the same, and whole.
  const intents = loggedRecords(auditDir).filter(({ type }) => type === 'statement.intent');
  expect(intents).toHaveLength(10);
  for (const { leaf, sql } of intents) {
    expect(sql).toBeUndefined();
    expect(leaf).toMatchObject({ record: 'digest', sql_commitment: expect.any(String) });
  }
  expect(verifyLog(auditDir, { verifier: null, known: [] }).violations).toEqual([]);
});
