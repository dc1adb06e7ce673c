// From a piece of work in a session to what a person is asked: the hold's request.

import type { Identity } from '../audit/record.ts';
import { newHoldId, type SessionId } from '../base/ids.ts';
import { bindingOf, statementSha256 } from '../holds/binding.ts';
import type { HoldRequest } from '../holds/hold.ts';
import type { SessionVariables, Verdict } from '../rules/verdict.ts';
import type { Impact } from '../sql/impact.ts';
import { withoutConstants } from '../sql/mask.ts';
import { bytesOf, classesOf, tagsOf } from './recording.ts';
import { shownValues, type Work } from './work.ts';

export interface AskedIn {
  readonly node: string;
  readonly session: SessionId;
  readonly who: Identity;
  readonly requesters: readonly string[];
  readonly variables: SessionVariables;
  /** Of each statement of the work. */
  readonly impact: readonly Impact[];
  readonly searchPath: string | null;
  readonly rulesHash: string;
  /** Made at start, never leaves this process: no other process can make a binding that this one consumes. */
  readonly bindingKey: Buffer;
  readonly nonce: Buffer;
  readonly nowMs: number;
  readonly waitMs: number;
  readonly grantMs: number;
}

export function holdRequest(work: Work, verdict: Verdict, asked: AskedIn): HoldRequest {
  const bytes = bytesOf(work);
  const { who } = asked;
  const known = work.statements.filter((statement) => statement.known);
  const unknown = work.statements.filter((statement) => !statement.known);
  const shown = verdict.record === 'digest' ? withoutValues(work) : asSent(work);
  return {
    id: newHoldId(),
    node: asked.node,
    session: asked.session,
    agent: who.agent,
    owner: who.owner,
    onBehalfOf: who.onBehalfOf,
    requesters: asked.requesters,
    authenticatedBy: who.authenticatedBy,
    clientAddress: who.clientAddress,
    claimed: asked.variables.claimed,
    database: who.database,
    role: who.role,
    inTransaction: asked.variables.inTransaction,
    statement: {
      text: shown.text(work.sql),
      sha256: statementSha256(bytes),
      tags: tagsOf(work),
      classes: classesOf(work),
      relations: known.flatMap((statement) => statement.relations),
      reasons: [
        // What an EXECUTE or a FETCH names is not in the text, and is what a person is to decide about.
        ...known.flatMap(({ text }) => (work.sql.includes(text) ? [] : [`it runs: ${shown.text(text)}`])),
        ...known.flatMap((statement) => statement.reasons),
        ...unknown.map((statement) => `not understood: ${shown.detail(statement.detail)}`),
      ],
      parameters: shown.parameters,
    },
    impact: asked.impact.map(shown.impact),
    rule: { name: verdict.rule, message: verdict.message, contact: verdict.contact, hash: asked.rulesHash },
    approvals: verdict.approvals,
    binding: bindingOf(
      asked.bindingKey,
      {
        agent: who.agent,
        owner: who.owner,
        onBehalfOf: who.onBehalfOf,
        database: who.database,
        role: who.role,
        searchPath: asked.searchPath,
        rulesHash: asked.rulesHash,
        session: asked.session,
        nonce: asked.nonce,
      },
      bytes,
    ),
    requestedAtMs: asked.nowMs,
    deadlineMs: asked.nowMs + asked.waitMs,
    grantMs: asked.grantMs,
  };
}

/** What may be written and shown of a statement: in the store, at the API, in webhooks, in the log. */
interface Shown {
  text(sql: string): string;
  /** Why it was not understood; a syntax error repeats what it met. */
  detail(detail: string): string;
  impact(impact: Impact): Impact;
  readonly parameters: readonly (string | null)[] | null;
}

const asSent = (work: Work): Shown => ({
  text: (sql) => sql,
  detail: (detail) => detail,
  impact: (impact) => impact,
  parameters: shownValues(work),
});

const WITHHELD = '(kept back by the rule)';

/**
 * The person who is asked sees the statement's shape; what is bound and hashed is the statement as it was sent. Of what was
 * not understood no word can be told from a value.
 */
function withoutValues(work: Work): Shown {
  const isKnown = work.statements.every((statement) => statement.known);
  return {
    // That of a FunctionCall is ours, and names the function.
    text: (sql) =>
      work.protocol === 'function call' ? sql : ((isKnown ? withoutConstants(sql) : null) ?? WITHHELD),
    detail: () => WITHHELD,
    impact: impactWithoutValues,
    parameters: null,
  };
}

/** Names and numbers stay. What the server says of a plan that failed repeats what it met, as a syntax error does. */
function impactWithoutValues(impact: Impact): Impact {
  const { rows, body, unknown } = impact;
  return {
    ...impact,
    rows: rows === null || rows.known ? rows : { known: false, why: WITHHELD },
    body: body && {
      ...body,
      unread: body.unread && WITHHELD,
      statements: body.statements.map((one) => ({ ...one, text: withoutConstants(one.text) ?? WITHHELD })),
    },
    unknown: unknown.map(() => WITHHELD),
  };
}
