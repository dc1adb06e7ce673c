// "Waiting" of the protocol: what a client is told while its statement is held, what may happen meanwhile, and that each
// of these ends the wait once, in one way, with nothing run that nobody approved.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { HoldDocument } from '../../src/holds/document.ts';
import { BACKEND, encodeErrorFields, encodeNotice, encodeParameterStatus } from '../../src/wire/backend.ts';
import { Stage } from '../live/stage.ts';
import { cancelRequest, frame, pipeline, type WireClient } from '../live/wire-client.ts';
import { psql, psqlSession } from '../services/psql.ts';
import { sharedPostgres } from '../services/shared.ts';
import { eventually } from '../services/wait.ts';
import { Meddler } from './meddler.ts';

let meddler: Meddler;
let stage: Stage;
beforeAll(async () => {
  meddler = await Meddler.open((await sharedPostgres()).port);
  stage = await Stage.open({
    holds: { notice: '200ms' },
    limits: { backlog: '2MiB' },
    target: { host: '127.0.0.1', port: meddler.port },
  });
  await stage.look('CREATE TABLE counter AS SELECT 0 AS n; ALTER TABLE counter OWNER TO countersign');
});
afterAll(async () => {
  await stage?.close();
  await meddler?.close();
});

const DROP = 'DROP TABLE users';
const REFUSED = expect.stringContaining('ErrorResponse 42501');
let serial = 0;
/** Waits for a person, and counts how often it has run. */
const counting = () => `UPDATE counter SET n = n + 1 /* ${++serial} */`;

describe('the notice', () => {
  test('at once and again, each with the id of the hold', async () => {
    const client = await stage.wire();
    client.write(frame.query(DROP));
    const first = await client.noticed(1);
    const hold = await stage.held(DROP);
    expect(first).toMatchObject({
      S: 'NOTICE',
      C: '00000',
      M: `held for approval (${hold.id}): DROP TABLE, by rule "schema-changes"`,
      H: expect.stringContaining(`countersign approve ${hold.id}`),
    });
    expect(JSON.parse(first['D'] ?? '')).toEqual({
      hold: hold.id,
      status: 'pending',
      rule: 'schema-changes',
      url: expect.stringMatching(new RegExp(`^http://.*/v1/holds/${hold.id}$`)),
      seconds: 25,
    });
    expect((await client.noticed(3))['M']).toBe(first['M']);
    await stage.deny(DROP);
    await client.ready();
  });

  test('in a pipeline it comes after the answers of what went before', async () => {
    const client = await stage.wire();
    client.write(pipeline('SELECT 1', DROP));
    await client.noticed();
    expect(client.unread).toEqual([
      'ParseComplete',
      'BindComplete',
      'DataRow 1',
      'CommandComplete SELECT 1',
      'ParseComplete',
      'BindComplete',
    ]);
    await stage.deny(DROP);
    await client.ready();
  });

  test('psql prints it on standard error, while it waits', async () => {
    const session = psqlSession(stage.agent);
    session.send(`${DROP};`);
    await session.expect(/NOTICE: {2}held for approval \(h_\w+\): DROP TABLE, by rule "schema-changes"/);
    await session.expect(/NOTICE: {2}held for approval/);
    await stage.deny(DROP);
    await session.expect(/ERROR: {2}denied by alice@example.com/);
    await session.end();

    const run = psql(stage.agent, ['-c', DROP]);
    await stage.deny(DROP);
    const { code, stdout, stderr } = await run;
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^NOTICE: {2}held for approval/);
  });
});

describe('1,000 messages behind it', () => {
  const texts = Array.from({ length: 1000 }, (_, i) => `SELECT ${i}`);
  const rows = (answers: readonly string[]) => answers.filter((answer) => answer.startsWith('DataRow'));

  test('simple: each is answered, in order, after a denial', async () => {
    const client = await stage.wire();
    client.write(frame.query(DROP), ...texts.map((text) => frame.query(text)));
    await stage.deny(DROP);
    const answers = await client.ready(1001);
    expect(answers.slice(0, 2)).toEqual([REFUSED, 'ReadyForQuery I']);
    expect(rows(answers)).toEqual(texts.map((_, i) => `DataRow ${i}`));
  });

  test('extended: all are skipped to the Sync by a denial, and the next pipeline runs', async () => {
    const client = await stage.wire();
    client.write(pipeline(DROP, ...texts), pipeline('SELECT 7'));
    await stage.deny(DROP);
    const answers = await client.ready(2);
    expect(answers.slice(0, 5)).toEqual([
      'ParseComplete',
      'BindComplete',
      REFUSED,
      'ReadyForQuery I',
      'ParseComplete',
    ]);
    expect(rows(answers)).toEqual(['DataRow 7']);
  });

  test('extended: all run after an approval', async () => {
    const client = await stage.wire();
    const sql = counting();
    client.write(pipeline(sql, ...texts));
    await stage.approve(sql);
    const answers = await client.ready();
    expect(answers.slice(0, 3)).toEqual(['ParseComplete', 'BindComplete', 'CommandComplete UPDATE 1']);
    expect(rows(answers)).toEqual(texts.map((_, i) => `DataRow ${i}`));
    expect(await stage.timesRun(sql)).toBe(1);
  });
});

/** Leaves while a statement waits. */
const LEAVINGS: Readonly<Record<string, (sql: string) => Promise<() => void>>> = {
  'kill -9 of psql': async (sql) => {
    const session = psqlSession(stage.agent);
    session.send(`${sql};`);
    return () => session.kill();
  },
  'a reset connection': async (sql) => {
    const client = await stage.wire();
    client.write(frame.query(sql));
    return () => client.socket.resetAndDestroy();
  },
  'a FIN with the other half still open': async (sql) => {
    const client = await stage.wire();
    client.write(pipeline('SELECT 1', sql));
    return () => client.socket.end();
  },
  'a FIN behind half a message': async (sql) => {
    const client = await stage.wire();
    client.write(frame.query(sql), frame.query('SELECT 2').subarray(0, 7));
    return () => client.socket.end();
  },
  'a FIN within a transaction, with more behind': async (sql) => {
    const client = await stage.wire();
    await client.query('BEGIN');
    client.write(pipeline('SELECT 1', sql, 'SELECT 2'), frame.query('COMMIT'));
    return () => client.socket.end();
  },
};

describe('the client is gone', () => {
  test.each(Object.entries(LEAVINGS))('%s withdraws', async (_, ask) => {
    const sql = counting();
    const leave = await ask(sql);
    const hold = await stage.held(sql);
    leave();
    const withdrawn = await stage.became(hold.id, 'withdrawn');
    expect(withdrawn.closed_because).toBe('client disconnected');
    const { status, body } = await stage.vote(hold, 'approve');
    expect({ status, code: body.code }).toEqual({ status: 409, code: 'decided' });
    expect(await stage.timesRun(sql)).toBe(0);
  });

  test('but a Terminate behind a held statement waits its turn', async () => {
    const client = await stage.wire();
    const sql = counting();
    client.write(frame.query(sql), frame.end());
    await stage.approve(sql);
    expect(await client.closed()).toEqual(['CommandComplete UPDATE 1', 'ReadyForQuery I']);
    expect(await stage.timesRun(sql)).toBe(1);
  });
});

const WAYS: Readonly<Record<string, (client: WireClient, sql: string) => Promise<readonly string[]>>> = {
  'a simple query in I': async (client, sql) => {
    client.write(frame.query(sql));
    return [];
  },
  'the middle of a pipeline in T': async (client, sql) => {
    await client.query('BEGIN');
    client.write(pipeline('SELECT 1', sql, 'SELECT 2'));
    return [
      'ParseComplete',
      'BindComplete',
      'DataRow 1',
      'CommandComplete SELECT 1',
      'ParseComplete',
      'BindComplete',
    ];
  },
};

describe.each(Object.entries(WAYS))('the server, while %s waits', (_, ask) => {
  test('is lost: 08006, and nothing is consumed', async () => {
    const client = await stage.wire();
    const server = meddler.newest();
    const sql = counting();
    const before = await ask(client, sql);
    const hold = await stage.held(sql);
    server.cut();
    expect(await client.closed()).toEqual([
      ...before,
      'ErrorResponse 08006 the connection to the database was lost',
    ]);
    expect(client.errors[0]).toMatchObject({ S: 'FATAL', V: 'FATAL' });
    expect((await stage.became(hold.id, 'withdrawn')).closed_because).toBe('upstream lost');
    expect((await stage.vote(hold, 'approve')).status).toBe(409);
    expect(await stage.timesRun(sql)).toBe(0);
  });

  test('says FATAL: heard as it said it, and nothing is consumed', async () => {
    const client = await stage.wire();
    const sql = counting();
    const before = await ask(client, sql);
    const hold = await stage.held(sql);
    await stage.look(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'countersign'",
    );
    expect(await client.closed()).toEqual([
      ...before,
      'ErrorResponse 57P01 terminating connection due to administrator command',
    ]);
    await stage.became(hold.id, 'withdrawn');
    expect((await stage.vote(hold, 'approve')).status).toBe(409);
    expect(await stage.timesRun(sql)).toBe(0);
  });

  test('sends a notification, a notice and a setting: each passes at once, and the hold goes on', async () => {
    const client = await stage.wire();
    const server = meddler.newest();
    await client.query('LISTEN orders');
    const sql = counting();
    const before = await ask(client, sql);
    await stage.held(sql);
    for (const answer of before) expect(await client.until(answer)).toEqual([answer]);
    // A transaction block keeps notifications back till its end; the others come as the server likes.
    server.say(encodeNotice('checkpoints are occurring too frequently', 'd', 'h'));
    await client.until('NoticeResponse 00000 checkpoints are occurring');
    server.say(encodeParameterStatus('application_name', 'renamed meanwhile'));
    expect(await client.until('ParameterStatus')).toEqual([
      'ParameterStatus application_name=renamed meanwhile',
    ]);
    await stage.look("NOTIFY orders, 'meanwhile'");
    if (before.length === 0) expect(await client.until('NotificationResponse')).toHaveLength(1);
    await stage.deny(sql);
    expect((await client.ready())[0]).toEqual(REFUSED);
    if (before.length > 0) {
      expect(await client.query('ROLLBACK')).toContain('NotificationResponse');
    }
    expect(await stage.timesRun(sql)).toBe(0);
  });
});

test('a setting on which the reading depends, changed while it waits: what comes behind holds until it is back', async () => {
  const client = await stage.wire();
  const server = meddler.newest();
  const sql = counting();
  client.write(frame.query(sql), frame.query("SELECT 'read otherwise'"));
  await stage.held(sql);
  server.say(encodeParameterStatus('standard_conforming_strings', 'off'));
  await stage.deny('read otherwise');
  expect(await client.ready(2)).toEqual([
    'ParameterStatus standard_conforming_strings=off',
    expect.stringMatching(/^ErrorResponse ZC002/),
    'ReadyForQuery I',
    REFUSED,
    'ReadyForQuery I',
  ]);
  server.say(encodeParameterStatus('standard_conforming_strings', 'on'));
  await client.until('ParameterStatus');
  expect(await client.query("SELECT 'alike'")).toContain('DataRow alike');
});

test('and what waits is withdrawn: what a person reads is not what would run', async () => {
  const client = await stage.wire();
  const server = meddler.newest();
  const sql = counting();
  client.write(frame.query(sql));
  const hold = await stage.held(sql);
  server.say(encodeParameterStatus('standard_conforming_strings', 'off'));
  expect(await client.ready()).toEqual([
    'ParameterStatus standard_conforming_strings=off',
    expect.stringMatching(/^ErrorResponse ZC002 the server has changed how it reads SQL text/),
    'ReadyForQuery I',
  ]);
  expect(client.errors[0]).toMatchObject({
    D: expect.stringContaining('"status":"withdrawn"'),
    H: expect.stringMatching(/again/),
  });
  await stage.became(hold.id, 'withdrawn');
  expect((await stage.vote(hold, 'approve')).status).toBe(409);
  expect(await stage.timesRun(sql)).toBe(0);
});

test('an error out of place while nothing is under way ends the session: it could not be followed', async () => {
  const client = await stage.wire();
  const server = meddler.newest();
  server.say(
    encodeErrorFields(BACKEND.ErrorResponse, { S: 'ERROR', V: 'ERROR', C: 'XX000', M: 'out of the blue' }),
    Buffer.from([BACKEND.ReadyForQuery, 0, 0, 0, 5, 0x49]),
    Buffer.from([BACKEND.ReadyForQuery, 0, 0, 0, 5, 0x49]),
  );
  expect((await client.closed()).at(-1)).toMatch(/^ErrorResponse (XX000|08P01)/);
});

describe('a cancel and an approval', () => {
  async function race(
    protocol: (sql: string) => Buffer,
    both: (client: WireClient, approve: () => Promise<number>, hold: HoldDocument) => Promise<void>,
  ): Promise<{ outcome: 'ran' | 'cancelled'; vote: number }> {
    const client = await stage.wire();
    const sql = counting();
    client.write(protocol(sql));
    const hold = await stage.held(sql);
    let vote = 0;
    await both(
      client,
      async () => {
        vote = (await stage.vote(hold, 'approve')).status;
        return vote;
      },
      hold,
    );
    const answers = await client.ready();
    const ran = answers.some((answer) => answer.startsWith('CommandComplete UPDATE'));
    const cancelled = answers.some((answer) => answer.startsWith('ErrorResponse 57014'));
    expect([ran, cancelled].filter(Boolean), answers.join()).toHaveLength(1);
    const began = await stage.timesRun(sql);
    if (ran) expect(began).toBe(1);
    // Withdrawn it never begins. A cancel that comes after the approval may reach the server while it runs, once.
    else if ((await stage.hold(hold.id)).state === 'withdrawn') expect(began).toBe(0);
    else expect(began).toBeLessThanOrEqual(1);
    expect(await client.query('SELECT 1')).toContain('DataRow 1');
    client.socket.destroy();
    return { outcome: ran ? 'ran' : 'cancelled', vote };
  }
  const cancel = (client: WireClient) => cancelRequest(stage.agent, client.key!);

  test.each([
    ['simple', frame.query],
    ['extended', (sql: string) => pipeline(sql)],
  ] as const)('%s: cancel first, then the vote comes too late', async (_, protocol) => {
    const first = await race(protocol, async (client, approve, { id }) => {
      await cancel(client);
      await stage.became(id, 'withdrawn');
      await approve();
    });
    expect(first).toEqual({ outcome: 'cancelled', vote: 409 });
  });

  test.each([
    ['simple', frame.query],
    ['extended', (sql: string) => pipeline(sql)],
  ] as const)('%s: vote first, then the cancel finds nothing to withdraw', async (_, protocol) => {
    const first = await race(protocol, async (client, approve, { statement }) => {
      expect(await approve()).toBe(200);
      await eventually(async () => (await stage.timesRun(statement.text)) === 1, { what: 'it having run' });
      await cancel(client);
    });
    expect(first).toEqual({ outcome: 'ran', vote: 200 });
  });

  test('at once, many times: either one or the other, never both and never neither', {
    timeout: 120_000,
  }, async () => {
    const outcomes: string[] = [];
    for (let i = 0; i < 20; i++) {
      const { outcome } = await race(
        i % 2 === 0 ? frame.query : (sql) => pipeline(sql),
        async (client, approve) => {
          await Promise.all(i % 4 < 2 ? [cancel(client), approve()] : [approve(), cancel(client)]);
        },
      );
      outcomes.push(outcome);
    }
    expect(outcomes).toHaveLength(20);
  });
});
