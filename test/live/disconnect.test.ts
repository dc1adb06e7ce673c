// A client that is gone, however it went, has withdrawn what it waited for: no later yes runs it.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { psqlSession } from '../services/psql.ts';
import { Stage } from './stage.ts';
import { frame, pipeline } from './wire-client.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open();
});
afterAll(() => stage?.close());

/** Asks for a DROP of a table of its own, by a simple query or in a pipeline, and returns how to leave. */
type Leaving = (sql: string) => Promise<() => void>;

const LEAVINGS: Readonly<Record<string, Leaving>> = {
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
};

test.each(Object.entries(LEAVINGS))('%s withdraws', async (_, ask) => {
  const sql = `DROP TABLE users /* ${_} */`;
  const leave = await ask(sql);
  const hold = await stage.held(sql);
  leave();
  const withdrawn = await stage.became(hold.id, 'withdrawn');
  expect(withdrawn.closed_because).toBe('client disconnected');
  const { status, body } = await stage.vote(hold, 'approve');
  expect({ status, code: body.code }).toEqual({ status: 409, code: 'decided' });
  expect(await stage.timesRun(sql)).toBe(0);
  expect(await stage.tableExists('users')).toBe(true);
});

test('a Terminate behind a held statement waits its turn', async () => {
  await stage.look('CREATE TABLE gone (); ALTER TABLE gone OWNER TO countersign');
  const client = await stage.wire();
  client.write(frame.query('DROP TABLE gone'), frame.end());
  await stage.approve('DROP TABLE gone');
  expect(await client.closed()).toEqual(['CommandComplete DROP TABLE', 'ReadyForQuery I']);
  expect(await stage.tableExists('gone')).toBe(false);
});
