// TLS on both sides: the agent verifies us, we verify the server, and neither falls back to plain text.

import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TLS, tempDir } from '../services/places.ts';
import { psql } from '../services/psql.ts';
import { Stage } from './stage.ts';
import { frame } from './wire-client.ts';

/** libpq takes no key that others may read, and a checkout gives it to everybody. */
function privateCopy(key: string): string {
  const copy = join(tempDir('key'), basename(key));
  writeFileSync(copy, readFileSync(key), { mode: 0o600 });
  return copy;
}

const listen = { tls: { cert: `${TLS}/server.crt`, key: `${TLS}/server.key` } };
const verified = { sslmode: 'verify-full', env: { PGSSLROOTCERT: `${TLS}/ca.crt` } };
const UPSTREAM_TLS = 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()';

describe('a listener with TLS, in front of a server that is verified', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await Stage.open({ listen, target: { tls: 'verify-full', tlsCa: `${TLS}/ca.crt` } });
  });
  afterAll(() => stage?.close());

  test('psql verifies us, and the way to the server is encrypted too', async () => {
    const connection = { ...stage.agent, ...verified };
    expect(await psql(connection, ['-c', UPSTREAM_TLS])).toEqual({ code: 0, stdout: 't\n', stderr: '' });
    expect((await psql(connection, ['-c', '\\conninfo'])).stdout).toContain('SSL connection');
  });

  test('an authority that did not sign our certificate makes psql refuse', async () => {
    const connection = { ...stage.agent, ...verified, env: { PGSSLROOTCERT: `${TLS}/other-ca.crt` } };
    const { code, stderr } = await psql(connection, ['-c', 'SELECT 1']);
    expect(code).toBe(2);
    expect(stderr).toContain('certificate verify failed');
  });

  test('holds work as without', async () => {
    const client = await stage.wire({ ca: readFileSync(`${TLS}/ca.crt`) });
    client.write(frame.query('DROP TABLE users'));
    await stage.deny('DROP TABLE users');
    expect(await client.ready()).toEqual([expect.stringContaining('ErrorResponse 42501'), 'ReadyForQuery I']);
  });
});

describe('a server that is not who it should be', () => {
  test.each([
    ['its authority is not ours', { tls: 'verify-full', tlsCa: `${TLS}/other-ca.crt` }],
    [
      'its authority is not ours, and the name does not count',
      { tls: 'verify-ca', tlsCa: `${TLS}/other-ca.crt` },
    ],
  ])('%s: no session, and no word of where it is', async (_, target) => {
    const stage = await Stage.open({ target });
    try {
      const { code, stderr } = await psql(stage.agent, ['-c', 'SELECT 1']);
      expect(code).toBe(2);
      expect(stderr).toContain('the database server cannot be reached');
      expect(stderr).not.toContain(String(stage.database.port));
      expect(stage.database.statements()).toEqual([]);
    } finally {
      await stage.close();
    }
  });
});

test('client certificates: only those of the authority that the config names', async () => {
  const stage = await Stage.open({ listen: { tls: { ...listen.tls, clientCa: `${TLS}/ca.crt` } } });
  try {
    const as = (name: string) => ({
      ...stage.agent,
      sslmode: 'verify-full',
      env: {
        PGSSLROOTCERT: `${TLS}/ca.crt`,
        PGSSLCERT: `${TLS}/${name}.crt`,
        PGSSLKEY: privateCopy(`${TLS}/${name}.key`),
      },
    });
    expect(await psql(as('client'), ['-c', 'SELECT 1'])).toEqual({ code: 0, stdout: '1\n', stderr: '' });
    expect((await psql(as('other-client'), ['-c', 'SELECT 1'])).code).toBe(2);
    expect((await psql({ ...stage.agent, ...verified }, ['-c', 'SELECT 1'])).code).toBe(2);
  } finally {
    await stage.close();
  }
});
