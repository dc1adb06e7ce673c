// TLS at start-up where the listener asks for certificates: who has none of the named authority has no session, by no way.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Stage } from '../live/stage.ts';
import { cancelRequest, frame, WireClient } from '../live/wire-client.ts';
import { TLS } from '../services/places.ts';
import { psql } from '../services/psql.ts';

const ca = readFileSync(`${TLS}/ca.crt`);

describe('client certificates are asked for where `listen.tls.clientCa` is set', () => {
  let stage: Stage;
  beforeAll(async () => {
    const certificates = { cert: `${TLS}/server.crt`, key: `${TLS}/server.key`, clientCa: `${TLS}/ca.crt` };
    stage = await Stage.open({ listen: { tls: certificates } });
  });
  afterAll(() => stage?.close());
  const as = (name: string) => ({
    cert: readFileSync(`${TLS}/${name}.crt`),
    key: readFileSync(`${TLS}/${name}.key`),
  });

  test.each([
    ['after SSLRequest', false],
    ['directly', true],
  ])('TLS %s: with one of that authority, not without, not with another', async (_, direct) => {
    const client = await stage.wire({ ca, direct, ...as('client') });
    expect(await client.query('SELECT 1')).toContain('DataRow 1');
    await expect(stage.wire({ ca, direct })).rejects.toThrow(/ended before|closed|certificate required/i);
    await expect(stage.wire({ ca, direct, ...as('other-client') })).rejects.toThrow(/ended before|closed/);
  });

  test('nobody gets around it without TLS', async () => {
    const refused = await WireClient.refusal(stage.agent);
    expect(refused).toMatchObject({ S: 'FATAL', C: '28000', M: 'connections without TLS are not accepted' });
    const { code, stderr } = await psql(stage.agent, ['-c', 'SELECT 1']);
    expect(code).toBe(2);
    expect(stderr).toContain('connections without TLS are not accepted');
  });

  test('but for a CancelRequest, which most clients send in the clear', async () => {
    const client = await stage.wire({ ca, ...as('client') });
    client.write(frame.query('DROP TABLE users'));
    await stage.held('DROP TABLE users');
    await cancelRequest(stage.agent, client.key!);
    expect((await client.ready())[0]).toMatch(/^ErrorResponse 57014/);
  });
});
