// Attacks on the proxy's memory and time: what one client sends must not be kept without bound.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Stage } from '../live/stage.ts';
import { frame } from '../live/wire-client.ts';

const MIB = 1024 * 1024;

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open();
});
afterAll(() => stage?.close());

test('what is sent behind a statement that will be held stays with the client', async () => {
  const client = await stage.wire();
  client.write(frame.query('SELECT pg_sleep(2)'), frame.query('DROP TABLE notes'));
  // Nothing of it means anything to the server, which reads and forgets it.
  const data = frame.copyData(Buffer.alloc(MIB));
  for (let i = 0; i < 200; i++) client.write(data);
  await client.until('ErrorResponse 53400');
  expect(client.socket.writableLength).toBeGreaterThan(150 * MIB);
  await client.ready();
  expect((await client.query('SELECT 1')).at(-1)).toBe('ReadyForQuery I');
});
