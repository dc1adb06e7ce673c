// Which fields a record of each type has, for whoever reads the log back. One row per type; a new type is a new row.
// The writer's side is leaf.ts; a test holds the two together.
import type { Json, JsonObject } from './canonical.ts';
import { isObject } from './canonical.ts';
import type { RecordDraft } from './record.ts';

type Kind = 'text' | 'text?' | 'count' | 'flag' | 'list' | 'object' | 'object?' | 'null' | readonly string[];
type Fields = Readonly<Record<string, Kind>>;

const ENVELOPE: Fields = {
  epoch: 'count',
  mono: 'count',
  node: 'text',
  seq: 'count',
  time: 'text',
  type: 'text',
  v: 'count',
};
const ACTIONS = ['allow', 'hold', 'deny'];
const IN_SESSION: Fields = { session: 'text', who: 'object' };
const RECORD = ['full', 'digest'];
const OF_HOLD: Fields = {
  ...IN_SESSION,
  approvals: 'null',
  because: 'text?',
  hold: 'text',
  impact: 'null',
  parameters_commitment: 'null',
  record: RECORD,
  rule: 'text',
  sql_commitment: 'null',
  statement_sha256_commitment: 'text',
  version: 'count',
  vote: 'object?',
};

const SHAPES: Readonly<Record<RecordDraft['type'], Fields>> = {
  'session.open': { ...IN_SESSION, application_name: 'text', purpose: 'text', startup: 'object' },
  'session.close': { ...IN_SESSION, because: 'text', bytes: 'count', rows: 'count', statements: 'count' },
  'statement.intent': {
    ...IN_SESSION,
    classes: 'list',
    fate: ['forward', 'refuse'],
    functions: 'list',
    hold: 'text?',
    in_transaction: 'flag',
    parameter_types: 'list',
    parameters_commitment: 'text?',
    portal: 'text?',
    protocol: ['simple', 'extended', 'function call', 'startup'],
    record: RECORD,
    refusal: 'text?',
    relations: 'list',
    rule: 'text',
    rules: 'text',
    sql_commitment: 'text',
    statement_name: 'text?',
    statement_sha256_commitment: 'text?',
    tags: 'list',
    verdict: ACTIONS,
    votes: 'list',
    would_have: 'object?',
  },
  'statement.outcome': {
    ...IN_SESSION,
    bytes: 'count',
    duration_us: 'count',
    intent: 'count',
    result: ['done', 'failed', 'skipped', 'suspended', 'lost'],
    rows: 'count',
    sqlstate: 'text?',
    tags: 'list',
  },
  // Only the first says what is asked.
  'hold.requested': {
    ...OF_HOLD,
    approvals: 'object',
    impact: 'list',
    parameters_commitment: 'text?',
    sql_commitment: 'text',
  },
  'hold.voted': OF_HOLD,
  'hold.approved': OF_HOLD,
  'hold.denied': OF_HOLD,
  'hold.expired': OF_HOLD,
  'hold.withdrawn': OF_HOLD,
  'hold.consumed': OF_HOLD,
  'hold.lapsed': OF_HOLD,
  'hold.revoked': OF_HOLD,
  'hold.executed': OF_HOLD,
  'hold.failed': OF_HOLD,
  'hold.unknown': OF_HOLD,
  'login.failed': { because: 'text', client_address: 'text', database: 'text', user: 'text' },
  'rules.loaded': { files: 'list', rules: 'text' },
  'limit.hit': { client_address: 'text', limit: 'text', session: 'text?' },
  started: { version: 'text' },
  stopped: {},
  recovered: { cut_bytes: 'count', cut_sha256: 'text', open_intents: 'list' },
};

const TYPES = new Map<string, readonly (readonly [string, Kind])[]>(
  Object.entries(SHAPES).map(([type, fields]) => [type, Object.entries({ ...ENVELOPE, ...fields })]),
);

function fits(value: Json | undefined, kind: Kind): boolean {
  if (value === undefined) return false;
  if (typeof kind !== 'string') return typeof value === 'string' && kind.includes(value);
  switch (kind) {
    case 'text':
      return typeof value === 'string';
    case 'text?':
      return value === null || typeof value === 'string';
    case 'count':
      return typeof value === 'number' && value >= 0;
    case 'flag':
      return typeof value === 'boolean';
    case 'list':
      return Array.isArray(value);
    case 'object':
      return isObject(value);
    case 'object?':
      return value === null || isObject(value);
    case 'null':
      return value === null;
    default:
      return kind satisfies never;
  }
}

/** What is wrong with a leaf's fields, or null. The field `cut` may stand in any: a list or string was shortened. */
export function shapeProblem(leaf: JsonObject): string | null {
  if (leaf['v'] !== 1)
    return `version ${JSON.stringify(leaf['v'] ?? null)} is not one that this program reads`;
  const type = leaf['type'];
  const fields = typeof type === 'string' ? TYPES.get(type) : undefined;
  if (fields === undefined) return `type ${JSON.stringify(type ?? null)} is unknown`;
  for (const [name, kind] of fields) {
    if (!fits(leaf[name], kind)) return `field ${name} of ${String(type)} is missing or of the wrong kind`;
  }
  const known = fields.length + (leaf['cut'] === true ? 1 : 0);
  return Object.keys(leaf).length === known ? null : `${String(type)} has fields that it does not know`;
}
