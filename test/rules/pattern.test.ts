// Which regular expressions a rule may use: none that an agent's text could make slow.
import { expect, test } from 'vitest';
import { patternFault } from '../../src/rules/pattern.ts';

test.each([
  '^SELECT',
  'a+b*',
  '(foo|bar)baz',
  '(abc)+',
  '[(a+)+]',
  '\\(a+\\)+',
  '(?:x{2})?',
  'x{3,}',
  '(a|b)?',
  '[\\]|(]+',
])('accepts %s', (pattern) => expect(patternFault(pattern)).toBeNull());

test.each(['(a+)+', '((a+))*', '(a|aa)+', '(?:a*)*$', '(a{2,})+', '((a|b)c)*', '(x(a+)y){3}', '(a*){2,}'])(
  'refuses %s',
  (pattern) => expect(patternFault(pattern)).toContain('repeats a group'),
);

test.each(['(', '[', 'a{2,1}', '*'])('refuses %s as none', (pattern) =>
  expect(patternFault(pattern)).toBe('is not a regular expression'),
);
