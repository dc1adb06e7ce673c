// A client whose statement is held is told at once, and again and again: which hold, which rule, how to have it decided.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { psql, psqlSession } from '../services/psql.ts';
import { Stage } from './stage.ts';
import { frame, pipeline } from './wire-client.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open({ holds: { notice: '200ms' } });
});
afterAll(() => stage?.close());

test('at once and again, each with the id of the hold', async () => {
  const client = await stage.wire();
  client.write(frame.query('DROP TABLE users'));
  const first = await client.noticed(1);
  const hold = await stage.held('DROP TABLE users');
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
  await stage.deny('DROP TABLE users');
  await client.ready();
});

test('in a pipeline it comes after the answers of what went before', async () => {
  const client = await stage.wire();
  client.write(pipeline('SELECT 1', 'DROP TABLE users'));
  await client.noticed();
  expect(client.unread).toEqual([
    'ParseComplete',
    'BindComplete',
    'DataRow 1',
    'CommandComplete SELECT 1',
    'ParseComplete',
    'BindComplete',
  ]);
  await stage.deny('DROP TABLE users');
  await client.ready();
});

test('psql prints it on standard error, while it waits', async () => {
  const session = psqlSession(stage.agent);
  session.send('DROP TABLE users;');
  await session.expect(/NOTICE: {2}held for approval \(h_\w+\): DROP TABLE, by rule "schema-changes"/);
  await session.expect(/NOTICE: {2}held for approval/);
  await stage.deny('DROP TABLE users');
  await session.expect(/ERROR: {2}denied by alice@example.com/);
  await session.end();

  const run = psql(stage.agent, ['-c', 'DROP TABLE users']);
  await stage.deny('DROP TABLE users');
  const { code, stdout, stderr } = await run;
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(/^NOTICE: {2}held for approval/);
});
