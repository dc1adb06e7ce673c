// Approvers by bearer token.
import { describe, expect, it } from 'vitest';
import { Approvers } from '../../src/identity/approvers.ts';
import { formatTokenHash, newBearerToken } from '../../src/identity/bearer-token.ts';

const [aliceToken, bobToken] = [newBearerToken(), newBearerToken()];
const alice = { name: 'alice@example.com', groups: ['dba'], token: formatTokenHash(aliceToken) };
const bob = { name: 'bob@example.com', groups: [], token: formatTokenHash(bobToken) };

describe('authenticate', () => {
  const approvers = Approvers.fromOptions([alice, bob]);

  it('finds whose token it is', () => {
    expect(approvers.authenticate(aliceToken)).toEqual({
      name: 'alice@example.com',
      groups: ['dba'],
      channelDefault: 'api',
    });
    expect(approvers.authenticate(bobToken)?.name).toBe('bob@example.com');
  });

  it.each([
    ['empty', ''],
    ['another token', newBearerToken()],
    ['the hash itself', alice.token],
    ['cut short', aliceToken.slice(0, -1)],
    ['with a space', `${aliceToken} `],
    ['in another case', aliceToken.toUpperCase()],
  ])('knows nobody by a token that is %s', (_what, token) => {
    expect(approvers.authenticate(token)).toBeNull();
  });

  it('knows nobody where nobody is configured', () => {
    expect(Approvers.fromOptions([]).authenticate(aliceToken)).toBeNull();
  });

  it('takes each of the tokens of one person', () => {
    const both = Approvers.fromOptions([alice, { ...alice, token: bob.token }]);
    expect(both.authenticate(aliceToken)).toEqual(both.authenticate(bobToken));
  });

  it('takes a token that something else made', () => {
    const made = 'f81d4fae7dec11d0a76500a0c91e6bf6';
    const directory = Approvers.fromOptions([{ ...alice, token: formatTokenHash(made) }]);
    expect(directory.authenticate(made)?.name).toBe(alice.name);
  });

  it('takes no short secret, even if somebody hashed it', () => {
    const weak = Approvers.fromOptions([{ ...alice, token: formatTokenHash('hunter2') }]);
    expect(weak.authenticate('hunter2')).toBeNull();
  });
});

describe('config', () => {
  it.each([
    ['no hash', [{ ...alice, token: aliceToken }]],
    ['a short hash', [{ ...alice, token: 'sha256:abcd' }]],
    ['one token for two people', [alice, { ...bob, token: alice.token }]],
    ['two sets of groups for one person', [alice, { ...bob, name: alice.name }]],
    ['no name', [{ ...alice, name: ' ' }]],
  ])('refuses %s', (_what, options) => {
    let thrown: unknown;
    try {
      Approvers.fromOptions(options);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: 'config' });
    expect(String(thrown)).not.toContain(aliceToken);
  });
});

it('tokens are new each time', () => {
  expect(aliceToken).toMatch(/^cs_[A-Za-z0-9_-]{43}$/);
  expect(aliceToken).not.toBe(bobToken);
});
