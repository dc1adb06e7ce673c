// Nobody decides: the client is let go with an error that does not read as a denial, sooner where it holds locks.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Stage } from '../live/stage.ts';
import { frame, pipeline, type WireClient } from '../live/wire-client.ts';

const EXPIRED = expect.stringMatching(/^ErrorResponse ZC002 nobody decided .* it has not run/);

async function holdOf(stage: Stage, client: WireClient): Promise<string> {
  const detail = JSON.parse((await client.noticed())['D'] ?? '') as { hold: string };
  await stage.became(detail.hold, 'expired');
  return detail.hold;
}

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open({ holds: { wait: '300ms', waitInTransaction: '300ms' } });
});
afterAll(() => stage?.close());

test('ZC002, nothing ran, the session goes on, and a vote comes too late', async () => {
  const client = await stage.wire();
  client.write(frame.query('DROP TABLE users'));
  expect(await client.ready()).toEqual([EXPIRED, 'ReadyForQuery I']);
  const hold = await stage.hold(await holdOf(stage, client));
  expect((await stage.vote(hold, 'approve')).status).toBe(410);
  expect(await client.query('SELECT 1')).toContain('DataRow 1');
  expect(await stage.timesRun('DROP TABLE users')).toBe(0);
});

test('the same statement again asks again', async () => {
  const client = await stage.wire();
  expect((await client.query('DROP TABLE users'))[0]).toEqual(EXPIRED);
  expect((await client.query('DROP TABLE users'))[0]).toEqual(EXPIRED);
  const [one, two] = client.heldNotices.map(({ D }) => (JSON.parse(D ?? '') as { hold: string }).hold);
  expect(one).not.toBe(two);
});

test('with a longer wait outside, inside a transaction the shorter one counts', async () => {
  const patient = await Stage.open({ holds: { wait: '1h', ttl: '1h', waitInTransaction: '300ms' } });
  try {
    const client = await patient.wire();
    await client.query('BEGIN');
    expect(await client.query('DROP TABLE users')).toEqual([EXPIRED, 'ReadyForQuery E']);
    await client.query('ROLLBACK');
    // The implicit block of a pipeline holds locks just as well.
    expect(await client.run(pipeline("INSERT INTO notes(body) VALUES ('x')", 'DROP TABLE users'))).toEqual([
      'ParseComplete',
      'BindComplete',
      'CommandComplete INSERT 0 1',
      'ParseComplete',
      'BindComplete',
      EXPIRED,
      'ReadyForQuery I',
    ]);
    client.write(frame.query('DROP TABLE users'));
    const hold = await patient.held('DROP TABLE users');
    expect(Date.parse(hold.deadline) - Date.parse(hold.requested_at)).toBe(3_600_000);
    await patient.deny('DROP TABLE users');
    await client.ready();
  } finally {
    await patient.close();
  }
});
