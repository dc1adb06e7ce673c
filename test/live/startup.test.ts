// The first bytes of a connection: who is let in, who is not, and that neither learns more than they must.
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readLast } from '../../src/audit/read.ts';
import { int32 } from '../../src/base/bytes.ts';
import { psql } from '../services/psql.ts';
import { eventually } from '../services/wait.ts';
import { Stage } from './stage.ts';
import { frame, type Refused, startupPacket, WireClient } from './wire-client.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open({ limits: { startup: '2s', authentication: '2s' } });
});
afterAll(() => stage?.close());

type Fields = Refused['fields'];

const refusal = (parameters: Record<string, string>, changes: object = {}): Promise<Fields> =>
  WireClient.connect({ ...stage.agent, ...changes }, { parameters }).then(
    () => {
      throw new Error('it was let in');
    },
    (error: Refused) => error.fields,
  );

describe('who they are', () => {
  test('a wrong password and a name that nobody has look the same', async () => {
    const wrong = await refusal({}, { password: 'wrong' });
    expect(wrong).toMatchObject({
      S: 'FATAL',
      C: '28P01',
      M: 'password authentication failed for user "reporting-bot"',
    });
    const unknown = await refusal({}, { user: 'nobody' });
    expect({ ...unknown, M: unknown['M']?.replace('nobody', 'reporting-bot') }).toEqual(wrong);
    // The log has the difference, which the client must not.
    const said = readLast(stage.auditDir, 10).records.map(({ leaf }) => leaf['because']);
    expect(said).toEqual(expect.arrayContaining(['wrong password', 'unknown user']));
  });

  test('psql says it as with any server', async () => {
    const { code, stderr } = await psql({ ...stage.agent, password: 'wrong' }, ['-c', 'SELECT 1']);
    expect(code).toBe(2);
    expect(stderr).toContain('FATAL:  password authentication failed for user "reporting-bot"');
  });

  test('a database that is not there and one that is not theirs look the same', async () => {
    const unknown = await refusal({}, { database: 'no_such' });
    expect(unknown).toMatchObject({ S: 'FATAL', C: '3D000', M: 'database "no_such" does not exist' });
    const other = await refusal({}, { database: 'other' });
    expect({ ...other, M: other['M']?.replace('other', 'no_such') }).toEqual(unknown);
  });

  test('a database that the server does not have: the words of the server, its address hidden', async () => {
    const { C, M } = await refusal({}, { database: 'nowhere' });
    expect({ C, M }).toEqual({ C: '3D000', M: 'database "no_such_database" does not exist' });
  });
});

describe('what they ask for', () => {
  test.each([
    [{ client_encoding: 'SJIS' }, '22023', /client_encoding must be UTF8/],
    [{ options: '-c role=admin' }, '42501', /"role" .* refused by rule "privileges"/],
    [{ options: '-crole=admin' }, '42501', /"role"/],
    [{ options: '--role=admin' }, '42501', /"role"/],
    [{ role: 'admin' }, '42501', /"role"/],
    [{ options: '-c standard\\_conforming\\_strings=off' }, '42501', /standard_conforming_strings/],
    [{ session_replication_role: 'replica' }, '42501', /session_replication_role/],
    [{ options: '-d 5' }, '22023', /may only hold/],
    [{ replication: 'database' }, '42501', /replication/],
    [{ replication: 'true' }, '42501', /replication/],
  ])('%j is refused', async (parameters, sqlstate, message) => {
    const fields = await refusal(parameters as unknown as Record<string, string>);
    expect(fields).toMatchObject({ S: 'FATAL', C: sqlstate, M: expect.stringMatching(message) });
  });

  test('application_name and harmless settings reach the server', async () => {
    const client = await stage.wire({
      parameters: {
        application_name: 'nightly report',
        options: '-c statement_timeout=12s',
        client_encoding: 'utf-8',
      },
    });
    expect(client.parameters.get('application_name')).toBe('nightly report');
    expect(await client.query('SHOW statement_timeout')).toContain('DataRow 12s');
    expect(
      await stage.look("SELECT FROM pg_stat_activity WHERE application_name = 'nightly report'"),
    ).toHaveLength(1);
  });

  test('a purpose is kept for the approver and does not go to the server', async () => {
    const client = await stage.wire({
      parameters: { options: '-c countersign.purpose=monthly\\ report', application_name: 'bot' },
    });
    client.write(frame.query('DROP TABLE users'));
    const hold = await stage.deny('DROP TABLE users');
    expect(hold.claimed).toEqual({ application_name: 'bot', purpose: 'monthly report' });
    await client.ready();
    expect(await client.query("SELECT current_setting('countersign.purpose', true) IS NULL")).toContain(
      'DataRow t',
    );
  });

  test('protocol 3.2 is negotiated down, options of the protocol that we do not know are named', async () => {
    const client = await stage.wire({ version: 0x0003_0002, parameters: { '_pq_.unheard_of': '1' } });
    expect(client.greeting[0]).toBe('NegotiateProtocolVersion');
    expect(client.key?.secretKey).toHaveLength(4);
    expect(await client.query('SELECT 1')).toContain('DataRow 1');
  });

  test('the parameters that the client is told are those of the server', async () => {
    const [through, direct] = await Promise.all([stage.wire(), stage.direct()]);
    expect(new Map([...through.parameters].sort())).toEqual(new Map([...direct.parameters].sort()));
  });
});

/** Sends bytes as the first of a connection and returns everything that comes back until it is closed. */
async function answerTo(bytes: Buffer): Promise<Buffer> {
  const socket = connect({ host: stage.agent.host, port: stage.agent.port });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => {});
  socket.write(bytes);
  await once(socket, 'close');
  return Buffer.concat(chunks);
}

describe('what is no startup packet is closed, and the next connection is served', () => {
  const header = (length: number, code: number) => Buffer.concat([int32(length), int32(code)]);
  test.each([
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['zeros', Buffer.alloc(64)],
    ['noise', Buffer.from(Array.from({ length: 64 }, (_, i) => (i * 151 + 7) % 256))],
    ['a packet of a gigabyte', header(1 << 30, 0x0003_0000)],
    ['a packet one byte too long', Buffer.concat([header(10_001, 0x0003_0000), Buffer.alloc(10_001 - 8)])],
    ['a packet without an end', Buffer.concat([header(12, 0x0003_0000), Buffer.from('user')])],
    ['half a packet and then silence', header(100, 0x0003_0000)],
    ['no name', startupPacket({ database: 'shop' })],
    ['protocol 2', startupPacket({ user: 'reporting-bot' }, 0x0002_0000)],
    ['a TLS handshake without an SSLRequest', Buffer.from('160301020001000001fc0303', 'hex')],
  ])('%s', async (_, bytes) => {
    const answer = (await answerTo(bytes)).toString('latin1');
    // Nothing, or an error in the words of the protocol; never a reply to anything.
    expect(answer).toMatch(/^(E[\s\S]*FATAL[\s\S]*)?$/);
    expect(answer).not.toMatch(/node_modules|\.ts:|\.js:/);
    const client = await stage.wire();
    expect(await client.query('SELECT 1')).toContain('DataRow 1');
  });

  test('SSLRequest and GSSENCRequest are answered N where there is no TLS, and plain text goes on', async () => {
    const client = connect({ host: stage.agent.host, port: stage.agent.port });
    client.on('error', () => {});
    for (const request of [header(8, 80877104), header(8, 80877103)]) {
      client.write(request);
      const [answer] = (await once(client, 'data')) as [Buffer];
      expect(answer.toString('latin1')).toBe('N');
    }
    client.write(startupPacket({ user: 'reporting-bot', database: 'shop' }));
    const [answer] = (await once(client, 'data')) as [Buffer];
    expect(answer.toString('latin1')).toMatch(/^R[\s\S]*SCRAM-SHA-256/);
    client.destroy();
  });

  test.each([
    ['SSLRequest', 80877103],
    ['GSSENCRequest', 80877104],
  ])('bytes behind an %s are refused', async (_, code) => {
    const packet = startupPacket({ user: 'reporting-bot', database: 'shop' });
    const answer = (await answerTo(Buffer.concat([header(8, code), packet]))).toString('latin1');
    expect(answer).toMatch(/^E[\s\S]*FATAL[\s\S]*08P01/);
  });

  test('a query in place of a password', async () => {
    const packet = startupPacket({ user: 'reporting-bot', database: 'shop' });
    const answer = await answerTo(Buffer.concat([packet, frame.query('DROP TABLE users')]));
    expect(answer.toString('latin1')).toMatch(/FATAL[\s\S]*08P01/);
    expect(await stage.tableExists('users')).toBe(true);
  });
});

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
