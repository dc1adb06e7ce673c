// Pipelines: what goes before a held statement is answered while a person thinks, what stands behind it waits, and the
// server itself skips it when the answer is no.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Stage } from '../live/stage.ts';
import { extended, frame, pipeline, type WireClient } from '../live/wire-client.ts';

let stage: Stage;
let client: WireClient;
beforeAll(async () => {
  stage = await Stage.open();
});
beforeEach(async () => {
  client = await stage.wire();
  await stage.look(
    'DROP TABLE IF EXISTS gone; CREATE TABLE gone (); ALTER TABLE gone OWNER TO countersign; DELETE FROM notes',
  );
});
afterAll(() => stage?.close());

const DROP = 'DROP TABLE gone';
const notes = async () =>
  (await stage.look<{ body: string }>('SELECT body FROM notes ORDER BY id')).map(({ body }) => body);
const note = (body: string) => `INSERT INTO notes(body) VALUES ('${body}')`;
const INSERTED = ['ParseComplete', 'BindComplete', 'CommandComplete INSERT 0 1'];
const DENIED = expect.stringMatching(/^ErrorResponse 42501 denied by alice@example.com/);

describe('a refusal', () => {
  test('first in its pipeline', async () => {
    client.write(pipeline(DROP, note('behind')));
    await stage.deny(DROP);
    expect(await client.ready()).toEqual(['ParseComplete', 'BindComplete', DENIED, 'ReadyForQuery I']);
    expect(await notes()).toEqual([]);
  });

  test('in the middle', async () => {
    client.write(pipeline(note('before'), DROP, note('behind')));
    await stage.deny(DROP);
    expect(await client.ready()).toEqual([
      ...INSERTED,
      'ParseComplete',
      'BindComplete',
      DENIED,
      'ReadyForQuery I',
    ]);
    expect(await notes()).toEqual([]);
    expect(await stage.timesRun(note('behind'))).toBe(0);
  });

  test('last', async () => {
    client.write(pipeline(note('before'), DROP));
    await stage.deny(DROP);
    expect(await client.ready()).toEqual([
      ...INSERTED,
      'ParseComplete',
      'BindComplete',
      DENIED,
      'ReadyForQuery I',
    ]);
    expect(await stage.tableExists('gone')).toBe(true);
  });

  test('by a rule, in the middle, asks nobody and is skipped behind just the same', async () => {
    const before = (await stage.holds('all')).length;
    client.write(pipeline('SELECT 1', "SET standard_conforming_strings = 'off'", 'SELECT 2'));
    expect(await client.ready()).toEqual([
      'ParseComplete',
      'BindComplete',
      'DataRow 1',
      'CommandComplete SELECT 1',
      'ParseComplete',
      'BindComplete',
      expect.stringMatching(/^ErrorResponse 42501 denied by rule "lexing"/),
      'ReadyForQuery I',
    ]);
    expect((await stage.holds('all')).length).toBe(before);
  });
});

test('an approval in the middle: everything runs, in order', async () => {
  client.write(pipeline(note('before'), DROP, note('behind')));
  await stage.approve(DROP);
  expect(await client.ready()).toEqual([
    ...INSERTED,
    'ParseComplete',
    'BindComplete',
    'CommandComplete DROP TABLE',
    ...INSERTED,
    'ReadyForQuery I',
  ]);
  expect(await notes()).toEqual(['before', 'behind']);
});

test('what was sent before is answered before anybody decides, what is behind is not sent on', async () => {
  client.write(pipeline(note('before'), DROP, note('behind')));
  await stage.held(DROP);
  expect(await client.until('CommandComplete')).toEqual(INSERTED);
  expect(await client.until('BindComplete')).toEqual(['ParseComplete', 'BindComplete']);
  expect(client.unread).toEqual([]);
  expect(await stage.timesRun(note('before'))).toBeGreaterThan(0);
  const behind = await stage.timesRun(note('behind'));
  await stage.approve(DROP);
  expect((await client.ready()).at(-1)).toBe('ReadyForQuery I');
  expect(await stage.timesRun(note('behind'))).toBe(behind + 1);
});

describe('two pipelines in flight', () => {
  test('the second runs after a denial in the first', async () => {
    client.write(pipeline(note('one'), DROP, note('skipped')), pipeline(note('two')));
    await stage.deny(DROP);
    expect(await client.ready(2)).toEqual([
      ...INSERTED,
      'ParseComplete',
      'BindComplete',
      DENIED,
      'ReadyForQuery I',
      ...INSERTED,
      'ReadyForQuery I',
    ]);
    expect(await notes()).toEqual(['two']);
  });

  test('a hold in each', async () => {
    const second = 'DROP VIEW active_users';
    client.write(pipeline(DROP), pipeline(second));
    await stage.held(DROP);
    expect((await stage.holds()).map(({ statement }) => statement.text)).toEqual([DROP]);
    await stage.approve(DROP);
    await stage.deny(second);
    expect(await client.ready(2)).toEqual([
      'ParseComplete',
      'BindComplete',
      'CommandComplete DROP TABLE',
      'ReadyForQuery I',
      'ParseComplete',
      'BindComplete',
      DENIED,
      'ReadyForQuery I',
    ]);
  });
});

describe('what is doomed is not put before a person', () => {
  test('behind an error in the same pipeline', async () => {
    const before = (await stage.holds('all')).length;
    client.write(pipeline('SELECT 1/0', DROP, 'SELECT 2'));
    expect(await client.ready()).toEqual([
      'ParseComplete',
      // Found by the planner, which is at work already when the server binds.
      expect.stringMatching(/^ErrorResponse 22012/),
      'ReadyForQuery I',
    ]);
    expect((await stage.holds('all')).length).toBe(before);
    expect(await client.query('SELECT 3')).toContain('DataRow 3');
  });

  test('behind an error that the client already knows of, without a Sync in between', async () => {
    const before = (await stage.holds('all')).length;
    client.write(extended('SELECT 1/0'), frame.flush());
    await client.until('ErrorResponse 22012');
    client.write(extended(DROP), frame.sync());
    expect(await client.ready()).toEqual(['ReadyForQuery I']);
    expect((await stage.holds('all')).length).toBe(before);
  });

  test('in a failed transaction block, in the second of two pipelines', async () => {
    const before = (await stage.holds('all')).length;
    client.write(pipeline('BEGIN', 'SELECT 1/0'), pipeline(DROP), frame.query('ROLLBACK'));
    expect((await client.ready(3)).filter((answer) => /^(Error|Ready)/.test(answer))).toEqual([
      expect.stringMatching(/^ErrorResponse 22012/),
      'ReadyForQuery E',
      expect.stringMatching(/^ErrorResponse 25P02/),
      'ReadyForQuery E',
      'ReadyForQuery I',
    ]);
    expect((await stage.holds('all')).length).toBe(before);
  });
});

test('an ordinary pipeline under unnamed names costs no more when it is long, and each text is recorded as it is', async () => {
  const texts = Array.from({ length: 40 }, (_, i) => `SELECT ${i}`);
  client.write(pipeline(...texts));
  expect((await client.ready()).filter((answer) => answer.startsWith('DataRow'))).toEqual(
    texts.map((_, i) => `DataRow ${i}`),
  );
});

test('an ordinary statement under the name that a held one had is not held', async () => {
  client.write(pipeline(DROP));
  await stage.deny(DROP);
  await client.ready();
  const before = (await stage.holds('all')).length;
  expect(await client.run(pipeline(note('ordinary')))).toEqual([...INSERTED, 'ReadyForQuery I']);
  expect((await stage.holds('all')).length).toBe(before);
});

test('nor when the Bind comes behind a Sync, before the answer to the Parse', async () => {
  client.write(pipeline(DROP));
  await stage.deny(DROP);
  await client.ready();
  const before = (await stage.holds('all')).length;
  client.write(
    frame.parse({ text: note('ordinary') }),
    frame.sync(),
    frame.bind(),
    frame.execute(),
    frame.sync(),
  );
  expect(await client.ready(2)).toEqual([
    'ParseComplete',
    'ReadyForQuery I',
    'BindComplete',
    'CommandComplete INSERT 0 1',
    'ReadyForQuery I',
  ]);
  expect((await stage.holds('all')).length).toBe(before);
});
