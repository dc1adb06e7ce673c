// "Refusing" of the protocol: every ending of a hold, in every place where a statement can stand. The measure is a direct
// connection on which a statement fails by itself in the same place: the same answers, but for the fields of the one error.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ErrorFields } from '../../src/wire/backend.ts';
import { Stage } from '../live/stage.ts';
import { cancelRequest, frame, WireClient } from '../live/wire-client.ts';
import { createDatabase, type Database } from '../services/database.ts';
import { type RedisServer, startRedis } from '../services/redis.ts';
import { comeTo, framesAt, type Place, places, STATES } from './matrix.ts';

interface Both {
  readonly through: WireClient;
  readonly direct: WireClient;
}

interface Statement {
  readonly through: string | number;
  readonly direct: string | number;
  /** By which the hold is found. */
  readonly words: string;
}

interface Ending {
  readonly sqlstate: string;
  readonly message: RegExp;
  readonly detail: Readonly<Record<string, unknown>>;
  /** What is done about the hold. */
  readonly end: (words: string, client: WireClient) => Promise<unknown>;
}

const HELD = { hold: expect.stringMatching(/^h_/), url: expect.stringMatching(/\/v1\/holds\/h_/) };
const BACKLOG_BYTES = 65_536;

let stage: Stage;
let redis: RedisServer;
/** Where nobody decides in time; its store is a Redis. */
let hasty: Stage;
const twins = new Map<Stage, Database>();
/** Connections that go from test to test: one that fails does not give them back. */
const clients = new Map<Stage, Both>();
/** The OID of a function of one text. */
let md5: number;
/** How often the server must have run each text, once all is over. */
const runs = new Map<string, { stage: Stage; times: number }>();

beforeAll(async () => {
  redis = await startRedis();
  [stage, hasty] = await Promise.all([
    Stage.open({ limits: { backlog: `${BACKLOG_BYTES}B` } }),
    Stage.open({
      holds: { wait: '200ms', waitInTransaction: '200ms', store: 'redis', redis: redis.address.url },
    }),
  ]);
  for (const one of [stage, hasty]) {
    const twin = await createDatabase();
    twins.set(one, twin);
    for (const { superuser } of [one.database, twin]) {
      await superuser.query(
        'CREATE TABLE counter AS SELECT 0 AS n; ALTER TABLE counter OWNER TO countersign',
      );
    }
  }
  const [found] = await stage.look<{ oid: number }>(
    "SELECT 'pg_catalog.md5(text)'::regprocedure::oid::int AS oid",
  );
  md5 = found?.oid ?? 0;
});
afterAll(async () => {
  await Promise.all([stage?.close(), hasty?.close()]);
  await Promise.all([redis?.close(), ...[...twins.values()].map((twin) => twin.close())]);
});

async function clientsOf(on: Stage): Promise<Both> {
  const kept = clients.get(on);
  clients.delete(on);
  if (kept !== undefined) return kept;
  const { host, port, user, password, name } = twins.get(on)!;
  const [through, direct] = await Promise.all([
    on.wire(),
    WireClient.connect({ host, port, user, password, database: name }),
  ]);
  return { through, direct };
}

/** A statement that waits for a person, and one that fails, or succeeds, on a direct connection in its place. */
function heldStatement({ protocol, position, state }: Place, ending: string, fails: boolean): Statement {
  if (protocol === 'function call') return { through: md5, direct: fails ? 0 : md5, words: `OID ${md5}` };
  const words = `/* ${ending}, ${protocol}, ${position} in ${state} */`;
  const set = (value: string) => `UPDATE counter SET n = ${value} ${words}`;
  return { through: set('n + 1'), direct: set(fails ? '1 / (n - n)' : 'n + 1'), words };
}

/** Sends both, ends the hold, and gives the answers of both. */
async function compare(on: Stage, place: Place, { through, direct, words }: Statement, end: Ending['end']) {
  const both = await clientsOf(on);
  await Promise.all([comeTo(place, both.through), comeTo(place, both.direct)]);
  both.through.errors.length = 0;
  const expected = framesAt(place, direct);
  both.direct.write(expected.bytes);
  const asked = framesAt(place, through);
  both.through.write(asked.bytes);
  await end(words, both.through);
  return {
    through: await both.through.ready(asked.readies),
    direct: await both.direct.ready(expected.readies),
    errors: [...both.through.errors],
    both,
  };
}

/** Both sessions go on, and have left the same behind. */
async function expectAlike(on: Stage, { through, direct }: Both): Promise<void> {
  for (const sql of [
    'ROLLBACK',
    "SELECT string_agg(body, ',' ORDER BY id) FROM (SELECT * FROM notes LIMIT 9) n",
    'SELECT n FROM counter LIMIT 9',
    'DELETE FROM notes WHERE id > 0',
  ]) {
    expect(await through.query(sql), sql).toEqual(await direct.query(sql));
  }
  clients.set(on, { through, direct });
}

const named = (answers: readonly string[]) =>
  answers.map((answer) => (answer.startsWith('ErrorResponse') ? 'ErrorResponse' : answer));

function expectRefusal(errors: readonly ErrorFields[], { sqlstate, message, detail }: Ending): void {
  const [own, ...others] = errors.filter(({ C }) => C === sqlstate);
  expect(others).toEqual([]);
  expect(own).toEqual({
    S: 'ERROR',
    V: 'ERROR',
    C: sqlstate,
    M: expect.stringMatching(message),
    D: expect.not.stringContaining('\n'),
    H: expect.stringMatching(/\w/),
  });
  expect(JSON.parse(own?.['D'] ?? '')).toEqual(detail);
}

async function refused(on: Stage, place: Place, statement: Statement, ending: Ending): Promise<void> {
  const answers = await compare(on, place, statement, ending.end);
  expect(named(answers.through)).toEqual(named(answers.direct));
  expectRefusal(answers.errors, ending);
  if (typeof statement.through === 'string') runs.set(statement.through, { stage: on, times: 0 });
  await expectAlike(on, answers.both);
}

const ruleOf = ({ protocol }: Place) => (protocol === 'function call' ? 'not-understood' : 'mass-writes');
const title = '$protocol, $position, in $state';
const WITHOUT_E = places(['I', 'T', 'an implicit block']);

describe('denied by a person', () => {
  test.each(WITHOUT_E)(title, (place) =>
    refused(stage, place, heldStatement(place, 'denied', true), {
      sqlstate: '42501',
      message: /^denied by alice@example.com: the test says so$/,
      detail: { ...HELD, status: 'denied', by: 'person', rule: ruleOf(place) },
      end: (words) => stage.deny(words),
    }),
  );
});

describe('denied by a rule', () => {
  // Within a failed transaction the server refuses the Parse already, and a FunctionCall is judged by no such rule.
  const judged = ({ protocol, state }: Place) =>
    state === 'E' ? protocol === 'simple' : protocol !== 'function call';
  test.each(places([...STATES]).filter(judged))(title, (place) =>
    refused(
      stage,
      place,
      {
        through: 'SET standard_conforming_strings = off',
        direct: 'SET standard_conforming_strings = maybe',
        words: '',
      },
      {
        sqlstate: '42501',
        message: /^denied by rule "lexing": This setting changes how/,
        detail: { status: 'denied', by: 'rule', rule: 'lexing' },
        end: async () => {},
      },
    ),
  );
});

describe('withdrawn by a cancel', () => {
  test.each(WITHOUT_E)(title, (place) =>
    refused(stage, place, heldStatement(place, 'cancelled', true), {
      sqlstate: '57014',
      message: /^canceling statement due to user request$/,
      detail: { ...HELD, status: 'withdrawn', rule: ruleOf(place) },
      end: async (words, client) => {
        await stage.held(words);
        await cancelRequest(stage.agent, client.key!);
      },
    }),
  );
});

describe('too much sent behind it', () => {
  test.each(WITHOUT_E)(title, (place) =>
    refused(stage, place, heldStatement(place, 'backlog', true), {
      sqlstate: '53400',
      message: /^more than 65536 bytes were sent behind/,
      detail: { ...HELD, status: 'withdrawn', rule: ruleOf(place) },
      end: async (words, client) => {
        await stage.held(words);
        // Means nothing outside of a COPY.
        client.write(frame.copyData(Buffer.alloc(BACKLOG_BYTES)));
      },
    }),
  );
});

describe('expired', () => {
  test.each(WITHOUT_E)(title, (place) =>
    refused(hasty, place, heldStatement(place, 'expired', true), {
      sqlstate: 'ZC002',
      message: /^nobody decided about this statement in time; it has not run$/,
      detail: { ...HELD, status: 'expired', rule: ruleOf(place) },
      end: async () => {},
    }),
  );
});

describe('approved', () => {
  test.each(WITHOUT_E)(title, async (place) => {
    const statement = heldStatement(place, 'approved', false);
    const { through, direct, both } = await compare(stage, place, statement, (words) => stage.approve(words));
    expect(through).toEqual(direct);
    if (typeof statement.through === 'string') runs.set(statement.through, { stage, times: 1 });
    await expectAlike(stage, both);
  });
});

describe('doomed: nobody is asked, and the answers are those of the server', () => {
  test.each(places(['E']))(title, async (place) => {
    const before = (await stage.holds('all')).length;
    const statement = heldStatement(place, 'doomed', true);
    const { through, direct, both } = await compare(stage, place, statement, async () => {});
    expect(through).toEqual(direct);
    expect((await stage.holds('all')).length).toBe(before);
    if (typeof statement.through === 'string') runs.set(statement.through, { stage, times: 0 });
    await expectAlike(stage, both);
  });
});

// Behind everything else that uses this store.
describe('approvals unavailable', () => {
  beforeAll(() => redis.stop());
  test.each(WITHOUT_E)(title, (place) =>
    refused(hasty, place, heldStatement(place, 'unavailable', true), {
      sqlstate: 'ZC003',
      message: /^this statement needs approval \(rule ".*"\), and approvals are unavailable at the moment$/,
      detail: { status: 'unavailable', rule: ruleOf(place) },
      end: async () => {},
    }),
  );
});

describe('the error', () => {
  test('has no control characters of a person’s in it', async () => {
    const client = await stage.wire();
    client.write(frame.query('DROP TABLE users'));
    const hold = await stage.held('DROP TABLE users');
    const reason = 'no \u001b[31mred\u202e, \u0007 no\r\nlines';
    const { status } = await stage.vote(hold, 'deny', reason);
    if (status !== 200) await stage.deny('DROP TABLE users');
    await client.ready();
    const [{ M, D, H }] = client.errors as [ErrorFields];
    for (const text of [M, D, H]) expect(text).not.toMatch(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u);
    expect(M).toMatch(status === 200 ? /red/ : /the test says so/);
  });
});

// Reads what all tests above have left, so it stands last.
test('the server has run what was approved once, and nothing of what was refused', async () => {
  const ran = new Map<Stage, readonly string[]>();
  for (const one of [stage, hasty]) ran.set(one, await one.ran());
  expect(runs.size).toBeGreaterThan(100);
  for (const [sql, { stage: on, times }] of runs) {
    expect(ran.get(on)!.filter((text) => text === sql).length, sql).toBe(times);
  }
});
