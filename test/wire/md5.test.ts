// AuthenticationMD5Password's answer, from a role as PostgreSQL 15 stored it.
import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { md5Password } from '../../src/wire/md5.ts';

it('hashes what the server stored with the salt', () => {
  const stored = '85f21a713f86befbdf0c73acf38211fd'; // role "old", password "old secret"
  const salt = Buffer.from([0xff, 0x00, 0x80, 0x01]);
  const expected = `md5${createHash('md5').update(stored, 'latin1').update(salt).digest('hex')}`;
  expect(md5Password('old', 'old secret', salt)).toBe(expected);
});
