// Messages that no client may send once it has a session.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { int32 } from '../../src/base/bytes.ts';
import { eventually } from '../services/wait.ts';
import { Stage } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open();
});
afterAll(() => stage?.close());

test('a message that the protocol does not have ends the session with 08P01', async () => {
  for (const bytes of [
    Buffer.from('y\0\0\0\x04'),
    Buffer.from('p\0\0\0\x05x'),
    Buffer.from('Q\0\0\0\x03'),
    Buffer.concat([Buffer.from('Q'), int32(4 + 10 + 5), Buffer.from('SELECT 1;\0DROP\0')]),
  ]) {
    const client = await stage.wire();
    client.write(bytes);
    expect(await client.closed()).toEqual([expect.stringMatching(/^ErrorResponse 08P01/)]);
  }
  await eventually(
    async () =>
      (
        await stage.look(
          "SELECT FROM pg_stat_activity WHERE usename = 'countersign' AND datname = current_database() AND query LIKE '%DROP%'",
        )
      ).length === 0,
  );
});
