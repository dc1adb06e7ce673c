// What the server sends without being asked reaches the client at once, also while a statement of it is held.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../services/wait.ts';
import { Stage } from './stage.ts';
import { frame } from './wire-client.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open();
});
afterAll(() => stage?.close());

test('LISTEN and NOTIFY between two agents', async () => {
  const listener = await stage.pg();
  const heard: unknown[] = [];
  listener.on('notification', ({ channel, payload }) => heard.push([channel, payload]));
  await listener.query('LISTEN orders');
  const speaker = await stage.pg();
  await speaker.query("NOTIFY orders, 'a new one'");
  await eventually(() => heard.length > 0, { what: 'the notification' });
  expect(heard).toEqual([['orders', 'a new one']]);
  await Promise.all([listener.end(), speaker.end()]);
});

test('while a statement is held', async () => {
  const client = await stage.wire();
  await client.query('LISTEN orders');
  client.write(frame.query('DROP TABLE users'));
  await stage.held('DROP TABLE users');
  await stage.look("NOTIFY orders, 'meanwhile'");
  expect(await client.until('NotificationResponse')).toHaveLength(1);
  await stage.deny('DROP TABLE users');
  expect(await client.ready()).toEqual([expect.stringContaining('ErrorResponse 42501'), 'ReadyForQuery I']);
});

test('a server that ends the session while a statement is held is heard, and nothing runs', async () => {
  const client = await stage.wire();
  client.write(frame.query('DROP TABLE users'));
  const hold = await stage.held('DROP TABLE users');
  await stage.look(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'countersign'",
  );
  const answers = await client.closed();
  expect(answers[0]).toMatch(/^ErrorResponse 57P01/);
  await stage.became(hold.id, 'withdrawn');
  expect((await stage.vote(hold, 'approve')).status).toBe(409);
  expect(await stage.timesRun('DROP TABLE users')).toBe(0);
});

test('ParameterStatus', async () => {
  const client = await stage.wire();
  const answers = await client.query("SET application_name = 'renamed'");
  expect(answers).toContain('ParameterStatus application_name=renamed');
  // Servers before 14 send it ahead of CommandComplete.
  expect(answers.filter((answer) => !answer.startsWith('ParameterStatus'))).toEqual([
    'CommandComplete SET',
    'ReadyForQuery I',
  ]);
});
