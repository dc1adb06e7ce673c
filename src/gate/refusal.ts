// How a statement is refused. The refused frame is replaced by one that must fail, so that the server itself fails the
// transaction, skips to Sync and reports the true status; its one error is then rewritten into ours. This file makes
// the frames that must fail and the words of the refusals.
import { serialize } from 'pg-protocol';
import { CountersignError } from '../base/errors.ts';
import type { Hold } from '../holds/hold.ts';
import type { Verdict } from '../rules/verdict.ts';
import { Frame } from '../wire/frames.ts';
import { FRONTEND } from '../wire/frontend.ts';
import type { Decision } from './waiting.ts';
import type { Work } from './work.ts';

const MUST_FAIL = {
  // 42601, as below, and under a name, so that the unnamed statement stays. Not an Execute of a portal that does not
  // exist: whoever came to know its name could make it.
  extended: serialize.parse({ name: 'countersign_refused', text: 'countersign_refused' }),
  // 42601: raw parsing comes before anything else. Nothing of the refused text is in it.
  simple: serialize.query('countersign_refused'),
  // 42883: no function has OID 0.
  'function call': Buffer.from([FRONTEND.FunctionCall, 0, 0, 0, 14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
} as const satisfies Record<Work['protocol'], Buffer>;

/** A frame of the same protocol that the server cannot execute. */
export function mustFail(protocol: Work['protocol']): Frame {
  return new Frame(MUST_FAIL[protocol]);
}

/** Why a statement does not go to the server: the word for the log and the error for the client. */
export interface Refusal {
  readonly because: 'denied' | 'expired' | 'withdrawn' | 'unavailable' | 'doomed' | 'limit';
  readonly error: CountersignError;
}

export function deniedByRule(verdict: Verdict): Refusal {
  return {
    because: 'denied',
    error: new CountersignError('denied', withReason(`denied by rule "${verdict.rule}"`, verdict.message), {
      detail: JSON.stringify({ status: 'denied', by: 'rule', rule: verdict.rule }),
      hint: verdict.contact === null ? 'Sending it again will not help.' : `Ask ${verdict.contact}.`,
    }),
  };
}

/** The refusal for a hold that ended in anything but an approval. */
export function endedWithout(hold: Hold, url: string): Refusal {
  const { rule, id } = hold.request;
  const detail = JSON.stringify({ hold: id, status: hold.state, by: 'person', rule: rule.name, url });
  switch (hold.state) {
    case 'denied': {
      const deny = hold.votes.findLast((vote) => vote.decision === 'deny');
      return {
        because: 'denied',
        error: new CountersignError(
          'denied',
          withReason(`denied by ${deny?.voter ?? 'an approver'}`, deny?.reason ?? null),
          {
            detail,
            hint: 'A person has read this statement and refused it. Do not rephrase it; ask what they want instead.',
          },
        ),
      };
    }
    default:
      return {
        because: 'expired',
        error: new CountersignError(
          'expired',
          'nobody decided about this statement in time; it has not run',
          {
            detail: JSON.stringify({ hold: id, status: 'expired', rule: rule.name, url }),
            hint: 'Send the same statement again to ask again.',
          },
        ),
      };
  }
}

/** What the client is told of a statement that may not send more than it has. */
export function stopped(
  decision: Exclude<Decision, { kind: 'approved' }>,
  urlOf: (hold: Hold) => string,
): CountersignError {
  const { hold } = decision;
  const detail =
    hold === null ? {} : { hold: hold.request.id, rule: hold.request.rule.name, url: urlOf(hold) };
  const extras = (status: string, hint: string) => ({ detail: JSON.stringify({ status, ...detail }), hint });
  if (decision.kind === 'unavailable') {
    return new CountersignError(
      'approvals_unavailable',
      'this statement would send more than may go out unasked, and approvals are unavailable at the moment',
      extras('unavailable', LESS),
    );
  }
  if (decision.kind === 'interrupted' && decision.why === 'backlog') {
    return new CountersignError('limit', 'too much was sent behind a statement that waits for approval', {
      limit: 'backlog',
      ...extras('withdrawn', 'Wait for its answer before sending more, or raise limits.backlog.'),
    });
  }
  if (decision.kind === 'interrupted') {
    return new CountersignError(
      'cancelled',
      'canceling statement due to user request',
      extras('withdrawn', LESS),
    );
  }
  if (decision.hold.state !== 'denied') {
    return new CountersignError(
      'expired',
      'nobody decided in time whether this statement may send more rows; it was cancelled',
      extras('expired', LESS),
    );
  }
  const deny = decision.hold.votes.findLast((vote) => vote.decision === 'deny');
  return new CountersignError(
    'denied',
    withReason(`denied by ${deny?.voter ?? 'an approver'}`, deny?.reason ?? null),
    extras('denied', LESS),
  );
}

const LESS = 'The rows that were sent are all that may go out. Ask for fewer, or aggregate in the database.';

/** The client cancelled while it waited; the words are the server's own for a cancelled statement. */
export function cancelledByClient(hold: Hold, url: string): Refusal {
  return {
    because: 'withdrawn',
    error: new CountersignError('cancelled', 'canceling statement due to user request', {
      detail: JSON.stringify({
        hold: hold.request.id,
        status: 'withdrawn',
        rule: hold.request.rule.name,
        url,
      }),
      hint: 'It has not run. Send the same statement again to ask again.',
    }),
  };
}

/** The server has said so while it waited: what a person has read, or is reading, is not what would run. */
export function readOtherwise(hold: Hold, url: string): Refusal {
  const { rule, id } = hold.request;
  return {
    because: 'withdrawn',
    error: new CountersignError(
      'expired',
      'the server has changed how it reads SQL text while this statement waited; it has not run',
      {
        detail: JSON.stringify({ hold: id, status: 'withdrawn', rule: rule.name, url }),
        hint: 'Send the same statement again to ask again.',
      },
    ),
  };
}

export function approvalsUnavailable(verdict: Verdict): Refusal {
  return {
    because: 'unavailable',
    error: new CountersignError(
      'approvals_unavailable',
      `this statement needs approval (rule "${verdict.rule}"), and approvals are unavailable at the moment`,
      {
        detail: JSON.stringify({ status: 'unavailable', rule: verdict.rule }),
        hint: 'It has not run. Statements that need no approval still work; try this one again later.',
      },
    ),
  };
}

/** The server would refuse it anyway, so nobody is asked. */
export const DOOMED: Refusal = {
  because: 'doomed',
  error: new CountersignError(
    'transaction_aborted',
    'current transaction is aborted, commands ignored until end of transaction block',
  ),
};

/** The connection ended before anyone could be asked; nobody reads this error, but the log has the statement. */
export const CLIENT_LEFT: Refusal = {
  because: 'withdrawn',
  error: new CountersignError('cancelled', 'the connection ended before this statement could be decided'),
};

/** Planning it would already run what a person is to see first. */
export const IN_PLANNING: Refusal = {
  because: 'limit',
  error: new CountersignError(
    'denied',
    'this statement calls a function that would run while it is being planned, before it could be held',
    { hint: 'Send it as a simple query, without parameters; there it waits for a person.' },
  ),
};

export const DURING_COPY: Refusal = {
  because: 'limit',
  error: new CountersignError(
    'protocol_violation',
    'a statement that needs approval cannot be sent during COPY FROM STDIN',
  ),
};

export function tooMuchBehind(hold: Hold, url: string, limitBytes: number): Refusal {
  return {
    because: 'limit',
    error: new CountersignError(
      'limit',
      `more than ${limitBytes} bytes were sent behind a statement that waits for approval`,
      {
        limit: 'backlog',
        detail: JSON.stringify({
          hold: hold.request.id,
          status: 'withdrawn',
          rule: hold.request.rule.name,
          url,
        }),
        hint: 'The statement has not run. Wait for its answer before sending more, or raise limits.backlog.',
      },
    ),
  };
}

/** Neither made by the server, nor kept here. */
export function tooManyNames(
  most: number,
  mostBytes: number,
  limit: 'preparedStatements' | 'prepared',
): Refusal {
  const what =
    limit === 'prepared'
      ? `more than ${mostBytes} bytes of prepared statements and bound values in one session`
      : `more than ${most} prepared statements or portals in one session`;
  return {
    because: 'limit',
    error: new CountersignError('limit', what, {
      limit,
      hint: `Close those that are no longer needed, or raise limits.${limit}.`,
    }),
  };
}

/** On one line: on a terminal, what a person writes on a line of its own could pass for ours, or for the server's. */
function withReason(what: string, reason: string | null): string {
  return reason === null ? what : `${what}: ${reason.replace(/\s+/g, ' ').trim()}`;
}
