// Deciding: one person's vote on exactly the statement and version they were shown. Who may is the store's to say.
// Order: log writable? → applied in the store → written to the log → answered.
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { Clock } from '../base/clock.ts';
import { CountersignError } from '../base/errors.ts';
import type { HoldId } from '../base/ids.ts';
import type { HoldChange, HoldStore } from '../holds/hold.ts';
import { type Approver, approverOf } from './authenticate.ts';
import { documentAt, readHoldId } from './holds.ts';
import { IdempotentAnswers } from './idempotency.ts';
import { parseInput } from './input.ts';
import { type Answer, PROBLEM_TYPE, problem } from './problem.ts';

// Strict: a member that we do not know may be one whose author relies on it being obeyed.
const voteBody = z.strictObject({
  decision: z.enum(['approve', 'deny']),
  reason: z
    .string()
    .trim()
    .max(2000)
    .nullish()
    .transform((reason) => reason || null),
  statement_sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hexadecimal digits'),
  version: z.number().int().min(0),
});

/** What a caller may say of itself. The console and chat are set by our own code, not by a header. */
const channel = z.enum(['api', 'cli']).default('api');

type Ballot = z.output<typeof voteBody> & { readonly channel: z.output<typeof channel> };

interface VoteRoutes {
  readonly store: HoldStore;
  readonly publicUrl: string;
  readonly clock: Clock;
  /** Can the log take a record now? */
  readonly logReady: () => boolean;
  /** Resolves when the change is durably in the log. */
  readonly recordChange: (change: HoldChange) => Promise<void>;
  readonly logError: (error: unknown) => void;
}

export function voteRoutes(app: FastifyInstance, options: VoteRoutes): void {
  const answers = new IdempotentAnswers();

  app.post('/v1/holds/:id/votes', async (request, reply) => {
    const approver = approverOf(request);
    const id = readHoldId(request.params);
    const ballot: Ballot = {
      ...parseInput('body', voteBody, request.body),
      channel: parseInput('header', channel, request.headers['x-countersign-channel']),
    };
    const key = request.headers['idempotency-key'];
    const answer = await answers.once(
      approver.name,
      typeof key === 'string' ? key : undefined,
      [id, ballot],
      () => castVote(options, id, approver, ballot),
    );
    if (answer.status >= 400) reply.type(PROBLEM_TYPE);
    return reply.code(answer.status).send(answer.body);
  });
}

async function castVote(
  options: VoteRoutes,
  id: HoldId,
  approver: Approver,
  ballot: Ballot,
): Promise<Answer> {
  // Asked before anything changes: a decision that cannot be written down must not be taken.
  if (!options.logReady()) {
    throw new CountersignError('log_unwritable', 'the log cannot be written, so nothing can be decided now');
  }
  const result = await options.store.apply(id, {
    type: 'vote',
    vote: {
      voter: approver.name,
      groups: approver.groups,
      decision: ballot.decision,
      reason: ballot.reason,
      atMs: options.clock.nowMs(),
      channel: ballot.channel,
    },
    statementSha256: ballot.statement_sha256,
    version: ballot.version,
  });
  if (!result.ok) {
    const { hold } = result;
    // Too late is worth another word than decided: nobody said no, and asking again may help.
    const tooLate = result.refusal === 'decided' && hold?.state === 'expired';
    return problem(
      tooLate ? 'expired' : result.refusal,
      tooLate ? 'nobody decided in time; the hold has expired' : result.message,
      hold === null ? {} : { hold: { id, state: hold.state, version: hold.version } },
    );
  }
  try {
    await options.recordChange({ hold: result.hold, event: result.event });
  } catch (error) {
    // The vote stands in the store and cannot be taken back there; say so rather than let the caller think it did not.
    options.logError(error);
    return problem(
      'log_unwritable',
      'the vote was counted, but it could not be written to the log; look at the hold before voting again',
      { hold: { id, state: result.hold.state, version: result.hold.version } },
    );
  }
  return { status: 200, body: { ...documentAt(options.publicUrl, result.hold) } };
}
