// SCRAM secrets in PostgreSQL's own form, and what it makes of passwords that are not ASCII.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { formatScramSecret, makeScramSecret, parseScramSecret } from '../../src/wire/scram-secret.ts';

interface Case {
  readonly what: string;
  readonly password: string;
  readonly secret: string;
}

const { cases } = JSON.parse(
  readFileSync(new URL('../vectors/scram/rolpasswords.json', import.meta.url), 'utf8'),
) as { cases: readonly Case[] };

describe('as PostgreSQL stores it', () => {
  it.each(cases)('$what', async ({ password, secret }) => {
    const parsed = parseScramSecret(secret);
    expect(formatScramSecret(parsed)).toBe(secret);
    expect(formatScramSecret(await makeScramSecret(password, parsed))).toBe(secret);
  });
});

describe('makeScramSecret', () => {
  it('salts anew each time', async () => {
    const [one, two] = [await makeScramSecret('secret'), await makeScramSecret('secret')];
    expect(one.iterations).toBe(4096);
    expect(one.salt).toHaveLength(16);
    expect(one.salt.equals(two.salt)).toBe(false);
    expect(one.storedKey.equals(two.storedKey)).toBe(false);
  });
});

describe('parseScramSecret refuses', () => {
  const key = Buffer.alloc(32, 1).toString('base64');
  const good = `SCRAM-SHA-256$4096:AAAA$${key}:${key}`;

  it.each([
    ['nothing', ''],
    ['a password', 'hunter2'],
    ['an md5 password', 'md585f21a713f86befbdf0c73acf38211fd'],
    ['another mechanism', good.replace('256', '512')],
    ['no iterations', good.replace('4096', '')],
    ['zero iterations', good.replace('4096', '0')],
    ['too many iterations', good.replace('4096', '99999999')],
    ['no salt', good.replace('AAAA', '')],
    ['salt that is not base64', good.replace('AAAA', 'A===')],
    ['a short key', good.replace(key, 'AAAA')],
    ['key that is not canonical base64', good.replace(/=$/, '')],
    ['something behind it', `${good} `],
  ])('%s', (_what, text) => {
    let thrown: unknown;
    try {
      parseScramSecret(text);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: 'config' });
    // Neither message nor hint repeats what may be a password.
    if (text !== '') expect(JSON.stringify({ ...(thrown as object), m: String(thrown) })).not.toContain(text);
  });

  it('nothing that is right', () => {
    expect(parseScramSecret(good).iterations).toBe(4096);
  });
});
