import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SessionId } from '../../src/base/ids.ts';
import {
  type BindingScope,
  bindingOf,
  encode,
  type Part,
  type StatementBytes,
  statementSha256,
} from '../../src/holds/binding.ts';

const KEY = Buffer.alloc(32, 7);
const bytes = (text: string): Buffer => Buffer.from(text);

const statement: StatementBytes = {
  sql: bytes('DELETE FROM orders WHERE id = $1 AND note = $2'),
  parameterTypes: [23, 25],
  parameterFormats: [0],
  parameterValues: [bytes('1'), null],
};
const scope: BindingScope = {
  agent: 'bot',
  owner: 'owner@example.com',
  onBehalfOf: ['alice@example.com'],
  database: 'shop',
  role: 'app',
  searchPath: '"$user", public',
  rulesHash: 'sha256:00',
  session: 's_0000000000000000' as SessionId,
  nonce: Buffer.alloc(32, 1),
};

const otherStatements: Record<string, Partial<StatementBytes>> = {
  'a literal': { sql: bytes('DELETE FROM orders WHERE id = $1 AND note = $3') },
  'a comment': { sql: bytes('DELETE FROM orders WHERE id = $1 AND note = $2--') },
  'a space': { sql: bytes('DELETE FROM orders WHERE id = $1 AND note = $2 ') },
  case: { sql: bytes('delete FROM orders WHERE id = $1 AND note = $2') },
  'bytes that are no UTF-8': { sql: Buffer.concat([statement.sql, Buffer.from([0xff])]) },
  'other such bytes': { sql: Buffer.concat([statement.sql, Buffer.from([0xfe])]) },
  'a type': { parameterTypes: [20, 25] },
  'one type fewer': { parameterTypes: [23] },
  'a format': { parameterFormats: [1] },
  'formats one by one': { parameterFormats: [0, 0] },
  'a value': { parameterValues: [bytes('2'), null] },
  'an empty value for NULL': { parameterValues: [bytes('1'), bytes('')] },
  'values the other way round': { parameterValues: [null, bytes('1')] },
  'one value fewer': { parameterValues: [bytes('1')] },
};

const otherScopes: Record<string, Partial<BindingScope>> = {
  agent: { agent: 'bot2' },
  owner: { owner: 'bob@example.com' },
  'on behalf of': { onBehalfOf: ['bob@example.com'] },
  'on behalf of nobody': { onBehalfOf: [] },
  'a longer chain': { onBehalfOf: ['alice@example.com', 'bob@example.com'] },
  database: { database: 'shop2' },
  role: { role: 'admin' },
  search_path: { searchPath: 'evil, public' },
  'search_path unknown': { searchPath: null },
  rules: { rulesHash: 'sha256:01' },
  session: { session: 's_0000000000000001' as SessionId },
  'no session': { session: null },
  nonce: { nonce: Buffer.alloc(32, 2) },
  'no nonce': { nonce: null },
};

describe('the statement that a vote names', () => {
  it('is the same for the same bytes', () => {
    expect(statementSha256(statement)).toBe(
      statementSha256({ ...statement, sql: Buffer.from(statement.sql) }),
    );
    expect(statementSha256(statement)).toMatch(/^[0-9a-f]{64}$/);
  });

  it('never changes from release to release: it stands in the log', () => {
    const plain = { sql: bytes('SELECT 1'), parameterTypes: [], parameterFormats: [], parameterValues: [] };
    expect(statementSha256(plain)).toBe('f0b0b9409b7d18539fb6d43b1e80481f9a5bf8e017cf214e4a2835f40eb55603');
  });

  it('changes with everything in it', () => {
    const hashes = Object.values(otherStatements).map((change) =>
      statementSha256({ ...statement, ...change }),
    );
    expect(new Set([statementSha256(statement), ...hashes]).size).toBe(hashes.length + 1);
  });
});

describe('the binding', () => {
  it('is the same for the same request', () => {
    expect(bindingOf(KEY, { ...scope }, { ...statement })).toBe(bindingOf(KEY, scope, statement));
    expect(bindingOf(KEY, scope, statement)).toMatch(/^[0-9a-f]{64}$/);
  });

  it('changes with the statement, the scope and the key', () => {
    const bindings = [
      bindingOf(KEY, scope, statement),
      bindingOf(Buffer.alloc(32, 8), scope, statement),
      ...Object.values(otherStatements).map((change) => bindingOf(KEY, scope, { ...statement, ...change })),
      ...Object.values(otherScopes).map((change) => bindingOf(KEY, { ...scope, ...change }, statement)),
    ];
    expect(new Set(bindings).size).toBe(bindings.length);
  });

  it('does not let text move from one field into the next', () => {
    const one = bindingOf(KEY, { ...scope, agent: 'ab', owner: 'c' }, statement);
    const two = bindingOf(KEY, { ...scope, agent: 'a', owner: 'bc' }, statement);
    expect(one).not.toBe(two);
  });

  it('is made with a real key', () => {
    expect(() => bindingOf(Buffer.alloc(16), scope, statement)).toThrow(RangeError);
  });
});

describe('the encoding', () => {
  // Small alphabets and sizes: collisions, were there any, are among neighbours.
  const { parts } = fc.letrec<{ part: Part; parts: readonly Part[] }>((tie) => ({
    part: fc.oneof(
      { maxDepth: 3 },
      fc.constant(null),
      fc.nat(3),
      fc.string({ unit: fc.constantFrom('a', '\0', '\ud800', '\udc00', '\ufffd'), maxLength: 3 }),
      fc.uint8Array({ max: 4, maxLength: 3 }),
      tie('parts'),
    ),
    parts: fc.array(tie('part'), { maxLength: 4 }),
  }));

  it('can be read back, so no two things share one', () => {
    fc.assert(
      fc.property(parts, (value) => {
        expect(decode(encode('test', value))).toEqual(['test', ...value]);
      }),
      { numRuns: 2_000 },
    );
  });

  it('differs for different things', () => {
    fc.assert(
      fc.property(parts, parts, (one, two) => {
        const same = JSON.stringify(spelled(one)) === JSON.stringify(spelled(two));
        expect(encode('test', one).equals(encode('test', two))).toBe(same);
      }),
      { numRuns: 5_000 },
    );
  });

  it('takes whole numbers only', () => {
    for (const value of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      expect(() => encode('test', [value])).toThrow(RangeError);
    }
  });
});

/** Written from the description of the format, not from the code. */
function decode(encoded: Buffer): Part {
  let at = 0;
  const next = (): Part => {
    const kind = encoded.readUInt8(at);
    const size = Number(encoded.readBigUInt64BE(at + 1));
    at += 9;
    if (kind === 0) return null;
    if (kind === 1) return size;
    if (kind === 4) return Array.from({ length: size }, next);
    const held = encoded.subarray(at, at + size);
    at += size;
    return kind === 2 ? held.toString('utf16le') : new Uint8Array(held);
  };
  const value = next();
  expect(at).toBe(encoded.length);
  return value;
}

/** Tells apart in JSON what JSON does not: strings by code unit, bytes by kind. */
function spelled(part: Part): unknown {
  if (typeof part === 'string')
    return { units: Array.from(part, (_, i) => part.charCodeAt(i)).concat(part.length) };
  if (part instanceof Uint8Array) return { bytes: [...part] };
  return Array.isArray(part) ? part.map(spelled) : part;
}
