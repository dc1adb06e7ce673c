// Strict zod schemas for files that operators write, and zod's complaints turned into problems with a place and in
// words that say what to write instead.
import { z } from 'zod';
import { suggestion } from './nearest.ts';
import type { Problem } from './problem.ts';
import { parseDurationMs, parseSizeBytes } from './quantity.ts';
import type { Path, YamlFile } from './yaml.ts';

/** An object whose unknown keys are errors that name the known ones. zod's message is our only way to carry them. */
export function strict<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: (issue) => (issue.code === 'unrecognized_keys' ? Object.keys(shape).join(' ') : undefined),
  });
}

export const strings = z.array(z.string().min(1));

/** `${PORT}` is always a string, so numbers and booleans may be written as one. */
const loose = (value: unknown): unknown => {
  if (typeof value !== 'string') return value;
  if (value === 'true' || value === 'false') return value === 'true';
  return /^\d{1,15}$/.test(value) ? Number(value) : value;
};

export const integer = (min: number, max: number) => z.preprocess(loose, z.int().min(min).max(max));
export const flag = z.preprocess(loose, z.boolean());

// What a pattern of JSON Schema can say of it, for editors; the transform says the rest.
export const duration = z
  .string('must be a duration such as 300ms, 45s or 30m')
  .meta({ pattern: '^[0-9]{1,15}(ms|s|m|h|d)$', examples: ['300ms', '45s', '30m'] })
  .transform((text, context) => {
    const ms = parseDurationMs(text);
    if (ms === null) {
      context.addIssue('must be a duration such as 300ms, 45s or 30m, more than nothing and at most 24d');
      return z.NEVER;
    }
    return ms;
  });

export const size = z
  .string('must be a size such as 512B, 64KiB or 10MiB')
  .meta({ pattern: '^[0-9]{1,15}(B|KiB|MiB|GiB)$', examples: ['512B', '64KiB', '10MiB'] })
  .transform((text, context) => {
    const bytes = parseSizeBytes(text);
    if (bytes === null) {
      context.addIssue('must be a size such as 512B, 64KiB or 10MiB, more than nothing');
      return z.NEVER;
    }
    return bytes;
  });

/** `agents[0].scram`, as in the file. */
export function formatPath(path: Path): string {
  return path
    .map((step, i) => (typeof step === 'number' ? `[${step}]` : `${i === 0 ? '' : '.'}${String(step)}`))
    .join('');
}

const PLAIN_TYPES: Readonly<Record<string, string>> = {
  object: 'a mapping',
  record: 'a mapping',
  array: 'a list',
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
};

function describe(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type': {
      if (issue.message.startsWith('must ')) return issue.message;
      const wanted = PLAIN_TYPES[issue.expected] ?? issue.expected;
      if (issue.message.endsWith('received undefined')) return `is missing: must be ${wanted}`;
      if (issue.message.endsWith('received null')) return `has no value: must be ${wanted}`;
      return issue.expected === 'string' ? 'must be a string: write it in quotes' : `must be ${wanted}`;
    }
    case 'invalid_value':
      return `must be ${issue.values.map(String).join(' or ')}`;
    case 'too_big':
      return issue.origin === 'string'
        ? `is longer than ${issue.maximum}`
        : `must be at most ${issue.maximum}`;
    case 'too_small':
      if (issue.origin === 'string' || issue.origin === 'array') return 'must not be empty';
      return `must be at least ${issue.minimum}`;
    case 'invalid_key':
      return 'is not a name that can be used here';
    case 'invalid_union': {
      const options = 'options' in issue && Array.isArray(issue.options) ? issue.options.map(String) : [];
      if (options.length > 0) return `must be ${options.join(' or ')}`;
      const parts = issue.errors.flat().map(describe);
      return [...new Set(parts)].join(', or ');
    }
    default:
      return issue.message;
  }
}

/** Every complaint of `error` as a problem of `source`. */
export function problemsOf(error: z.ZodError, source: YamlFile): Problem[] {
  return error.issues.flatMap((issue): Problem[] => {
    if (issue.code === 'unrecognized_keys') {
      const known = issue.message.split(' ');
      return issue.keys.map((key) => {
        const where = issue.path.length === 0 ? '' : `${formatPath(issue.path)}: `;
        return source.problemWithKey(
          [...issue.path, key],
          `${where}unknown key "${key}"${suggestion(key, known)}`,
        );
      });
    }
    const where = issue.path.length === 0 ? '' : `${formatPath(issue.path)} `;
    return [source.problem(issue.path, `${where}${describe(issue)}`)];
  });
}

/** In the order in which a reader of the files meets them. */
export function inOrder(problems: readonly Problem[]): Problem[] {
  const files = [...new Set(problems.map((problem) => problem.file))];
  return problems.toSorted(
    (a, b) =>
      files.indexOf(a.file) - files.indexOf(b.file) ||
      (a.line ?? 0) - (b.line ?? 0) ||
      (a.column ?? 0) - (b.column ?? 0),
  );
}
