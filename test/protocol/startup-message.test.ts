// The table "Startup" of the protocol, its rows on what a StartupMessage asks for.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Stage } from '../live/stage.ts';
import { cancelRequest, extended, frame, WireClient } from '../live/wire-client.ts';
import { loggedRecords } from '../services/scene.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open();
});
afterAll(() => stage?.close());

const V3 = 0x0003_0000;
const refusal = (parameters: Record<string, string>) => WireClient.refusal(stage.agent, { parameters });

/** As the client reads it: the version, then the options. */
function negotiated(client: WireClient): { version: string; unknown: string[] } | null {
  const bytes = client.negotiation;
  if (bytes === null) return null;
  const version = `${bytes.readUInt16BE(5)}.${bytes.readUInt16BE(7)}`;
  const unknown = bytes.toString('latin1', 13).split('\0').slice(0, -1);
  expect(bytes.readInt32BE(9)).toBe(unknown.length);
  return { version, unknown };
}

describe('StartupMessage 3.0 / 3.2: 3.2 gets long cancel keys; unknown minor or `_pq_.` options get NegotiateProtocolVersion', () => {
  test.each<[asked: string, minor: number, options: string[], answered: string | null, keyLength: number]>([
    ['3.0', 0, [], null, 4],
    ['3.1, which the server takes too', 1, [], null, 4],
    ['3.2', 2, [], null, 32],
    ['3.3', 3, [], '3.2', 32],
    ['3.9999, as a client sends it to see what happens', 9999, [], '3.2', 32],
    ['3.0 with options', 0, ['_pq_.unheard_of', '_pq_.other'], '3.0', 4],
    ['3.1 with an option', 1, ['_pq_.unheard_of'], '3.1', 4],
    ['3.2 with an option', 2, ['_pq_.unheard_of'], '3.2', 32],
    ['3.9999 with an option', 9999, ['_pq_.unheard_of'], '3.2', 32],
  ])('%s', async (_, minor, options, answered, keyLength) => {
    const parameters = Object.fromEntries(options.map((name) => [name, '1']));
    const client = await stage.wire({ version: V3 + minor, parameters });
    expect(negotiated(client)).toEqual(answered === null ? null : { version: answered, unknown: options });
    // Before anything else, or the client would read what follows by the wrong version.
    if (answered !== null) expect(client.greeting[0]).toBe('NegotiateProtocolVersion');
    expect(client.key?.secretKey).toHaveLength(keyLength);
    client.write(frame.query('SELECT pg_sleep(60)'));
    await stage.asleep();
    await cancelRequest(stage.agent, client.key!);
    expect((await client.ready()).at(-2)).toMatch(/^ErrorResponse 57014/);
    await client.end();
  });
});

describe('`replication=…`: FATAL 42501 by default (a replication stream is a bulk export of everything)', () => {
  test.each(['database', 'true', 'on', '1', 'yes'])('%s', async (replication) => {
    expect(await refusal({ replication })).toMatchObject({ S: 'FATAL', C: '42501', H: /export/ });
  });

  test('false asks for none', async () => {
    const client = await stage.wire({ parameters: { replication: 'false' } });
    expect(await client.query('SELECT 1')).toContain('DataRow 1');
  });

  test('nor is there another spelling of it', async () => {
    for (const parameters of [{ Replication: 'true' }, { options: '-c replication=database' }]) {
      expect(await refusal(parameters)).toMatchObject({ S: 'FATAL', C: '22023' });
    }
  });
});

describe('`client_encoding` other than UTF8: FATAL 22023 with a hint', () => {
  test.each<[Record<string, string>]>([
    [{ client_encoding: 'SJIS' }],
    [{ client_encoding: 'SQL_ASCII' }],
    [{ CLIENT_ENCODING: 'LATIN1' }],
    [{ options: '-c client_encoding=BIG5' }],
    [{ options: '--client-encoding=GB18030' }],
  ])('%j', async (parameters) => {
    expect(await refusal(parameters)).toMatchObject({
      S: 'FATAL',
      C: '22023',
      M: expect.stringMatching(/^client_encoding must be UTF8/),
      H: expect.stringMatching(/PGCLIENTENCODING=UTF8/),
    });
  });

  test.each(['UTF8', 'utf-8', 'Unicode'])('%s is UTF8', async (encoding) => {
    const client = await stage.wire({ parameters: { client_encoding: encoding } });
    expect(client.parameters.get('client_encoding')).toBe('UTF8');
  });
});

describe('`options=-c countersign.purpose=…`, `countersign.max_wait=…`: taken out and remembered as claimed', () => {
  test('the purpose is kept for the approver and the log, and does not go to the server', async () => {
    const client = await stage.wire({
      parameters: { options: '-c countersign.purpose=monthly\\ report', application_name: 'bot' },
    });
    client.write(frame.query('DROP TABLE users'));
    const hold = await stage.deny('DROP TABLE users');
    expect(hold.claimed).toEqual({ application_name: 'bot', purpose: 'monthly report' });
    await client.ready();
    const unknown = "SELECT current_setting('countersign.purpose', true) IS NULL";
    expect(await client.query(unknown)).toContain('DataRow t');
    const opened = loggedRecords(stage.auditDir).filter(({ type }) => type === 'session.open');
    expect(opened.map(({ leaf }) => leaf['purpose'])).toContain('monthly report');
  });

  test('max_wait bounds the wait, and the person is told of that bound', async () => {
    // Many times the wait of this stage would not fit into the time that a test has.
    const client = await stage.wire({ parameters: { options: '-c countersign.max_wait=700ms' } });
    client.write(frame.query('DROP TABLE users'));
    const { D } = await client.noticed();
    expect(JSON.parse(D ?? '')).toMatchObject({ seconds: 1 });
    expect((await client.ready())[0]).toMatch(/^ErrorResponse ZC002/);
    const [hold] = (await stage.holds('all')).filter(({ state }) => state === 'expired');
    expect(Date.parse(hold!.deadline) - Date.parse(hold!.requested_at)).toBe(700);
    expect(await stage.tableExists('users')).toBe(true);
  });

  test('max_wait does not lengthen it', async () => {
    const client = await stage.wire({ parameters: { options: '-c countersign.max_wait=1h' } });
    client.write(frame.query('DROP TABLE users'));
    const hold = await stage.deny('DROP TABLE users');
    expect(Date.parse(hold.deadline) - Date.parse(hold.requested_at)).toBe(25_000);
  });

  test.each(['soon', '-1', '5 parsecs'])('a max_wait of "%s" is none: 22023', async (text) => {
    expect(await refusal({ 'countersign.max_wait': text })).toMatchObject({
      S: 'FATAL',
      C: '22023',
      M: `invalid value for parameter "countersign.max_wait": "${text}"`,
    });
  });

  test('SET claims anew, RESET goes back, once the server has done it', async () => {
    const purpose = async (client: WireClient): Promise<string> => {
      client.write(frame.query('DROP TABLE users'));
      const hold = await stage.deny('DROP TABLE users');
      await client.ready();
      return `${hold.claimed.purpose}, ${Date.parse(hold.deadline) - Date.parse(hold.requested_at)} ms`;
    };
    const client = await stage.wire({ parameters: { options: '-c countersign.purpose=first' } });
    await client.query("SET countersign.purpose = 'second'; SET countersign.max_wait TO '20s'");
    expect(await purpose(client)).toBe('second, 20000 ms');
    await client.run(extended("SELECT set_config('countersign.purpose', 'third', false)"), frame.sync());
    expect(await purpose(client)).toBe('third, 20000 ms');
    // What means nothing, and what the server has not done, changes nothing; nor does another claim.
    await client.query("SET countersign.max_wait = 'soon'");
    await client.query("BEGIN; SELECT 1/0; SET countersign.purpose = 'never'");
    await client.query('ROLLBACK');
    await client.query("SET application_name = 'bot'");
    expect(await purpose(client)).toBe('third, 20000 ms');
    await client.query('RESET countersign.max_wait');
    expect(await purpose(client)).toBe('third, 25000 ms');
    await client.query('RESET ALL');
    expect(await purpose(client)).toBe('first, 25000 ms');
  });

  test('a misspelt name is not dropped in silence', async () => {
    expect(await refusal({ options: '-c countersign.purpse=x' })).toMatchObject({ S: 'FATAL', C: '22023' });
  });
});

describe('every other setting, in `options` in any of its spellings or as a startup parameter of its own, is judged as the SET that it is', () => {
  test.each([
    [{ options: '-c role=admin' }, '42501', /"role" .* refused by rule "privileges"/],
    [{ options: '-crole=admin' }, '42501', /"role"/],
    [{ options: '--role=admin' }, '42501', /"role"/],
    [{ role: 'admin' }, '42501', /"role"/],
    [{ ROLE: 'admin' }, '42501', /"role"/],
    [{ options: '-c session-authorization=admin' }, '42501', /"session_authorization"/],
    [{ options: '-c standard\\_conforming\\_strings=off' }, '42501', /standard_conforming_strings/],
    [{ session_replication_role: 'replica' }, '42501', /session_replication_role/],
    [{ options: '-d 5' }, '22023', /may only hold/],
  ])('%j is refused before anything goes upstream', async (parameters, sqlstate, message) => {
    const fields = await refusal(parameters as unknown as Record<string, string>);
    expect(fields).toMatchObject({ S: 'FATAL', C: sqlstate, M: expect.stringMatching(message) });
  });

  test('application_name and harmless settings reach the server', async () => {
    const client = await stage.wire({
      parameters: { application_name: 'nightly report', options: '-c statement_timeout=12s' },
    });
    expect(client.parameters.get('application_name')).toBe('nightly report');
    expect(await client.query('SHOW statement_timeout')).toContain('DataRow 12s');
    expect(
      await stage.look("SELECT FROM pg_stat_activity WHERE application_name = 'nightly report'"),
    ).toHaveLength(1);
  });
});
