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
    .refine((name) => name !== DEFAULT_RULE, 'must not be "default": that is what no rule matching is called')
    .describe('In records and error messages. Unique over all packs.'),
  description: text.optional(),
  when: z
    .string('must be a CEL expression in quotes')
    .min(1)
    .max(10_000)
    .describe('CEL over statement, session, claimed and time. In quotes where it begins with one.'),
  action: action.describe(
    'The strictest action of all rules that match is taken: deny, then hold, then allow.',
  ),
  /** false: observed only; see evaluate.ts. */
  enforce: flag.default(true).describe('false: only recorded, as what would have been done.'),
  approvals: strict({
    count: integer(1, 20).default(1).describe('How many distinct people must say yes.'),
    groups: strings.default([]).describe('Any of these groups may vote; empty: any approver.'),
    reason: z.enum(['required', 'optional']).default('optional'),
  }).optional(),
  budgets: strict({
    statementRows: integer(1, Number.MAX_SAFE_INTEGER).optional(),
    statementBytes: size.optional(),
  })
    .optional()
    .describe('What a statement may send before a person is asked, in place of what the configuration says.'),
  record: z
    .enum(['full', 'digest'])
    .default('full')
    .describe('digest: text and values of the statement are written nowhere, only committed to.'),
  message: text.optional().describe('Shown to the agent and the approver.'),
  contact: text.optional().describe('Whom to ask; shown to the agent and the approver.'),
});

export const packSchema = strict({
  version: z.literal(1),
  description: text.optional(),
  /** Files beside this one whose rules become part of this pack. */
  include: strings.default([]).describe('Files beside this one whose rules become part of this pack.'),
  default: action.optional().describe('What is done when no rule matches; hold where it is not said.'),
  enforce: flag.default(true),
  rules: z.array(ruleSchema).default([]),
});

export type RuleText = z.infer<typeof ruleSchema>;
export type PackText = z.infer<typeof packSchema>;
