import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalAgain, canonicalJson, type Json } from '../../src/audit/canonical.ts';

describe('canonical JSON', () => {
  it.each([
    [{ b: 1, a: [true, null, 'x'] }, '{"a":[true,null,"x"],"b":1}'],
    // RFC 8785 3.2.3: by UTF-16 code unit, where U+1F600 (a surrogate pair) stands before U+FB33.
    [
      { '€': 1, '\r': 2, '\ufb33': 3, '1': 4, '😀': 5, '\u0080': 6, ö: 7 },
      '{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}',
    ],
    [{ '10': 1, '9': 2 }, '{"10":1,"9":2}'],
    ['\u0007"\\/\u001f', '"\\u0007\\"\\\\/\\u001f"'],
  ] as [Json, string][])('of %j', (value, text) => {
    expect(canonicalJson(value)).toBe(text);
  });

  it.each([Number.NaN, 0.5, Number.POSITIVE_INFINITY, 2 ** 53])('refuses the number %s', (number) => {
    expect(() => canonicalJson({ number })).toThrow(expect.objectContaining({ code: 'internal' }));
  });

  it('has one text for one value, by the quick way and by the slow', () => {
    const { value } = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.maxSafeInteger(),
        fc.string({ unit: 'binary' }),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie('value'), { maxLength: 4 }),
        // Keys like integers are those that the language puts first.
        fc.dictionary(fc.oneof(fc.string({ unit: 'binary' }), fc.nat().map(String)), tie('value'), {
          maxKeys: 5,
        }),
      ),
    }));
    fc.assert(
      fc.property(value, (v) => {
        const parsed = JSON.parse(JSON.stringify(v)) as Json;
        expect(canonicalAgain(parsed)).toBe(canonicalJson(parsed));
        expect(canonicalAgain(JSON.parse(canonicalJson(parsed)) as Json)).toBe(canonicalJson(parsed));
      }),
    );
  });

  it.each(['{"b":1,"a":2}', '{"a":1,"a":2}', '{"a": 1}', '{"a":1.0}', '{"a":"\\u0041"}', '{"9":1,"10":2}'])(
    'is not %s',
    (text) => {
      expect(canonicalAgain(JSON.parse(text) as Json)).not.toBe(text);
    },
  );
});
