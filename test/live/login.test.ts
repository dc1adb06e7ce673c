// Who is let in, who is not, and that neither learns more than they must.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readLast } from '../../src/audit/read.ts';
import { psql } from '../services/psql.ts';
import { Stage } from './stage.ts';
import { frame, startupPacket, WireClient } from './wire-client.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open();
});
afterAll(() => stage?.close());

const refusal = (changes: object): ReturnType<typeof WireClient.refusal> =>
  WireClient.refusal({ ...stage.agent, ...changes });

describe('who they are', () => {
  test('a wrong password and a name that nobody has look the same', async () => {
    const wrong = await refusal({ password: 'wrong' });
    expect(wrong).toMatchObject({
      S: 'FATAL',
      C: '28P01',
      M: 'password authentication failed for user "reporting-bot"',
    });
    const unknown = await refusal({ user: 'nobody' });
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
    const unknown = await refusal({ database: 'no_such' });
    expect(unknown).toMatchObject({ S: 'FATAL', C: '3D000', M: 'database "no_such" does not exist' });
    const other = await refusal({ database: 'other' });
    expect({ ...other, M: other['M']?.replace('other', 'no_such') }).toEqual(unknown);
  });

  test('a database that the server does not have: the words of the server, its address hidden', async () => {
    const { C, M } = await refusal({ database: 'nowhere' });
    expect({ C, M }).toEqual({ C: '3D000', M: 'database "no_such_database" does not exist' });
  });
});

test('a query in place of a password', async () => {
  const client = await WireClient.dial(stage.agent);
  client.write(startupPacket({ user: 'reporting-bot', database: 'shop' }), frame.query('DROP TABLE users'));
  expect((await client.closed()).at(-1)).toMatch(/^ErrorResponse 08P01/);
  expect(await stage.tableExists('users')).toBe(true);
});

test('the parameters that the client is told are those of the server', async () => {
  const [through, direct] = await Promise.all([stage.wire(), stage.direct()]);
  expect(new Map([...through.parameters].sort())).toEqual(new Map([...direct.parameters].sort()));
});
