// The search_path as servers report it.
import { expect, test } from 'vitest';
import { schemasOf } from '../../src/gate/search-path.ts';

test.each<[string, readonly string[] | null]>([
  ['"$user", public', ['agent', 'public']],
  ['$user,Public', ['agent', 'public']],
  ['"A b", "say ""x""", c', ['A b', 'say "x"', 'c']],
  ['', []],
  ['""', ['']],
  ['a b', null],
  ['"open', null],
  ['a,', null],
])('%s', (reported, schemas) => {
  expect(schemasOf(reported, 'agent')).toEqual(schemas);
});
