// SCRAM-SHA-256, both sides: against the RFC's example, against what psql and PostgreSQL said to each other, and
// against what neither would say.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CountersignError, type ErrorCode } from '../../src/base/errors.ts';
import {
  type ServerCredential,
  serverFinal,
  serverFirst,
  startServerExchange,
} from '../../src/wire/scram.ts';
import { clientFinal, startClientExchange, verifyServerFinal } from '../../src/wire/scram-client.ts';
import { formatScramSecret, makeScramSecret, parseScramSecret } from '../../src/wire/scram-secret.ts';

interface Exchange {
  readonly what: string;
  readonly password: string;
  readonly clientNonce: string;
  readonly serverNonce: string;
  readonly secret?: string;
  readonly clientFirst: string;
  readonly serverFirst: string;
  readonly clientFinal: string;
  readonly serverFinal: string;
}

const { exchanges } = JSON.parse(
  readFileSync(new URL('../vectors/scram/exchanges.json', import.meta.url), 'utf8'),
) as { exchanges: readonly Exchange[] };

const bytes = (text: string) => Buffer.from(text, 'utf8');
const codeOf = (act: () => unknown): ErrorCode | null => {
  try {
    act();
    return null;
  } catch (error) {
    if (error instanceof CountersignError) return error.code;
    throw error;
  }
};

/** The secret that the exchange itself shows the salt of. */
async function secretOf(exchange: Exchange) {
  const salt = Buffer.from(/s=([^,]+)/.exec(exchange.serverFirst)?.[1] ?? '', 'base64');
  return makeScramSecret(exchange.password, { salt, iterations: 4096 });
}

async function started(exchange: Exchange, mock = false) {
  const credential: ServerCredential = { secret: await secretOf(exchange), mock };
  return { step: 'started', credential, nonce: exchange.serverNonce } as const;
}

describe.each(exchanges)('$what', (exchange) => {
  it('makes the secret that PostgreSQL stored', async () => {
    const secret = await secretOf(exchange);
    if (exchange.secret !== undefined) expect(formatScramSecret(secret)).toBe(exchange.secret);
    expect(parseScramSecret(formatScramSecret(secret))).toEqual(secret);
  });

  it('says what the server said', async () => {
    const challenged = serverFirst(await started(exchange), bytes(exchange.clientFirst));
    expect(challenged.message).toBe(exchange.serverFirst);
    expect(serverFinal(challenged.state, bytes(exchange.clientFinal))).toEqual({
      ok: true,
      message: exchange.serverFinal,
    });
  });

  it('says what the client said', async () => {
    const bare = exchange.clientFirst.slice('n,,'.length);
    const proved = await clientFinal(
      { step: 'started', nonce: exchange.clientNonce, bare, message: exchange.clientFirst },
      exchange.password,
      bytes(exchange.serverFirst),
    );
    expect(proved.message).toBe(exchange.clientFinal);
    expect(() => verifyServerFinal(proved, bytes(exchange.serverFinal))).not.toThrow();
  });

  it('refuses the right proof of a user who does not exist', async () => {
    const { state } = serverFirst(await started(exchange, true), bytes(exchange.clientFirst));
    expect(serverFinal(state, bytes(exchange.clientFinal))).toEqual({ ok: false });
  });

  it('refuses the same exchange played back', async () => {
    const other = { ...(await started(exchange)), nonce: 'anotherNonceOfTheServers' };
    const { state } = serverFirst(other, bytes(exchange.clientFirst));
    expect(codeOf(() => serverFinal(state, bytes(exchange.clientFinal)))).toBe('protocol_violation');
  });
});

const NONCE = Buffer.alloc(18, 7);

async function login(
  serverPassword: string,
  clientPassword: string,
  clientFirstAs = (message: string) => message,
) {
  const secret = await makeScramSecret(serverPassword, { iterations: 1 });
  const client = startClientExchange(Buffer.alloc(18, 1));
  const challenged = serverFirst(
    startServerExchange({ secret, mock: false }, NONCE),
    bytes(clientFirstAs(client.message)),
  );
  const proved = await clientFinal(client, clientPassword, bytes(challenged.message));
  return { client, challenged, proved };
}

describe('server', () => {
  it('lets in who has the password, and nobody else', async () => {
    const right = await login('secret', 'secret');
    expect(serverFinal(right.challenged.state, bytes(right.proved.message)).ok).toBe(true);
    const wrong = await login('secret', 'Secret');
    expect(serverFinal(wrong.challenged.state, bytes(wrong.proved.message))).toEqual({ ok: false });
  });

  it('takes "y,," from a client that could bind the channel, and wants it repeated', async () => {
    const { challenged, proved } = await login('secret', 'secret', (message) =>
      message.replace('n,,', 'y,,'),
    );
    expect(codeOf(() => serverFinal(challenged.state, bytes(proved.message)))).toBe('protocol_violation');
    // With `eSws` the proof is over other words, so it fails as a proof and no longer as a message.
    const repeated = proved.message.replace('c=biws', 'c=eSws');
    expect(serverFinal(challenged.state, bytes(repeated))).toEqual({ ok: false });
  });

  it.each<[string, string, ErrorCode]>([
    ['empty', '', 'protocol_violation'],
    ['no GS2 header', 'n=,r=abc', 'protocol_violation'],
    ['unknown flag', 'x,,n=,r=abc', 'protocol_violation'],
    ['channel binding', 'p=tls-server-end-point,,n=,r=abc', 'feature_not_supported'],
    ['authorization identity', 'n,a=alice,n=,r=abc', 'feature_not_supported'],
    ['mandatory extension', 'n,,m=x,n=,r=abc', 'feature_not_supported'],
    ['no user', 'n,,r=abc', 'protocol_violation'],
    ['no nonce', 'n,,n=', 'protocol_violation'],
    ['empty nonce', 'n,,n=,r=', 'protocol_violation'],
    ['nonce with a space', 'n,,n=,r=a c', 'protocol_violation'],
    ['nonce that is not ASCII', 'n,,n=,r=é', 'protocol_violation'],
    ['nameless attribute', 'n,,n=,r=abc,', 'protocol_violation'],
    ['NUL', 'n,,n=\0,r=abc', 'protocol_violation'],
    ['too long', `n,,n=,r=${'a'.repeat(1024)}`, 'protocol_violation'],
  ])('refuses a first message: %s', async (_what, message, code) => {
    const secret = await makeScramSecret('secret', { iterations: 1 });
    const start = startServerExchange({ secret, mock: false }, NONCE);
    expect(codeOf(() => serverFirst(start, bytes(message)))).toBe(code);
  });

  it('refuses a first message that is not UTF-8', async () => {
    const secret = await makeScramSecret('secret', { iterations: 1 });
    const start = startServerExchange({ secret, mock: false }, NONCE);
    const message = Buffer.concat([bytes('n,,n='), Buffer.from([0xff]), bytes(',r=abc')]);
    expect(codeOf(() => serverFirst(start, message))).toBe('protocol_violation');
  });

  it.each<[string, (message: string) => string, ErrorCode]>([
    ['empty', () => '', 'protocol_violation'],
    ['no proof', (m) => m.replace(/,p=.*/, ''), 'protocol_violation'],
    ['proof not last', (m) => `${m},x=1`, 'protocol_violation'],
    ['short proof', (m) => m.replace(/,p=.*/, ',p=AAAA'), 'protocol_violation'],
    ['proof that is not base64', (m) => m.replace(/,p=.*/, `,p=${'!'.repeat(44)}`), 'protocol_violation'],
    ['other binding', (m) => m.replace('c=biws', 'c=eSws'), 'protocol_violation'],
    ['other nonce', (m) => m.replace(',r=', ',r=x'), 'protocol_violation'],
    ['the nonce cut short', (m) => m.replace(/,r=(.*).,p=/, ',r=$1,p='), 'protocol_violation'],
    ['mandatory extension', (m) => m.replace(',p=', ',m=1,p='), 'feature_not_supported'],
    ['order', (m) => m.replace(/^(c=.*),(r=.*),p=/, '$2,$1,p='), 'protocol_violation'],
  ])('refuses a final message: %s', async (_what, change, code) => {
    const { challenged, proved } = await login('secret', 'secret');
    const changed = change(proved.message);
    expect(changed).not.toBe(proved.message);
    expect(codeOf(() => serverFinal(challenged.state, bytes(changed)))).toBe(code);
  });

  it('signs an optional extension with the rest', async () => {
    const { challenged, proved } = await login('secret', 'secret');
    expect(serverFinal(challenged.state, bytes(proved.message.replace(',p=', ',x=1,p=')))).toEqual({
      ok: false,
    });
  });

  it('throws nothing but CountersignError, whatever comes', async () => {
    const { challenged } = await login('secret', 'secret');
    const secret = await makeScramSecret('secret', { iterations: 1 });
    const start = startServerExchange({ secret, mock: false }, NONCE);
    const part = fc.constantFrom(
      'n',
      'y',
      'p=',
      ',',
      'c=biws',
      'r=abc',
      'm=',
      'n=',
      'p=AAAA',
      '=',
      'é',
      '\0',
    );
    const message = fc.oneof(
      fc.array(part, { maxLength: 12 }).map((parts) => bytes(parts.join(''))),
      fc.uint8Array({ maxLength: 64 }).map((array) => Buffer.from(array)),
    );
    fc.assert(
      fc.property(message, (input) => {
        codeOf(() => serverFirst(start, input));
        let ok = false;
        codeOf(() => {
          ok = serverFinal(challenged.state, input).ok;
        });
        expect(ok).toBe(false);
      }),
    );
  });
});

describe('client', () => {
  it.each<[string, (message: string) => string]>([
    ['a nonce that is not an answer to ours', (m) => m.replace('r=', 'r=x')],
    ['only our own nonce', (m) => m.replace(/^r=[^,]*/, `r=${Buffer.alloc(18, 1).toString('base64')}`)],
    ['no salt', (m) => m.replace(/s=[^,]*/, 's=')],
    ['salt that is not base64', (m) => m.replace(/s=[^,]*/, 's=!!!!')],
    ['no iterations', (m) => m.replace(/,i=.*/, '')],
    ['zero iterations', (m) => m.replace(/,i=.*/, ',i=0')],
    ['iterations for an hour', (m) => m.replace(/,i=.*/, ',i=2000000000')],
    ['mandatory extension', (m) => `m=x,${m}`],
    ['garbage', () => 'what?'],
  ])('turns away a server with %s', async (_what, change) => {
    const { client, challenged } = await login('secret', 'secret');
    await expect(clientFinal(client, 'secret', bytes(change(challenged.message)))).rejects.toMatchObject({
      code: 'upstream_unavailable',
    });
  });

  it('turns away a server that does not know the password', async () => {
    const { challenged, proved } = await login('secret', 'secret');
    const final = serverFinal(challenged.state, bytes(proved.message));
    if (!final.ok) throw new Error('the login should have succeeded');
    const tampered = final.message.replace(/.=$/, (end) => (end === 'A=' ? 'E=' : 'A='));
    for (const message of [tampered, 'v=AAAA', 'v=', 'e=invalid-proof', '', 'x']) {
      expect(codeOf(() => verifyServerFinal(proved, bytes(message)))).toBe('upstream_unavailable');
    }
    expect(codeOf(() => verifyServerFinal(proved, bytes(final.message)))).toBeNull();
  });
});
