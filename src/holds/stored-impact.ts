// The impact in a hold as it lies in Redis: the same suspicion as stored.ts, for the part that an approver reads first.
import { z } from 'zod';
import { STATEMENT_CLASSES } from '../sql/facts.ts';
import type { Impact } from '../sql/impact.ts';

const count = z.number().nonnegative();
const texts = z.array(z.string());

const LOCK_MODES = [
  'ACCESS SHARE',
  'ROW SHARE',
  'ROW EXCLUSIVE',
  'SHARE UPDATE EXCLUSIVE',
  'SHARE',
  'SHARE ROW EXCLUSIVE',
  'EXCLUSIVE',
  'ACCESS EXCLUSIVE',
] as const;

export const impactShape: z.ZodType<Impact> = z.strictObject({
  tag: z.string(),
  rows: z
    .discriminatedUnion('known', [
      z.strictObject({
        known: z.literal(true),
        writes: z.array(
          z.strictObject({
            kind: z.enum(['insert', 'update', 'delete', 'merge']),
            relation: z.string(),
            rows: count,
          }),
        ),
        scans: z.array(z.strictObject({ relation: z.string(), scan: z.string(), rows: count })),
        returns: count,
        gathers: count,
        generic: z.boolean(),
      }),
      z.strictObject({ known: z.literal(false), why: z.string() }),
    ])
    .nullable(),
  relations: z.array(
    z.strictObject({ relation: z.string(), kind: z.string(), bytes: count, rows: count.nullable() }),
  ),
  locks: z.array(
    z.strictObject({
      relation: z.string(),
      mode: z.enum(LOCK_MODES),
      rewrites: z.boolean().nullable(),
      blockers: count.nullable(),
      waiting: count.nullable(),
    }),
  ),
  cascades: z.array(
    z.strictObject({
      constraint: z.string(),
      relation: z.string(),
      action: z.string(),
      rows: count.nullable(),
    }),
  ),
  triggers: z.array(z.strictObject({ trigger: z.string(), relation: z.string(), calls: z.string() })),
  dependents: texts,
  body: z
    .strictObject({
      unread: z.string().nullable(),
      cut: z.boolean(),
      statements: z.array(
        z.strictObject({
          line: count,
          text: z.string(),
          dynamic: z.boolean(),
          tags: texts,
          classes: z.array(z.enum(STATEMENT_CLASSES)),
        }),
      ),
    })
    .nullable(),
  unknown: texts,
});
