// The shape of a rule file (a pack), and nothing of its meaning: load.ts compiles it, evaluate.ts judges by it.
import { z } from 'zod';
import { flag, integer, size, strict, strings } from '../base/schema.ts';

const action = z.enum(['allow', 'hold', 'deny']);
const text = z.string().min(1).max(2000);

/** In records and error messages, so plain: no spaces, no surprises. */
const RULE_NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/;
/** What a verdict is said to come from when no rule matched. */
export const DEFAULT_RULE = 'default';

const ruleSchema = strict({
  name: z
    .string()
    .regex(RULE_NAME, 'must be 1 to 63 lower-case letters, digits, - and _')
    .refine(
      (name) => name !== DEFAULT_RULE,
      'must not be "default": that is what no rule matching is called',
    ),
  description: text.optional(),
  when: z.string('must be a CEL expression in quotes').min(1).max(10_000),
  action,
  /** false: observed only; see evaluate.ts. */
  enforce: flag.default(true),
  approvals: strict({
    count: integer(1, 20).default(1),
    groups: strings.default([]),
    reason: z.enum(['required', 'optional']).default('optional'),
  }).optional(),
  budgets: strict({
    statementRows: integer(1, Number.MAX_SAFE_INTEGER).optional(),
    statementBytes: size.optional(),
  }).optional(),
  record: z.enum(['full', 'digest']).default('full'),
  message: text.optional(),
  contact: text.optional(),
});

export const packSchema = strict({
  version: z.literal(1),
  description: text.optional(),
  /** Files beside this one whose rules become part of this pack. */
  include: strings.default([]),
  default: action.optional(),
  enforce: flag.default(true),
  rules: z.array(ruleSchema).default([]),
});

export type RuleText = z.infer<typeof ruleSchema>;
export type PackText = z.infer<typeof packSchema>;
