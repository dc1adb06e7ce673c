// From what the program says (RecordDraft) to what the log keeps: the leaf, whose bytes are hashed and never change, and the
// opening beside it, which holds what may have to be erased one day: SQL, parameters, and the hash over both.
// The leaf has SHA-256(0x02 ‖ salt ‖ bytes) in their place.
import { hash } from 'node:crypto';
import { formatTime } from '../base/clock.ts';
import { CountersignError } from '../base/errors.ts';
import { randomSecret } from '../base/ids.ts';
import type { Vote } from '../holds/hold.ts';
import { canonicalJson, isObject, type Json, type JsonObject } from './canonical.ts';
import type { Identity, RecordDraft } from './record.ts';

export const RECORD_VERSION = 1;
/** C2SP entry bundles give an entry's length in 16 bits. */
export const LEAF_MAX_BYTES = 65_535;
const SALT_BYTES = 16;
const COMMITMENT_PREFIX = 0x02;

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
    case 'statement.intent': {
      const parameters = draft.parameters === null ? null : canonicalJson(draft.parameters);
      const sqlSalt = newSalt();
      const sqlCommitment = commit(sqlSalt, draft.sql);
      const parametersSalt = parameters === null ? null : newSalt();
      const parametersCommitment =
        parameters === null || parametersSalt === null ? null : commit(parametersSalt, parameters);
      const fields = {
        // In canonical order, so that JSON.stringify writes it: the two frequent records are spared the sorting.
        classes: draft.classes,
        epoch: common.epoch,
        fate: draft.fate,
        functions: draft.functions.map((f) => ({ name: f.name, schema: f.schema })),
        hold: draft.hold,
        in_transaction: draft.inTransaction,
        mono: common.monoUs,
        node: common.node,
        parameter_types: draft.parameterTypes,
        parameters_commitment: parametersCommitment,
        portal: draft.portal,
        protocol: draft.protocol,
        record: draft.record,
        refusal: draft.refusal,
        relations: draft.relations.map((r) => ({ name: r.name, schema: r.schema, use: r.use })),
        rule: draft.rule,
        rules: draft.rules,
        seq: common.seq,
        session: draft.session,
        sql_commitment: sqlCommitment,
        statement_name: draft.statementName,
        tags: draft.tags,
        time: timeOf(common.timeMs),
        type: draft.type,
        v: RECORD_VERSION,
        verdict: draft.verdict,
        votes: draft.votes.map(voteOf),
        who: whoOf(draft.who),
        would_have:
          draft.wouldHave === null ? null : { action: draft.wouldHave.action, rule: draft.wouldHave.rule },
      };
      draft.parameterTypes.forEach(count);
      const leaf = encodeLeaf(fields, JSON.stringify(fields));
      if (draft.record === 'digest') return { leaf, opening: null };
      const sql = openingOf(sqlSalt, JSON.stringify(draft.sql));
      return parameters === null || parametersSalt === null
        ? { leaf, opening: `{"sql":${sql}}` }
        : { leaf, opening: `{"parameters":${openingOf(parametersSalt, parameters)},"sql":${sql}}` };
    }
    case 'statement.outcome': {
      const fields = {
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
        who: whoOf(draft.who),
      };
      return { leaf: encodeLeaf(fields, JSON.stringify(fields)), opening: null };
    }
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
    default: {
      const salt = newSalt();
      const fields = {
        ...envelope(draft.type, common),
        approvals:
          draft.approvals === undefined
            ? null
            : {
                count: count(draft.approvals.count),
                groups: draft.approvals.groups,
                reason_required: draft.approvals.reasonRequired,
              },
        because: draft.because,
        hold: draft.hold,
        rule: draft.rule,
        session: draft.session,
        statement_sha256_commitment: commit(salt, draft.statementSha256),
        version: count(draft.version),
        vote: draft.vote === null ? null : voteOf(draft.vote),
        who: whoOf(draft.who),
      };
      const leaf = encodeLeaf(fields, canonicalJson(fields));
      const value = openingOf(salt, JSON.stringify(draft.statementSha256));
      return { leaf, opening: `{"statement_sha256":${value}}` };
    }
  }
}

function closed(fields: JsonObject): Encoded {
  return { leaf: encodeLeaf(fields, canonicalJson(fields)), opening: null };
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

/** `text` is the canonical text of `fields`. A leaf that is too long has its long lists and strings cut, visibly. */
function encodeLeaf(fields: JsonObject, text: string): string {
  if (text.length * 3 <= LEAF_MAX_BYTES || Buffer.byteLength(text) <= LEAF_MAX_BYTES) return text;
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

// Sessions keep one Identity for their life, and most of what a record costs is turning objects into text.
const identities = new WeakMap<Identity, JsonObject>();

function whoOf(who: Identity): JsonObject {
  const known = identities.get(who);
  if (known !== undefined) return known;
  const object = {
    agent: who.agent,
    authenticated_by: who.authenticatedBy,
    client_address: who.clientAddress,
    database: who.database,
    on_behalf_of: [...who.onBehalfOf],
    owner: who.owner,
    role: who.role,
  };
  identities.set(who, object);
  return object;
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

const POOL_BYTES = 256 * SALT_BYTES;
let pool: Buffer = Buffer.alloc(0);

function newSalt(): Buffer {
  if (pool.length < SALT_BYTES) pool = randomSecret(POOL_BYTES);
  const salt = pool.subarray(0, SALT_BYTES);
  pool = pool.subarray(SALT_BYTES);
  return salt;
}

function openingOf(salt: Buffer, value: string): string {
  return `{"salt":"${salt.toString('base64')}","value":${value}}`;
}

const scratch = Buffer.alloc(16 * 1024);

function commit(salt: Buffer, text: string): string {
  const start = 1 + SALT_BYTES;
  // One buffer for all but giants: a statement of many megabytes must not stay in memory.
  const room = start + text.length * 3;
  const buffer = room <= scratch.length ? scratch : Buffer.allocUnsafe(room);
  buffer[0] = COMMITMENT_PREFIX;
  salt.copy(buffer, 1);
  const end = start + buffer.write(text, start);
  return hash('sha256', buffer.subarray(0, end), 'base64');
}

/** The commitment that an opening's value and salt make; strings by their UTF-8 bytes, all else by canonical JSON. */
export function commitmentTo(value: Json, salt: Buffer): string {
  return commit(salt, typeof value === 'string' ? value : canonicalJson(value));
}
