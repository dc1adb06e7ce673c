// From what the gate knows to what the log says: the drafts of a session's records.
import { Intent } from '../audit/intent.ts';
import type { AuditLog } from '../audit/log.ts';
import type { HoldDraft, Identity, IntentDraft, RecordDraft } from '../audit/record.ts';
import type { SessionId } from '../base/ids.ts';
import { type StatementBytes, statementSha256 } from '../holds/binding.ts';
import type { Hold, HoldChange } from '../holds/hold.ts';
import type { Verdict } from '../rules/verdict.ts';
import type { StatementClass } from '../sql/facts.ts';
import type { Barrier } from './outbox.ts';
import type { Result, Run } from './pipeline.ts';
import { shownValues, type Work } from './work.ts';

export interface Speaker {
  readonly session: SessionId;
  readonly who: Identity;
}

const HARMLESS: ReadonlySet<StatementClass> = new Set(['read', 'session', 'transaction']);

/** What provably only reads waits for the kernel, everything else for the disk (`durability: standard`). */
export function barrierFor(work: Work): Barrier {
  for (const statement of work.statements) {
    if (!statement.known || statement.classes.some((found) => !HARMLESS.has(found))) return 'durable';
  }
  return 'written';
}

export function classesOf(work: Work): StatementClass[] {
  return unique(
    work.statements.flatMap((statement) => (statement.known ? statement.classes : ['unknown' as const])),
  );
}

export function tagsOf(work: Work): string[] {
  return unique(work.statements.flatMap((statement) => (statement.known ? statement.tags : [])));
}

/** `refusal` null: it goes to the server after this record. `hold`: the hold that was decided, if there was one. */
export function intentOf(
  speaker: Speaker,
  work: Work,
  verdict: Verdict,
  inTransaction: boolean,
  rulesHash: string,
  hold: Hold | null,
  refusal: string | null,
): Intent {
  const known = work.statements.filter((statement) => statement.known);
  return new Intent({
    session: speaker.session,
    who: speaker.who,
    protocol: work.protocol,
    statementName: work.statementName,
    portal: work.portal === null ? null : work.portal.name,
    sql: work.sql,
    parameterTypes: work.parameterTypes,
    tags: tagsOf(work),
    classes: classesOf(work),
    relations: known.flatMap((statement) => statement.relations),
    functions: known.flatMap((statement) => statement.functions),
    inTransaction,
    rules: rulesHash,
    rule: verdict.rule,
    verdict: verdict.action,
    wouldHave: verdict.wouldHave,
    fate: refusal === null ? 'forward' : 'refuse',
    hold: hold?.request.id ?? null,
    // Of the work in hand, not copied from the hold: whoever compares the two learns whether they are the same.
    statementSha256: hold === null ? null : statementSha256(bytesOf(work)),
    votes: hold?.votes ?? [],
    refusal,
    record: verdict.record,
  });
}

/**
 * As `intentOf`, for what is forwarded without having been held. Of a prepared statement that runs again and again only the
 * moment and the values are new: its intent is kept as long as nothing in it changes.
 */
export function intentToForward(
  speaker: Speaker,
  work: Work,
  verdict: Verdict,
  inTransaction: boolean,
  rulesHash: string,
): Intent {
  const { prepared } = work;
  const last = prepared?.intended ?? null;
  if (last !== null && last.verdict === verdict) {
    const { fields } = last.intent;
    const isSame =
      fields.portal === work.portal?.name &&
      fields.statementName === work.statementName &&
      fields.inTransaction === inTransaction &&
      fields.rules === rulesHash;
    if (isSame) return last.intent;
  }
  const intent = intentOf(speaker, work, verdict, inTransaction, rulesHash, null, null);
  if (prepared !== null) prepared.intended = { intent, verdict };
  return intent;
}

export function intentDraft(intent: Intent, work: Work): IntentDraft {
  return {
    type: 'statement.intent',
    intent,
    parameters: work.values.length === 0 ? null : shownValues(work),
  };
}

export function outcomeDraft(speaker: Speaker, run: Run, result: Result, nowUs: number): RecordDraft {
  return {
    type: 'statement.outcome',
    session: speaker.session,
    who: speaker.who,
    intent: run.intent,
    result,
    tags: run.tags,
    rows: run.rows,
    bytes: run.bytes,
    sqlstate: run.sqlstate,
    durationUs: nowUs - run.startedUs,
  };
}

/** What the server would run, as a vote names it and an approval covers it. */
export function bytesOf(work: Work): StatementBytes {
  return {
    sql: Buffer.from(work.sql, 'utf8'),
    parameterTypes: work.parameterTypes,
    parameterFormats: work.formats,
    parameterValues: work.values,
  };
}

/** One record for one transition. The node that made the transition writes it. */
export function holdDraft({ hold, event }: HoldChange): HoldDraft {
  const { request } = hold;
  const { statement } = request;
  const type = holdRecordType({ hold, event });
  const asks = type === 'hold.requested';
  return {
    type,
    session: request.session,
    who: {
      agent: request.agent,
      owner: request.owner,
      onBehalfOf: request.onBehalfOf,
      authenticatedBy: request.authenticatedBy,
      clientAddress: request.clientAddress,
      database: request.database,
      role: request.role,
    },
    hold: request.id,
    version: hold.version,
    rule: request.rule.name,
    statementSha256: statement.sha256,
    sql: asks ? statement.text : null,
    // As in the intent: no parameters are null, not an empty list.
    parameters: asks && statement.parameters?.length !== 0 ? statement.parameters : null,
    approvals: asks ? request.approvals : null,
    impact: asks ? request.impact : null,
    // The rule has the values redacted, and the hash over them could be found out by guessing.
    record: statement.parameters === null ? 'digest' : 'full',
    vote: event?.type === 'vote' ? event.vote : null,
    because:
      event?.type === 'revoke'
        ? `revoked by ${event.by}: ${event.reason}`
        : event?.type === 'withdraw'
          ? event.because
          : null,
  };
}

function holdRecordType({ hold, event }: HoldChange): HoldDraft['type'] {
  if (event === null) return 'hold.requested';
  if (event.type === 'vote' && hold.state === 'pending') return 'hold.voted';
  return hold.state === 'pending' ? 'hold.requested' : `hold.${hold.state}`;
}

/** Resolves when everything appended so far is on the disk. */
function durable(log: AuditLog): Promise<void> {
  return new Promise((resolve, reject) => {
    log.when('durable', (error) => (error === null ? resolve() : reject(error)));
  });
}

/** Writes down one change of a hold, durably. Rejects with `log_unwritable` when that cannot be done. */
export async function recordHoldChange(log: AuditLog, change: HoldChange): Promise<void> {
  log.append(holdDraft(change));
  await durable(log);
}

function unique<Value>(values: readonly Value[]): Value[] {
  return [...new Set(values)];
}
