// From what the program says (RecordDraft) to what the log keeps: the leaf, whose bytes are hashed and never change, and the
// opening beside it, which may be erased one day (commitment.ts).
import { formatTime } from '../base/clock.ts';
import { CountersignError } from '../base/errors.ts';
import type { Vote } from '../holds/hold.ts';
import { canonicalJson, isObject, type Json, type JsonObject } from './canonical.ts';
import { conceal } from './commitment.ts';
import type { HoldDraft, Identity, IntentDraft, OutcomeDraft, RecordDraft } from './record.ts';

const RECORD_VERSION = 1;
/** C2SP entry bundles give an entry's length in 16 bits. */
export const LEAF_MAX_BYTES = 65_535;

/** The fields that every record has. */
export interface Common {
  readonly seq: number;
  readonly node: string;
  readonly epoch: number;
  readonly timeMs: number;
  readonly monoUs: number;
}

export interface Encoded {
  /** Canonical JSON. */
  readonly leaf: string;
  /** Canonical JSON; null when the record opens nothing. */
  readonly opening: string | null;
}

/** Throws CountersignError `internal` for a draft that no leaf can say (a number that is not a whole one). */
export function encodeRecord(draft: RecordDraft, common: Common): Encoded {
  switch (draft.type) {
    case 'statement.intent':
      return encodeIntent(draft, common);
    case 'statement.outcome':
      return { leaf: withinBounds(outcomeText(draft, common)), opening: null };
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

// Of the two frequent records, whose keys stand here in canonical order, JSON.stringify makes the text: that spares
// them the sorting.

function encodeIntent(draft: IntentDraft, common: Common): Encoded {
  const hidden = conceal(draft, draft.record);
  draft.parameterTypes.forEach(count);
  const { wouldHave } = draft;
  const before = JSON.stringify({
    classes: draft.classes,
    epoch: common.epoch,
    fate: draft.fate,
    functions: draft.functions.map((f) => ({ name: f.name, schema: f.schema })),
    hold: draft.hold,
    in_transaction: draft.inTransaction,
    mono: common.monoUs,
    node: common.node,
    parameter_types: draft.parameterTypes,
    parameters_commitment: hidden.parameters,
    portal: draft.portal,
    protocol: draft.protocol,
    record: draft.record,
    refusal: draft.refusal,
    relations: draft.relations.map((r) => ({ name: r.name, schema: r.schema, use: r.use })),
    rule: draft.rule,
    rules: draft.rules,
    seq: common.seq,
    session: draft.session,
    sql_commitment: hidden.sql,
    statement_name: draft.statementName,
    statement_sha256_commitment: hidden.statementSha256,
    tags: draft.tags,
    time: timeOf(common.timeMs),
    type: draft.type,
    v: RECORD_VERSION,
    verdict: draft.verdict,
    votes: draft.votes.map(voteOf),
  });
  const after = wouldHave === null ? null : { action: wouldHave.action, rule: wouldHave.rule };
  const text = `${withWho(before, draft.who)},"would_have":${JSON.stringify(after)}}`;
  return { leaf: withinBounds(text), opening: hidden.opening };
}

function outcomeText(draft: OutcomeDraft, common: Common): string {
  const before = JSON.stringify({
    bytes: count(draft.bytes),
    duration_us: count(draft.durationUs),
    epoch: common.epoch,
    intent: count(draft.intent),
    mono: common.monoUs,
    node: common.node,
    result: draft.result,
    rows: count(draft.rows),
    seq: common.seq,
    session: draft.session,
    sqlstate: draft.sqlstate,
    tags: draft.tags,
    time: timeOf(common.timeMs),
    type: draft.type,
    v: RECORD_VERSION,
  });
  return `${withWho(before, draft.who)}}`;
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

/** A leaf that is too long has its long lists and strings cut, visibly. */
function withinBounds(text: string): string {
  if (text.length * 3 <= LEAF_MAX_BYTES || Buffer.byteLength(text) <= LEAF_MAX_BYTES) return text;
  const fields = JSON.parse(text) as JsonObject;
  for (let most = 1024; most >= 1; most /= 2) {
    const shorter = canonicalJson({ ...(shortened(fields, most) as JsonObject), cut: true });
    if (Buffer.byteLength(shorter) <= LEAF_MAX_BYTES) return shorter;
  }
  throw new CountersignError('internal', `a record of type ${String(fields['type'])} is too long to be cut`);
}

/** Every list and string at most `most` long, the last place saying how many there were. Depends on its input only. */
function shortened(value: Json, most: number): Json {
  if (typeof value === 'string') {
    const room = Math.max(most, 64);
    return value.length <= room ? value : `${value.slice(0, room)}… [${value.length} characters in all]`;
  }
  if (Array.isArray(value)) {
    const kept: Json[] = value.slice(0, most).map((item: Json) => shortened(item, most));
    return value.length <= most ? kept : [...kept, `… [${value.length} in all]`];
  }
  if (!isObject(value)) return value;
  const keys = Object.keys(value).sort();
  const kept: [string, Json][] = keys
    .slice(0, Math.max(most, 64))
    .map((key) => [shortened(key, most) as string, shortened(value[key] ?? null, most)]);
  return Object.fromEntries(kept);
}

function whoOf(who: Identity): JsonObject {
  return {
    agent: who.agent,
    authenticated_by: who.authenticatedBy,
    client_address: who.clientAddress,
    database: who.database,
    on_behalf_of: [...who.onBehalfOf],
    owner: who.owner,
    role: who.role,
  };
}

// Sessions keep one Identity for their life, and in most records it is the longest part.
const identities = new WeakMap<Identity, string>();

/** The object's text, still open, with `who` as its last member. */
function withWho(object: string, who: Identity): string {
  let text = identities.get(who);
  if (text === undefined) {
    text = canonicalJson(whoOf(who));
    identities.set(who, text);
  }
  return `${object.slice(0, -1)},"who":${text}`;
}

function voteOf(vote: Vote): JsonObject {
  return {
    channel: vote.channel,
    decision: vote.decision,
    groups: vote.groups,
    reason: vote.reason,
    time: formatTime(vote.atMs),
    voter: vote.voter,
  };
}

let lastMs = Number.NaN;
let lastText = '';

function timeOf(epochMs: number): string {
  if (epochMs !== lastMs) {
    lastText = formatTime(epochMs);
    lastMs = epochMs;
  }
  return lastText;
}

function count(value: number): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new CountersignError('internal', `the log cannot write ${value} where a count belongs`);
}
