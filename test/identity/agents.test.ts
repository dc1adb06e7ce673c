// How each startup user must log in, and that nobody can tell who exists.
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { mayUse } from '../../src/identity/agent-identity.ts';
import { type AgentOptions, Agents } from '../../src/identity/agents.ts';

const secretOf = (byte: number, iterations = 4096) => ({
  iterations,
  salt: Buffer.alloc(16, byte),
  storedKey: Buffer.alloc(32, byte + 1),
  serverKey: Buffer.alloc(32, byte + 2),
});
const BOT: AgentOptions = {
  name: 'reporting-bot',
  owner: 'Alice@example.com',
  secret: secretOf(1),
  databases: ['shop'],
  groups: ['reports'],
};
const ISSUER = {
  issuer: 'https://idp.example.com',
  audience: 'countersign',
  jwks: 'https://idp.example.com/jwks',
};

const agentsOf = (agents: readonly AgentOptions[], issuers = [] as (typeof ISSUER)[]) =>
  Agents.fromOptions({ agents, issuers, clock: systemClock });
const PLAIN = { encrypted: false };
const TLS = { encrypted: true };

function scramOf(agents: Agents, user: string) {
  const challenge = agents.challengeFor(user, PLAIN);
  if (challenge.method !== 'scram') throw new Error(`expected SCRAM, got ${challenge.method}`);
  return challenge;
}

describe('a configured agent', () => {
  it('does SCRAM with its own secret, with or without TLS and issuers', () => {
    for (const agents of [agentsOf([BOT]), agentsOf([BOT], [ISSUER])]) {
      for (const connection of [PLAIN, TLS]) {
        const challenge = agents.challengeFor('reporting-bot', connection);
        expect(challenge).toMatchObject({
          method: 'scram',
          credential: { secret: BOT.secret, mock: false },
          identity: { agent: 'reporting-bot' },
        });
      }
    }
  });

  it('is known with its owner, and neither decides in any spelling', () => {
    expect(scramOf(agentsOf([BOT]), 'reporting-bot').identity).toEqual({
      agent: 'reporting-bot',
      owner: 'Alice@example.com',
      onBehalfOf: [],
      groups: ['reports'],
      claims: {},
      authenticatedBy: 'scram-sha-256',
      issuer: null,
      requesters: ['reporting-bot', 'Alice@example.com', 'alice@example.com'],
      databases: ['shop'],
      expiresAtMs: null,
    });
  });

  it('may use its databases only', () => {
    const { identity } = scramOf(agentsOf([BOT]), 'reporting-bot');
    expect(mayUse(identity!, 'shop')).toBe(true);
    expect(mayUse(identity!, 'payroll')).toBe(false);
    expect(mayUse({ ...identity!, databases: '*' }, 'payroll')).toBe(true);
  });
});

describe('an unknown user', () => {
  it('gets an exchange that looks real and leads nowhere', () => {
    const challenge = scramOf(agentsOf([BOT]), 'nobody');
    expect(challenge.identity).toBeNull();
    expect(challenge.credential.mock).toBe(true);
    expect(challenge.credential.secret.iterations).toBe(4096);
    expect(challenge.credential.secret.salt).toHaveLength(16);
    expect(challenge.credential.secret.salt.equals(BOT.secret.salt)).toBe(false);
  });

  it('gets the same salt each time, on every node and after a restart; another user gets another', () => {
    const [one, two] = [agentsOf([BOT]), agentsOf([BOT])];
    const salts = [one, one, two].map((agents) =>
      scramOf(agents, 'nobody').credential.secret.salt.toString('hex'),
    );
    expect(new Set(salts).size).toBe(1);
    expect(scramOf(one, 'nobodyelse').credential.secret.salt.toString('hex')).not.toBe(salts[0]);
  });

  it('gets a salt that cannot be computed without the secrets', () => {
    const other = agentsOf([{ ...BOT, secret: { ...BOT.secret, serverKey: Buffer.alloc(32, 99) } }]);
    const salt = (agents: Agents) => scramOf(agents, 'nobody').credential.secret.salt.toString('hex');
    expect(salt(other)).not.toBe(salt(agentsOf([BOT])));
    expect(salt(agentsOf([]))).not.toBe(salt(agentsOf([])));
  });

  it('is as likely as a known one to show each iteration count in use', () => {
    const agents = agentsOf([BOT, { ...BOT, name: 'other-bot', secret: secretOf(9, 20_000) }]);
    const seen = new Set(
      Array.from({ length: 64 }, (_, i) => scramOf(agents, `nobody${i}`).credential.secret.iterations),
    );
    expect(seen).toEqual(new Set([4096, 20_000]));
  });

  it('shows a salt as long as the real ones', () => {
    const agents = agentsOf([{ ...BOT, secret: { ...BOT.secret, salt: Buffer.alloc(40, 1) } }]);
    expect(scramOf(agents, 'nobody').credential.secret.salt).toHaveLength(40);
  });
});

describe('with issuers', () => {
  it('any other name logs in with a token, under TLS only', () => {
    const agents = agentsOf([BOT], [ISSUER]);
    expect(agents.challengeFor('someone', TLS)).toEqual({ method: 'jwt' });
    expect(agents.challengeFor('someone', PLAIN)).toMatchObject({ method: 'refused' });
  });

  it('without them, no token is taken', async () => {
    expect(await agentsOf([BOT]).verifyToken('x.y.z')).toMatchObject({ ok: false });
  });
});

describe('config', () => {
  it.each([
    ['a name twice', [BOT, BOT]],
    ['no name', [{ ...BOT, name: '' }]],
    ['a name with a control character', [{ ...BOT, name: 'bot\n' }]],
    ['no owner', [{ ...BOT, owner: '' }]],
  ])('refuses %s', (_what, agents) => {
    expect(() => agentsOf(agents)).toThrow(expect.objectContaining({ code: 'config' }));
  });
});
