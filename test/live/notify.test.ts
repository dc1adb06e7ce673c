// What the server sends without being asked reaches the client at once, here between statements; while one is held: ../protocol.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../services/wait.ts';
import { Stage } from './stage.ts';

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
