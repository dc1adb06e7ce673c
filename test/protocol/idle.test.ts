// Sessions that do nothing: limits.idle and limits.idleInTransaction, as idle_session_timeout and
// idle_in_transaction_session_timeout of the server. Every test has a witness that does nothing as well: when that one has
// been ended, enough time has passed for everybody.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ENDLESS, Stage } from '../live/stage.ts';
import { extended, frame, type WireClient } from '../live/wire-client.ts';
import { TLS } from '../services/places.ts';
import { loggedRecords } from '../services/scene.ts';
import { expectLimitsHit } from './answers.ts';

const IDLE = 'ErrorResponse 57P05 terminating connection due to idle-session timeout';
const IN_TRANSACTION = 'ErrorResponse 25P03 terminating connection due to idle-in-transaction timeout';

/** A session that begins to do nothing now, until it is ended for it. */
async function witness(stage: Stage): Promise<void> {
  const client = await stage.wire();
  expect(await client.closed()).toEqual([IDLE]);
}

async function witnessInTransaction(stage: Stage): Promise<void> {
  const client = await stage.wire();
  await client.query('BEGIN');
  expect(await client.closed()).toEqual([IN_TRANSACTION]);
}

describe('limits.idle', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await Stage.open({ limits: { idle: '300ms' }, budgets: ENDLESS });
  });
  afterAll(() => stage?.close());

  test('a session with nothing under way: FATAL 57P05, recorded, and the server’s side is closed too', async () => {
    const client = await stage.wire();
    const [, row] = await client.query('SELECT pg_backend_pid()');
    expect(await client.closed()).toEqual([IDLE]);
    const [hit] = await expectLimitsHit(stage.proxy, ['idle']);
    const close = loggedRecords(stage.auditDir).find(
      ({ type, leaf }) => type === 'session.close' && leaf['session'] === hit?.leaf['session'],
    );
    expect(close?.leaf['because']).toBe('idle');
    const [, pid] = row?.split(' ') ?? [];
    await expect.poll(() => stage.look('SELECT FROM pg_stat_activity WHERE pid = $1', [pid])).toEqual([]);
  });

  test('a statement that runs is not idle, however long; what comes after it is', async () => {
    const client = await stage.wire();
    client.write(frame.query('SELECT pg_sleep(1.5)'));
    await witness(stage);
    const answers = await client.closed();
    expect(answers).toContain('CommandComplete SELECT 1');
    expect(answers.slice(-2)).toEqual(['ReadyForQuery I', IDLE]);
  });

  test('a statement that waits for a person is not idle', async () => {
    const client = await stage.wire();
    client.write(frame.query('CREATE TABLE patient ()'));
    await stage.held('CREATE TABLE patient');
    await witness(stage);
    await stage.approve('CREATE TABLE patient');
    expect(await client.ready()).toEqual(['CommandComplete CREATE TABLE', 'ReadyForQuery I']);
  });

  test('a COPY under way is not idle, in either direction', async () => {
    await stage.look('CREATE TABLE copied (t text); ALTER TABLE copied OWNER TO countersign');
    const client = await stage.wire();
    client.write(frame.query('COPY copied FROM STDIN'));
    expect(await client.until('CopyInResponse')).toEqual(['CopyInResponse']);
    const reader = await stage.wire();
    reader.socket.pause();
    reader.write(frame.query("SELECT repeat('x', 100000) FROM generate_series(1, 1000)"));
    await witness(stage);
    client.write(frame.copyData(Buffer.from('late\n')), frame.copyDone());
    expect(await client.ready()).toEqual(['CommandComplete COPY 1', 'ReadyForQuery I']);
    reader.socket.resume();
    expect(await reader.ready()).toContain('CommandComplete SELECT 1000');
  });

  test('a transaction that is open is none of its business', async () => {
    const client = await stage.wire();
    await client.query('BEGIN');
    await witness(stage);
    expect(await client.query('COMMIT')).toEqual(['CommandComplete COMMIT', 'ReadyForQuery I']);
  });
});

describe('limits.idle and TLS', () => {
  test('whoever says something now and then stays', async () => {
    const stage = await Stage.open({
      limits: { idle: '400ms' },
      listen: { tls: { cert: `${TLS}/server.crt`, key: `${TLS}/server.key` } },
    });
    try {
      const talker = await stage.wire({ ca: readFileSync(`${TLS}/ca.crt`) });
      const plain = await stage.wire();
      let over = false;
      const passed = witness(stage).finally(() => {
        over = true;
      });
      // Back to back, so that at nearly every look nothing is under way or everything.
      while (!over) for (const client of [talker, plain]) await client.query('SELECT 1');
      await passed;
      expect(await talker.query('SELECT 2')).toContain('DataRow 2');
      expect(await plain.query('SELECT 2')).toContain('DataRow 2');
    } finally {
      await stage.close();
    }
  });
});

describe('limits.idleInTransaction', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await Stage.open({ limits: { idleInTransaction: '300ms' } });
    await stage.look('CREATE TABLE wanted (i int); ALTER TABLE wanted OWNER TO countersign');
  });
  afterAll(() => stage?.close());

  let sessions = 0;

  const LOCKING = 'INSERT INTO wanted VALUES (1)';

  test.each<[string, (client: WireClient) => Promise<unknown>]>([
    ['a transaction block', (client) => client.query(`BEGIN; ${LOCKING}`)],
    ['a failed one', (client) => client.query(`BEGIN; ${LOCKING}; SELECT 1/0`)],
    [
      'an implicit one, of an Execute without a Sync',
      (client) => {
        client.write(extended(LOCKING), frame.flush());
        return client.until('CommandComplete');
      },
    ],
  ])('%s that is left open: FATAL 25P03, recorded, and its locks are free', async (_, begin) => {
    const client = await stage.wire();
    await begin(client);
    expect(await client.closed()).toEqual([IN_TRANSACTION]);
    await stage.look('DO $$ BEGIN LOCK TABLE wanted; END $$');
    expect(await stage.look('SELECT * FROM wanted')).toEqual([]);
    sessions++;
    await expectLimitsHit(stage.proxy, Array(sessions).fill('idleInTransaction'));
  });

  test('outside of a transaction, running or waiting for a person, it is none of its business', async () => {
    const [idle, running, waiting] = [await stage.wire(), await stage.wire(), await stage.wire()];
    await running.query('BEGIN');
    running.write(frame.query('SELECT pg_sleep(1.5)'));
    await waiting.query('BEGIN');
    waiting.write(frame.query('CREATE TABLE patient ()'));
    await stage.held('CREATE TABLE patient');
    await witnessInTransaction(stage);
    await stage.approve('CREATE TABLE patient');
    expect(await waiting.ready()).toEqual(['CommandComplete CREATE TABLE', 'ReadyForQuery T']);
    expect(await waiting.query('COMMIT')).toContain('ReadyForQuery I');
    expect(await running.ready()).toContain('CommandComplete SELECT 1');
    expect(await running.query('COMMIT')).toContain('ReadyForQuery I');
    expect(await idle.query('SELECT 1')).toContain('DataRow 1');
  });
});

test('neither is set unless somebody sets it', async () => {
  const [patient, strict] = [
    await Stage.open(),
    await Stage.open({ limits: { idle: '300ms', idleInTransaction: '300ms' } }),
  ];
  try {
    const [idle, open] = [await patient.wire(), await patient.wire()];
    await open.query('BEGIN');
    await witness(strict);
    await witnessInTransaction(strict);
    expect(await idle.query('SELECT 1')).toContain('DataRow 1');
    expect(await open.query('COMMIT')).toContain('CommandComplete COMMIT');
  } finally {
    await Promise.all([patient.close(), strict.close()]);
  }
});
