// Limits on what a session sends and keeps: each is told with its SQLSTATE and recorded, costs no memory, and sessions that
// keep to them go on. Those on connections are in connection-limits.test.ts, those on doing nothing in idle.test.ts.
import { connect } from 'node:net';
import { serialize } from 'pg-protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseErrorFields } from '../../src/wire/backend.ts';
import { Stage } from '../live/stage.ts';
import { extended, frame, type WireClient } from '../live/wire-client.ts';
import { residentBytes } from '../services/process.ts';
import { errorIn, expectLimitsHit, untilClosed } from './answers.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

async function expectUsable(client: WireClient): Promise<void> {
  expect(await client.query('SELECT 1')).toContain('DataRow 1');
}

describe('limits.frame', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await Stage.open({ limits: { frame: '64KiB' } });
  });
  afterAll(() => stage?.close());

  const text = (frameLength: number): string => {
    const rest = frameLength - 5 - 1 - `SELECT ''`.length;
    return `SELECT '${'x'.repeat(rest)}'`;
  };

  test('a message of exactly so many bytes runs; one byte more is 53400, FATAL, with the key to change', async () => {
    const client = await stage.wire();
    expect(await client.query(text(64 * KIB))).toContain('CommandComplete SELECT 1');
    client.write(frame.query(text(64 * KIB + 1)));
    const { bytes } = await client.next();
    expect(parseErrorFields(bytes)).toMatchObject({
      S: 'FATAL',
      C: '53400',
      M: `message of ${64 * KIB + 1} bytes is over the limit of ${64 * KIB}`,
      H: expect.stringContaining('limits.frame'),
    });
    await client.closed();
    const [hit] = await expectLimitsHit(stage.proxy, ['frame']);
    expect(hit?.leaf['session']).toEqual(expect.any(String));
  });

  test.each([
    ['of 2 GiB', 0x7fff_ffff],
    ['of one byte more than the limit', 64 * KIB],
  ])('a message %s is refused by its header: nothing of its body is waited for', async (_, length) => {
    const client = await stage.wire();
    const before = residentBytes(stage.proxy.pid);
    const header = Buffer.alloc(5);
    header.write('Q');
    header.writeInt32BE(length, 1);
    client.write(header);
    expect(await client.closed()).toEqual([expect.stringMatching(/^ErrorResponse 53400 message of/)]);
    expect(residentBytes(stage.proxy.pid) - before).toBeLessThan(64 * MIB);
    await expectUsable(await stage.wire());
  });
});

describe('messages that are none', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await Stage.open();
  });
  afterAll(() => stage?.close());

  test.each([
    ['an unknown message', Buffer.from('!\0\0\0\x04', 'latin1')],
    ['a message of the server', Buffer.from('Z\0\0\0\x05I', 'latin1')],
    ['a length below four', Buffer.from('Q\0\0\0\x03', 'latin1')],
    ['a Query without an end', Buffer.from('Q\0\0\0\x08SELE', 'latin1')],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: example.com\r\n\r\n')],
  ])('%s in a session: 08P01, closed, and nobody else notices', async (_, bytes) => {
    const [garbler, other] = [await stage.wire(), await stage.wire()];
    garbler.write(bytes);
    // Read as a message, text is one of an absurd length.
    expect(await garbler.closed()).toEqual([expect.stringMatching(/^ErrorResponse (08P01|53400) /)]);
    await expectUsable(other);
  });

  test.each([
    ['protocol 2', Buffer.from('0000000800020000', 'hex')],
    ['no user', Buffer.from('000000090003000000', 'hex')],
  ])('%s as the first bytes: told and closed', async (_, bytes) => {
    const socket = connect(stage.proxy.port, stage.proxy.host);
    socket.write(bytes);
    const fields = errorIn(await untilClosed(socket));
    expect(fields['S']).toBe('FATAL');
    expect(['08P01', '0A000', '28000']).toContain(fields['C']);
    await expectUsable(await stage.wire());
    expect(stage.proxy.stderr()).not.toMatch(/"level":(50|60)/);
  });
});

describe('limits.statements', () => {
  test('a text with so many statements is judged; with more it is not understood, and held', async () => {
    const stage = await Stage.open({ limits: { statements: 3 } });
    try {
      const client = await stage.wire();
      expect(await client.query('SELECT 1; SELECT 2; SELECT 3')).toContain('DataRow 3');
      client.write(frame.query('SELECT 1; SELECT 2; SELECT 3; SELECT 4'));
      const hold = await stage.held('SELECT 4');
      expect(JSON.stringify(hold)).toContain('4 statements in one text; at most 3 are understood');
      await stage.deny('SELECT 4');
      expect((await client.ready())[0]).toMatch(/^ErrorResponse 42501/);
      expect(await stage.timesRun('SELECT 4')).toBe(0);
    } finally {
      await stage.close();
    }
  });
});

describe('limits.preparedStatements', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await Stage.open({ limits: { preparedStatements: 3 } });
  });
  afterAll(() => stage?.close());

  const TOO_MANY = 'ErrorResponse 53400 more than 3 prepared statements or portals in one session';
  const parse = (name: string): Buffer => frame.parse({ name, text: `SELECT '${name}'` });
  const bind = (portal: string, statement = ''): Buffer => frame.bind({ portal, statement });

  /** A session with the three statements that it may have. */
  async function full(): Promise<WireClient> {
    const client = await stage.wire();
    const answers = await client.run(parse('a'), parse('b'), parse('c'), frame.sync());
    expect(answers).toEqual([...Array(3).fill('ParseComplete'), 'ReadyForQuery I']);
    return client;
  }

  test('one more: 53400 in its place in the pipeline, recorded, and the session goes on', async () => {
    const client = await full();
    expect(await client.run(extended('SELECT 0'), parse('d'), extended('SELECT 1'), frame.sync())).toEqual([
      'ParseComplete',
      'BindComplete',
      'DataRow 0',
      'CommandComplete SELECT 1',
      TOO_MANY,
      'ReadyForQuery I',
    ]);
    await expectLimitsHit(stage.proxy, ['preparedStatements']);
    // What takes the place of another one is no more than there was, and one that goes makes room.
    expect(await client.run(frame.close({ type: 'S', name: 'a' }), frame.sync())).toContain('CloseComplete');
    expect(await client.run(parse('d'), extended('SELECT 1'), frame.sync())).toContain('DataRow 1');
    expect(await client.run(parse('e'), frame.sync())).toEqual([TOO_MANY, 'ReadyForQuery I']);
  });

  test('what is dropped in the same pipeline makes room in time', async () => {
    const client = await full();
    const exchange = (from: string, to: string): Buffer =>
      Buffer.concat([frame.close({ type: 'S', name: from }), parse(to), bind('', to), frame.execute({})]);
    const names = ['a', 'd', 'e', 'f', 'g'];
    const answers = await client.run(
      ...names.slice(1).map((to, i) => exchange(names[i] as string, to)),
      frame.sync(),
    );
    expect(answers.filter((answer) => answer.startsWith('DataRow'))).toEqual(
      names.slice(1).map((name) => `DataRow ${name}`),
    );
    expect(answers.at(-1)).toBe('ReadyForQuery I');
  });

  test('a statement that waits for a person, and had to wait for room before, is not overtaken', async () => {
    const client = await full();
    client.write(
      frame.close({ type: 'S', name: 'a' }),
      frame.sync(),
      frame.query(`PREPARE d AS SELECT 'd'; DROP TABLE users`),
      frame.query(`SELECT 'behind'`),
    );
    await stage.held('DROP TABLE users');
    expect(await client.ready()).toEqual(['CloseComplete', 'ReadyForQuery I']);
    await stage.deny('DROP TABLE users');
    expect(await client.ready(2)).toEqual([
      expect.stringMatching(/^ErrorResponse 42501/),
      'ReadyForQuery I',
      'RowDescription',
      'DataRow behind',
      'CommandComplete SELECT 1',
      'ReadyForQuery I',
    ]);
    expect(await stage.timesRun('DROP TABLE users')).toBe(0);
  });

  test('portals too, each kind by itself', async () => {
    const client = await full();
    await client.query('BEGIN');
    const answers = await client.run(bind('p', 'a'), bind('q', 'a'), bind('r', 'a'), frame.sync());
    expect(answers).toEqual([...Array(3).fill('BindComplete'), 'ReadyForQuery T']);
    // The transaction is as the server has it after any other error.
    expect(await client.run(bind('s', 'a'), frame.sync())).toEqual([TOO_MANY, 'ReadyForQuery E']);
    expect(await client.query('ROLLBACK')).toContain('ReadyForQuery I');
    expect(await client.run(bind('s', 'a'), frame.sync())).toContain('BindComplete');
  });

  test.each([
    ['PREPARE', `PREPARE d AS SELECT 'by SQL'`],
    ['PREPARE amid other statements', `SELECT 0; PREPARE d AS SELECT 'by SQL'`],
  ])('those that SQL makes count, by %s', async (_, sql) => {
    const client = await full();
    expect(await client.query(sql)).toEqual([TOO_MANY, 'ReadyForQuery I']);
    expect(await client.run(extended(sql.split('; ').at(-1) as string), frame.sync())).toEqual([
      'ParseComplete',
      'BindComplete',
      TOO_MANY,
      'ReadyForQuery I',
    ]);
    expect(await client.query('DEALLOCATE a')).toContain('ReadyForQuery I');
    expect(await client.query(sql)).toContain('CommandComplete PREPARE');
  });

  test('cursors of SQL count among portals', async () => {
    const client = await stage.wire();
    await client.query('BEGIN');
    for (const name of ['p', 'q', 'r']) await client.query(`DECLARE ${name} CURSOR FOR SELECT 1`);
    expect(await client.query('DECLARE s CURSOR FOR SELECT 1')).toEqual([TOO_MANY, 'ReadyForQuery E']);
    await client.query('ROLLBACK');
  });
});

describe('limits.prepared', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await Stage.open({ limits: { prepared: '1MiB' } });
  });
  afterAll(() => stage?.close());

  const TOO_MUCH = `ErrorResponse 53400 more than ${MIB} bytes of prepared statements and bound values in one session`;
  const length = frame.parse({ name: 'length', text: 'SELECT length($1)' });
  const bind = (portal: string, bytes: number): Buffer =>
    frame.bind({ portal, statement: 'length', values: ['x'.repeat(bytes)] });

  test('values of portals: 53400 for what is too much, recorded; a portal that is closed makes room', async () => {
    const client = await stage.wire();
    await client.query('BEGIN');
    expect(
      await client.run(
        length,
        bind('p', 300 * KIB),
        bind('q', 300 * KIB),
        bind('r', 300 * KIB),
        frame.sync(),
      ),
    ).toEqual(['ParseComplete', ...Array(3).fill('BindComplete'), 'ReadyForQuery T']);
    await client.query('SAVEPOINT here');
    expect(await client.run(bind('s', 300 * KIB), frame.sync())).toEqual([TOO_MUCH, 'ReadyForQuery E']);
    await expectLimitsHit(stage.proxy, ['prepared']);
    await client.query('ROLLBACK TO here');
    await client.run(frame.close({ type: 'P', name: 'p' }), frame.sync());
    expect(await client.run(bind('s', 300 * KIB), frame.execute({ portal: 's' }), frame.sync())).toEqual([
      'BindComplete',
      `DataRow ${300 * KIB}`,
      'CommandComplete SELECT 1',
      'ReadyForQuery T',
    ]);
    // With the transaction go its portals, and what they held.
    await client.query('COMMIT');
    expect(await client.run(bind('t', 900 * KIB), frame.sync())).toEqual(['BindComplete', 'ReadyForQuery I']);
  });

  test('texts of statements: 53400 for what is too much', async () => {
    const client = await stage.wire();
    const parse = (name: string): Buffer =>
      frame.parse({ name, text: `SELECT '${name}' /* ${'x'.repeat(600 * KIB)} */` });
    expect(await client.run(parse('a'), frame.sync())).toContain('ParseComplete');
    expect(await client.run(parse('b'), frame.sync())).toEqual([TOO_MUCH, 'ReadyForQuery I']);
    expect(await client.query('DEALLOCATE ALL')).toContain('CommandComplete DEALLOCATE ALL');
    expect(await client.run(parse('b'), frame.sync())).toContain('ParseComplete');
    // The portal keeps its statement's text alive.
    await client.query('BEGIN');
    await client.run(
      frame.bind({ portal: 'p', statement: 'b' }),
      frame.close({ type: 'S', name: 'b' }),
      frame.sync(),
    );
    expect(await client.run(parse('c'), frame.sync())).toEqual([TOO_MUCH, 'ReadyForQuery E']);
    await client.query('ROLLBACK');
  });

  test('a pipeline that binds the unnamed portal again and again may be as long as it likes', async () => {
    const client = await stage.wire();
    await client.run(length, frame.sync());
    const one = Buffer.concat([bind('', 400 * KIB), frame.execute({})]);
    const answers = await client.run(...Array<Buffer>(20).fill(one), frame.sync());
    expect(answers.filter((answer) => answer === `DataRow ${400 * KIB}`)).toHaveLength(20);
    expect(answers.filter((answer) => answer.startsWith('Error'))).toEqual([]);
    // One that alone is too large is too much.
    expect(await client.run(bind('', MIB), frame.sync())).toEqual([TOO_MUCH, 'ReadyForQuery I']);
  });

  test('what the server skips after an error is not counted', async () => {
    const client = await stage.wire();
    await client.run(length, frame.sync());
    const many = Array.from({ length: 5 }, (_, i) => bind(`p${i}`, 400 * KIB));
    const answers = await client.run(extended('SELECT 1/0'), ...many, frame.sync());
    expect(answers.at(-2)).toMatch(/^ErrorResponse 22012/);
    await expectUsable(client);
    expect(await client.run(bind('p', 900 * KIB), frame.sync())).toContain('BindComplete');
  });
});

describe('limits.backlog', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await Stage.open({ limits: { backlog: '64KiB' } });
  });
  afterAll(() => stage?.close());

  /** A Query of so many bytes. */
  const behind = (bytes: number): Buffer => {
    const rest = bytes - 5 - 1 - `SELECT 'behind' /*  */`.length;
    return frame.query(`SELECT 'behind' /* ${'x'.repeat(rest)} */`);
  };
  const BEHIND = ['RowDescription', 'DataRow behind', 'CommandComplete SELECT 1', 'ReadyForQuery I'];

  test('so many bytes behind a held statement wait with it', async () => {
    const client = await stage.wire();
    client.write(frame.query('CREATE TABLE behind_it ()'));
    const hold = await stage.held('CREATE TABLE behind_it');
    client.write(behind(64 * KIB));
    // Whatever comes later through another connection comes after it.
    await expectUsable(await stage.wire());
    expect((await stage.hold(hold.id)).state).toBe('pending');
    await stage.approve('CREATE TABLE behind_it');
    expect(await client.ready(2)).toEqual(['CommandComplete CREATE TABLE', 'ReadyForQuery I', ...BEHIND]);
  });

  test('more: 53400, recorded; it has not run, and what came behind it has', async () => {
    const client = await stage.wire();
    client.write(frame.query('DROP TABLE users'));
    const hold = await stage.held('DROP TABLE users');
    client.write(behind(64 * KIB), behind(64 * KIB));
    const answers = await client.ready(3);
    expect(answers).toEqual([
      expect.stringMatching(/^ErrorResponse 53400 more than 65536 bytes/),
      'ReadyForQuery I',
      ...BEHIND,
      ...BEHIND,
    ]);
    expect((await stage.hold(hold.id)).state).toBe('withdrawn');
    expect((await stage.vote(hold, 'approve')).status).toBeGreaterThanOrEqual(400);
    expect(await stage.timesRun('DROP TABLE users')).toBe(0);
    await expectLimitsHit(stage.proxy, ['backlog']);
    await expectUsable(client);
  });

  test('a client that only goes on sending is not read any further', async () => {
    const client = await stage.wire();
    client.write(frame.query('DROP TABLE users'));
    await stage.held('DROP TABLE users');
    const before = residentBytes(stage.proxy.pid);
    for (let i = 0; i < 256; i++) client.socket.write(serialize.copyData(Buffer.alloc(MIB)));
    expect((await client.until('ErrorResponse 53400')).length).toBe(1);
    await client.ready();
    expect(residentBytes(stage.proxy.pid) - before).toBeLessThan(64 * MIB);
    client.socket.destroy();
  });
});
