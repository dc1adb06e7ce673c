// From what the program says (RecordDraft) to what the log keeps: the leaf, whose bytes are hashed and never change, and the
// opening beside it, which may be erased one day (commitment.ts).
import { canonicalJson, type JsonObject } from './canonical.ts';
import { conceal } from './commitment.ts';
import {
  type Common,
  count,
  type Encoded,
  RECORD_VERSION,
  timeOf,
  voteOf,
  whoOf,
  withinBounds,
} from './fields.ts';
import { impactOf } from './impact.ts';
import { encodeOutcome } from './outcome.ts';
import type { HoldDraft, RecordDraft } from './record.ts';

/** Throws CountersignError `internal` for a draft that no leaf can say (a number that is not a whole one). */
export function encodeRecord(draft: RecordDraft, common: Common): Encoded {
  switch (draft.type) {
    case 'statement.intent':
      return draft.intent.encode(common, draft.parameters);
    case 'statement.outcome':
      return { leaf: encodeOutcome(draft, common), opening: null };
    case 'session.open':
      return closed({
        ...envelope(draft.type, common),
        application_name: draft.applicationName,
        purpose: draft.purpose,
        session: draft.session,
        startup: draft.startup,
        who: whoOf(draft.who),
      });
    case 'session.close':
      return closed({
        ...envelope(draft.type, common),
        because: draft.because,
        bytes: count(draft.bytes),
        rows: count(draft.rows),
        session: draft.session,
        statements: count(draft.statements),
        who: whoOf(draft.who),
      });
    case 'login.failed':
      return closed({
        ...envelope(draft.type, common),
        because: draft.because,
        client_address: draft.clientAddress,
        database: draft.database,
        user: draft.user,
      });
    case 'rules.loaded':
      return closed({ ...envelope(draft.type, common), files: draft.files, rules: draft.rules });
    case 'limit.hit':
      return closed({
        ...envelope(draft.type, common),
        client_address: draft.clientAddress,
        limit: draft.limit,
        session: draft.session,
      });
    case 'started':
      return closed({ ...envelope(draft.type, common), version: draft.version });
    case 'stopped':
      return closed(envelope(draft.type, common));
    case 'recovered':
      return closed({
        ...envelope(draft.type, common),
        cut_bytes: count(draft.cutBytes),
        cut_sha256: draft.cutSha256,
        open_intents: draft.openIntents,
      });
    default:
      return encodeHold(draft, common);
  }
}

function encodeHold(draft: HoldDraft, common: Common): Encoded {
  const hidden = conceal(draft, draft.record);
  const { approvals } = draft;
  const { leaf } = closed({
    ...envelope(draft.type, common),
    approvals:
      approvals === null
        ? null
        : {
            count: count(approvals.count),
            groups: approvals.groups,
            reason_required: approvals.reasonRequired,
          },
    because: draft.because,
    hold: draft.hold,
    impact: draft.impact === null ? null : draft.impact.map(impactOf),
    parameters_commitment: hidden.parameters,
    record: draft.record,
    rule: draft.rule,
    session: draft.session,
    sql_commitment: hidden.sql,
    statement_sha256_commitment: hidden.statementSha256,
    version: count(draft.version),
    vote: draft.vote === null ? null : voteOf(draft.vote),
    who: whoOf(draft.who),
  });
  return { leaf, opening: hidden.opening };
}

function closed(fields: JsonObject): Encoded {
  return { leaf: withinBounds(canonicalJson(fields)), opening: null };
}

function envelope(type: string, common: Common): JsonObject {
  return {
    epoch: common.epoch,
    mono: common.monoUs,
    node: common.node,
    seq: common.seq,
    time: timeOf(common.timeMs),
    type,
    v: RECORD_VERSION,
  };
}
