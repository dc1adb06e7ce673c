// Cancelling: a statement that waits is withdrawn, one that runs is cancelled on the server, and only by who may.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { psqlSession } from '../services/psql.ts';
import { eventually } from '../services/wait.ts';
import { Stage } from './stage.ts';
import { cancelRequest, frame, pipeline } from './wire-client.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open();
});
afterAll(() => stage?.close());

const asleep = () =>
  eventually(
    async () =>
      (
        await stage.look(
          "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'",
        )
      ).length === 1,
    { what: 'a statement sleeping on the server' },
  );

test('Ctrl-C in psql withdraws what waits; a late yes runs nothing', async () => {
  const session = psqlSession(stage.agent, ['-v', 'VERBOSITY=verbose']);
  session.send('DROP TABLE users;');
  const hold = await stage.held('DROP TABLE users');
  await session.expect(/held for approval/);
  session.interrupt();
  await session.expect(/ERROR: {2}57014: canceling statement due to user request/);
  await session.end();
  const withdrawn = await stage.became(hold.id, 'withdrawn');
  expect(withdrawn.closed_because).toBe('client cancelled');
  expect((await stage.vote(hold, 'approve')).status).toBe(409);
  expect(await stage.timesRun('DROP TABLE users')).toBe(0);
  expect(await stage.tableExists('users')).toBe(true);
});

test('a CancelRequest while waiting: 57014, the status of the server, and the session goes on', async () => {
  const client = await stage.wire();
  await client.query('BEGIN');
  client.write(pipeline('SELECT 1', 'DROP TABLE users', 'SELECT 2'));
  const hold = await stage.held('DROP TABLE users');
  await cancelRequest(stage.agent, client.key!);
  expect((await client.ready()).slice(-2)).toEqual([
    'ErrorResponse 57014 canceling statement due to user request',
    'ReadyForQuery E',
  ]);
  expect(await client.query('ROLLBACK')).toEqual(['CommandComplete ROLLBACK', 'ReadyForQuery I']);
  expect((await stage.vote(hold, 'approve')).status).toBe(409);
  expect(await stage.timesRun('DROP TABLE users')).toBe(0);
});

test('a statement that runs is cancelled on the server', async () => {
  const client = await stage.wire();
  client.write(frame.query('SELECT pg_sleep(60)'));
  await asleep();
  await cancelRequest(stage.agent, client.key!);
  expect((await client.ready()).slice(-2)).toEqual([
    'ErrorResponse 57014 canceling statement due to user request',
    'ReadyForQuery I',
  ]);
});

test('a key that is not the session’s does nothing', async () => {
  const client = await stage.wire();
  client.write(frame.query('DROP TABLE users'));
  const hold = await stage.held('DROP TABLE users');
  const { processId, secretKey } = client.key!;
  const wrong = Buffer.from(secretKey.map((byte) => byte ^ 1));
  await cancelRequest(stage.agent, { processId, secretKey: wrong });
  await cancelRequest(stage.agent, { processId: processId + 1, secretKey });
  await cancelRequest(stage.agent, { processId, secretKey: Buffer.concat([secretKey, Buffer.alloc(28)]) });
  expect((await stage.hold(hold.id)).state).toBe('pending');
  await stage.deny('DROP TABLE users');
  expect(await client.ready()).toEqual([expect.stringContaining('ErrorResponse 42501'), 'ReadyForQuery I']);
});

test('the key of the server never leaves us', async () => {
  const client = await stage.wire();
  const pid = (await client.query('SELECT pg_backend_pid()')).find((answer) => answer.startsWith('DataRow'));
  expect(pid).toMatch(/^DataRow \d+$/);
  expect(pid).not.toBe(`DataRow ${client.key?.processId}`);
});

test('a cancel when nothing runs is forgotten', async () => {
  const client = await stage.wire();
  await cancelRequest(stage.agent, client.key!);
  expect(await client.query('SELECT 1')).toContain('DataRow 1');
});
