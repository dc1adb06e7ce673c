// Budgets while a statement runs: what the server sends beyond them stays here until a person has decided, whatever way
// the rows are asked for. A row that would pass a budget is stopped before its first byte.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { psql } from '../services/psql.ts';
import { loggedRecords } from '../services/scene.ts';
import { eventually } from '../services/wait.ts';
import { Stage } from './stage.ts';
import { cancelRequest, extended, frame, type WireClient } from './wire-client.ts';

/** Rows that go out unasked: few, so that the tests are quick. */
const ROWS = 100;

let stage: Stage;
let client: WireClient;
beforeAll(async () => {
  stage = await Stage.open({ budgets: { statementRows: ROWS, statementBytes: '20KiB' } });
});
afterAll(() => stage?.close());
beforeEach(async () => {
  client = await stage.wire();
});
afterEach(() => client.socket.destroy());

const rowsIn = (answers: readonly string[]): number =>
  answers.filter((answer) => answer.startsWith('DataRow') || answer.startsWith('CopyData')).length;

/** All answers but the rows. */
const besides = (answers: readonly string[]): string[] =>
  answers.filter((answer) => !/^(DataRow|CopyData|NoticeResponse|RowDescription)/.test(answer));

const DENIED = expect.stringMatching(/^ErrorResponse 42501 denied by alice@example.com: the test says so/);

/** Ever another text, so that each test finds its own hold. */
let count = 0;
const selectOf = (rows: number, width = 1): string =>
  `SELECT repeat('x', ${width}) AS statement_${++count} FROM generate_series(1, ${rows})`;

describe('a simple query', () => {
  test('within its budget: to the last row, unasked', async () => {
    const answers = await client.query(selectOf(ROWS));
    expect(rowsIn(answers)).toBe(ROWS);
    expect(await stage.holds()).toEqual([]);
  });

  test('denied: the budget has gone out and no more, then one error and the true status', async () => {
    const sql = selectOf(ROWS + 1);
    client.write(frame.query(sql));
    await stage.deny(sql);
    const answers = await client.ready();
    expect(rowsIn(answers)).toBe(ROWS);
    expect(besides(answers)).toEqual([DENIED, 'ReadyForQuery I']);
    expect(await client.query("SELECT 'after'")).toContain('DataRow after');
  });

  test('approved: the rest follows, and nobody is asked again', async () => {
    const sql = selectOf(5000);
    client.write(frame.query(sql));
    const hold = await stage.approve(sql);
    const answers = await client.ready();
    expect(rowsIn(answers)).toBe(5000);
    expect(besides(answers)).toEqual(['CommandComplete SELECT 5000', 'ReadyForQuery I']);
    expect((await stage.became(hold.id, 'executed')).rule.name).toBe('budget-statement');
  });
});

/** So much that no buffer on the way has room for it: the server is still at it when it is stopped. */
const MANY = 1_000_000;

describe('the server is still at it, or has long completed it: the client hears the same', () => {
  test.each([
    ['still at it', MANY],
    ['completed', ROWS + 1],
  ])('in a transaction block, %s: the transaction has failed', async (_, rows) => {
    await client.query('BEGIN');
    await client.query("INSERT INTO notes (body) VALUES ('undone')");
    const sql = selectOf(rows, rows === MANY ? 100 : 1);
    client.write(frame.query(sql));
    await stage.deny(sql);
    const answers = await client.ready();
    expect(rowsIn(answers)).toBe(ROWS);
    expect(besides(answers)).toEqual([DENIED, 'ReadyForQuery E']);
    expect(await client.query('COMMIT')).toEqual(['CommandComplete ROLLBACK', 'ReadyForQuery I']);
    expect(await stage.look("SELECT FROM notes WHERE body = 'undone'")).toEqual([]);
  });

  test.each([
    ['still at it', MANY],
    ['completed', ROWS + 1],
  ])('by the extended protocol, %s', async (_, rows) => {
    const sql = selectOf(rows, rows === MANY ? 100 : 1);
    client.write(extended(sql), frame.sync());
    await stage.deny(sql);
    const answers = await client.ready();
    expect(rowsIn(answers)).toBe(ROWS);
    expect(besides(answers)).toEqual(['ParseComplete', 'BindComplete', DENIED, 'ReadyForQuery I']);
    expect(await client.query("SELECT 'after'")).toContain('DataRow after');
  });

  test.each([
    ['still at it', MANY],
    ['completed', ROWS + 1],
  ])('without a Sync yet, %s: what follows is skipped up to it', async (_, rows) => {
    const sql = selectOf(rows, rows === MANY ? 100 : 1);
    client.write(extended(sql), frame.flush());
    await stage.deny(sql);
    const answers = await client.until('ErrorResponse');
    expect(rowsIn(answers)).toBe(ROWS);
    client.write(extended("INSERT INTO notes (body) VALUES ('skipped')"), frame.sync());
    expect(await client.ready()).toEqual(['ReadyForQuery I']);
    expect(await stage.look("SELECT FROM notes WHERE body = 'skipped'")).toEqual([]);
  });

  test('what was sent behind its Sync runs in its turn', async () => {
    const sql = selectOf(ROWS + 1);
    client.write(
      extended(sql),
      frame.sync(),
      extended("INSERT INTO notes (body) VALUES ('in its turn')"),
      frame.sync(),
    );
    await stage.deny(sql);
    const answers = await client.ready(2);
    expect(rowsIn(answers)).toBe(ROWS);
    expect(besides(answers)).toEqual([
      'ParseComplete',
      'BindComplete',
      DENIED,
      'ReadyForQuery I',
      'ParseComplete',
      'BindComplete',
      'CommandComplete INSERT 0 1',
      'ReadyForQuery I',
    ]);
  });

  test('what was sent behind it, before its Sync: skipped by a server that is still at it', async () => {
    const sql = selectOf(MANY, 100);
    client.write(extended(sql), extended("INSERT INTO notes (body) VALUES ('not run')"), frame.sync());
    await stage.deny(sql);
    const answers = await client.ready();
    expect(besides(answers)).toEqual(['ParseComplete', 'BindComplete', DENIED, 'ReadyForQuery I']);
    expect(await stage.look("SELECT FROM notes WHERE body = 'not run'")).toEqual([]);
  });

  test.each<[string, (sql: string) => Buffer[]]>([
    [
      'a write behind it, before its Sync',
      (sql) => [extended(sql), extended("INSERT INTO notes (body) VALUES ('committed')"), frame.sync()],
    ],
    [
      'a write before it in the same implicit transaction',
      (sql) => [extended("INSERT INTO notes (body) VALUES ('committed')"), extended(sql), frame.sync()],
    ],
    [
      'a write before it in the same Query',
      (sql) => [frame.query(`INSERT INTO notes (body) VALUES ('committed'); ${sql}`)],
    ],
    [
      'a write that returns rows',
      (sql) => [
        frame.query(
          `INSERT INTO notes (body) SELECT 'committed' FROM generate_series(1, ${ROWS + 1}) RETURNING '${sql.slice(0, 40).replaceAll("'", '')}'`,
        ),
      ],
    ],
  ])('completed, and %s: what has been committed does not pass for undone', async (_, framesOf) => {
    const sql = selectOf(ROWS + 1);
    client.write(...framesOf(sql));
    await stage.deny(`statement_${count}`);
    const answers = await client.closed();
    expect(rowsIn(answers)).toBe(ROWS);
    expect(answers.at(-1)).toMatch(
      /^ErrorResponse 42501 denied by .*; the server had completed it, .* closed/,
    );
    expect((await stage.look("SELECT FROM notes WHERE body = 'committed'")).length).toBeGreaterThan(0);
    await stage.look("DELETE FROM notes WHERE body = 'committed'");
  });
});

describe('bytes', () => {
  test('a row that would pass the budget is stopped before its first byte', async () => {
    const sql = `SELECT repeat('y', 30000) AS statement_${++count}`;
    client.write(frame.query(sql));
    await stage.deny(sql);
    const answers = await client.ready();
    expect(rowsIn(answers)).toBe(0);
    expect(besides(answers)).toEqual([DENIED, 'ReadyForQuery I']);
  });

  test('and goes out whole when it may', async () => {
    const sql = `SELECT repeat('y', 300000) AS statement_${++count}`;
    client.write(frame.query(sql));
    await stage.approve(sql);
    const answers = await client.ready();
    expect(rowsIn(answers)).toBe(1);
    expect(besides(answers)).toEqual(['CommandComplete SELECT 1', 'ReadyForQuery I']);
  });
});

describe('in pieces', () => {
  test('a suspended portal goes on with its budget', async () => {
    const sql = selectOf(500);
    client.write(frame.parse({ text: sql }), frame.bind({}), frame.execute({ rows: 60 }), frame.flush());
    await client.until('PortalSuspended');
    client.write(frame.execute({ rows: 60 }), frame.sync());
    await stage.deny(sql);
    const answers = await client.ready();
    expect(rowsIn(answers)).toBe(ROWS - 60);
    expect(besides(answers)).toEqual([DENIED, 'ReadyForQuery I']);
  });

  test('what a person has allowed before it ran goes on as it began', async () => {
    const sql = `SELECT purge_user(-g), ${++count} FROM generate_series(1, 400) g`;
    client.write(frame.parse({ text: sql }), frame.bind({}), frame.execute({ rows: 150 }), frame.flush());
    await stage.approve(sql);
    expect(rowsIn(await client.until('PortalSuspended'))).toBe(150);
    client.write(frame.execute({ rows: 150 }), frame.execute({}), frame.sync());
    expect(rowsIn(await client.ready())).toBe(250);
    expect(await stage.holds()).toEqual([]);
  });

  test('a cursor spends one budget, however it is fetched', async () => {
    await client.query('BEGIN');
    await client.query(`DECLARE paged CURSOR FOR ${selectOf(500)}`);
    expect(rowsIn(await client.query('FETCH 60 FROM paged'))).toBe(60);
    const sql = 'FETCH 60 FROM paged';
    client.write(frame.query(sql));
    await stage.deny(sql);
    const answers = await client.ready();
    expect(rowsIn(answers)).toBe(ROWS - 60);
    expect(besides(answers)).toEqual([DENIED, 'ReadyForQuery E']);
  });

  test('a cursor that a person has let go on is fetched to its end', async () => {
    await client.query('BEGIN');
    await client.query(`DECLARE allowed CURSOR FOR ${selectOf(500)}`);
    client.write(frame.query('FETCH 200 FROM allowed'));
    await stage.approve('FETCH 200 FROM allowed');
    expect(rowsIn(await client.ready())).toBe(200);
    expect(rowsIn(await client.query('FETCH ALL FROM allowed'))).toBe(300);
  });

  test('a cursor that may go on lets nothing else go with it', async () => {
    await client.query('BEGIN');
    await client.query(`DECLARE lent CURSOR FOR ${selectOf(500)}`);
    client.write(frame.query('FETCH 200 FROM lent'));
    await stage.approve('FETCH 200 FROM lent');
    expect(rowsIn(await client.ready())).toBe(200);
    const sql = `FETCH 1 FROM lent; ${selectOf(300)}`;
    client.write(frame.query(sql));
    await stage.deny(sql);
    expect(rowsIn(await client.ready())).toBe(ROWS);
  });

  test('made and fetched in one text', async () => {
    const sql = `BEGIN; DECLARE c${++count} CURSOR FOR SELECT generate_series(1, 300); FETCH ALL FROM c${count}`;
    client.write(frame.query(sql));
    await stage.deny(`c${count}`);
    const answers = await client.ready();
    expect(rowsIn(answers)).toBe(ROWS);
    expect(besides(answers).slice(-2)).toEqual([DENIED, 'ReadyForQuery E']);
  });

  test('several statements in one text spend one budget', async () => {
    const sql = `${selectOf(60)}; ${selectOf(60)}`;
    client.write(frame.query(sql));
    await stage.deny(sql);
    expect(rowsIn(await client.ready())).toBe(ROWS);
  });

  test('EXECUTE of what SQL has prepared', async () => {
    await client.query(`PREPARE many AS ${selectOf(500)}`);
    client.write(frame.query('EXECUTE many'));
    await stage.deny('EXECUTE many');
    expect(rowsIn(await client.ready())).toBe(ROWS);
  });

  test('the rows of a RETURNING', async () => {
    const sql = `INSERT INTO notes (body) SELECT 'returned ${++count}' FROM generate_series(1, 500) RETURNING id`;
    await client.query('BEGIN');
    client.write(frame.query(sql));
    await stage.deny(`returned ${count}`);
    expect(rowsIn(await client.ready())).toBe(ROWS);
    await client.query('ROLLBACK');
  });
});

describe('whoever asks no more', () => {
  test('cancels: the server’s words, and nothing more goes out', async () => {
    const sql = selectOf(MANY, 100);
    client.write(frame.query(sql));
    const hold = await stage.held(sql);
    await cancelRequest(stage.agent, client.key!);
    const answers = await client.ready();
    expect(rowsIn(answers)).toBe(ROWS);
    expect(besides(answers)).toEqual([
      expect.stringMatching(/^ErrorResponse 57014 canceling statement due to user request/),
      'ReadyForQuery I',
    ]);
    await stage.became(hold.id, 'withdrawn');
  });

  test('leaves: the hold is withdrawn, and the server is let go', async () => {
    const sql = selectOf(MANY, 100);
    client.write(frame.query(sql));
    const hold = await stage.held(sql);
    client.socket.destroy();
    await stage.became(hold.id, 'withdrawn');
    const running = `SELECT FROM pg_stat_activity WHERE query = '${sql.replaceAll("'", "''")}'`;
    await eventually(async () => (await stage.look(running)).length === 0, {
      what: 'the server being let go',
    });
  });

  test('what a person has allowed before it ran is not asked about again', async () => {
    const sql = `COPY (${selectOf(1000)}) TO STDOUT`;
    client.write(frame.query(sql));
    await stage.approve(sql);
    const answers = await client.ready();
    expect(rowsIn(answers)).toBe(1000);
    expect(await stage.holds()).toEqual([]);
  });

  test('psql: the rows, the error, and a session that goes on', async () => {
    const sql = selectOf(ROWS + 50);
    const running = psql(stage.agent, ['-At', '-c', sql, '-c', "SELECT 'goes on'"]);
    await stage.deny(sql);
    const { stdout, stderr } = await running;
    expect(stderr).toContain('ERROR:  denied by alice@example.com: the test says so');
    expect(stdout).toContain('goes on');
    expect(stdout).not.toContain('x');
  });
});

describe('over many statements', () => {
  test('of a session, and of an agent: as much again once a person has said yes', async () => {
    const own = await Stage.open({
      budgets: { statementRows: 100, sessionRows: 250, agentRows: 400 },
    });
    try {
      const first = await own.wire();
      for (let i = 0; i < 2; i++) expect(rowsIn(await first.query(selectOf(100)))).toBe(100);
      const third = selectOf(90);
      first.write(frame.query(third));
      const hold = await own.approve(third);
      expect(hold.rule.name).toBe('budget-session');
      expect(rowsIn(await first.ready())).toBe(90);
      // 250 of the agent's 400 have been counted.
      const second = await own.wire();
      expect(rowsIn(await second.query(selectOf(100)))).toBe(100);
      const last = selectOf(100);
      second.write(frame.query(last));
      expect((await own.deny(last)).rule.name).toBe('budget-agent');
      expect(rowsIn(await second.ready())).toBe(50);
    } finally {
      await own.close();
    }
  });

  test('nobody decides in time: it is cancelled', async () => {
    const own = await Stage.open({
      budgets: { statementRows: 10 },
      holds: { wait: '1s', waitInTransaction: '1s' },
    });
    try {
      const answers = await (await own.wire()).query(selectOf(20));
      expect(rowsIn(answers)).toBe(10);
      expect(besides(answers)).toEqual([expect.stringMatching(/^ErrorResponse ZC002 /), 'ReadyForQuery I']);
      const [asked] = await own.holds('all');
      expect(asked?.state).toBe('expired');
      expect(loggedRecords(own.auditDir).some(({ type }) => type === 'hold.expired')).toBe(true);
    } finally {
      await own.close();
    }
  });
});
