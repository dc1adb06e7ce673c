// The door for everything a caller sends: the value in the shape that was asked for, or `bad_request` naming the place.
import type { z } from 'zod';
import { CountersignError } from '../base/errors.ts';

export function parseInput<Shape extends z.ZodType>(
  where: 'query' | 'body' | 'header',
  shape: Shape,
  value: unknown,
): z.output<Shape> {
  const parsed = shape.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const path = [where, ...(issue?.path ?? [])].join('.');
  throw new CountersignError('bad_request', `${path}: ${issue?.message ?? 'invalid'}`);
}
