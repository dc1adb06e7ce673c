// Records to write into test logs: one of each type, and a whole session that means something.

import { type Common, textOf } from '../../src/audit/fields.ts';
import { Intent } from '../../src/audit/intent.ts';
import { encodeRecord } from '../../src/audit/leaf.ts';
import type {
  HoldDraft,
  Identity,
  IntentDraft,
  IntentFields,
  OutcomeDraft,
  RecordDraft,
} from '../../src/audit/record.ts';
import type { HoldId, SessionId } from '../../src/base/ids.ts';
import type { Vote } from '../../src/holds/hold.ts';
import { impact } from '../holds/sample.ts';

export const SESSION = 's_0000000000000001' as SessionId;
export const HOLD = 'h_0000000000000001' as HoldId;

export const WHO: Identity = {
  agent: 'reporting-bot',
  owner: 'alice@example.com',
  onBehalfOf: ['carol@example.com'],
  authenticatedBy: 'scram-sha-256',
  clientAddress: '127.0.0.1:50000',
  database: 'shop',
  role: 'app',
};

/** Of whatever is held, unless a test says otherwise. */
const STATEMENT_SHA256 = 'cd'.repeat(32);

export const VOTE: Vote = {
  voter: 'bob@example.com',
  groups: ['dba'],
  decision: 'approve',
  reason: 'agreed in the change meeting',
  atMs: 1_790_000_000_000,
  channel: 'cli',
};

/** With `hold`, that of a statement which was held as `hold` below says. */
export function intent({
  parameters = ['17'],
  ...overrides
}: Partial<IntentFields & Pick<IntentDraft, 'parameters'>> = {}): IntentDraft {
  const isHeld = typeof overrides.hold === 'string';
  const fields: IntentFields = {
    session: SESSION,
    who: WHO,
    protocol: 'extended',
    statementName: '',
    portal: '',
    sql: 'SELECT name FROM customer WHERE id = $1',
    parameterTypes: [23],
    tags: ['SELECT'],
    classes: ['read'],
    relations: [{ schema: null, name: 'customer', use: 'read' }],
    functions: [],
    inTransaction: false,
    rules: `sha256:${'ab'.repeat(32)}`,
    rule: isHeld ? 'hold-ddl' : 'default',
    verdict: 'allow',
    wouldHave: null,
    fate: 'forward',
    hold: null,
    statementSha256: isHeld ? STATEMENT_SHA256 : null,
    votes: [],
    refusal: null,
    record: 'full',
    ...overrides,
  };
  return { type: 'statement.intent', intent: new Intent(fields), parameters };
}

export function outcome(of: number, overrides: Partial<OutcomeDraft> = {}): OutcomeDraft {
  return {
    type: 'statement.outcome',
    session: SESSION,
    who: WHO,
    intent: of,
    result: 'done',
    tags: ['SELECT 1'],
    rows: 1,
    bytes: 42,
    sqlstate: null,
    durationUs: 812,
    ...overrides,
  };
}

export function hold(
  type: HoldDraft['type'],
  version: number,
  overrides: Partial<HoldDraft> = {},
): HoldDraft {
  return {
    type,
    session: SESSION,
    who: WHO,
    hold: HOLD,
    version,
    rule: 'hold-ddl',
    statementSha256: STATEMENT_SHA256,
    vote: null,
    because: null,
    sql: type === 'hold.requested' ? 'DROP TABLE customer' : null,
    parameters: null,
    approvals: type === 'hold.requested' ? { count: 1, groups: ['dba'], reasonRequired: false } : null,
    impact: type === 'hold.requested' ? [impact()] : null,
    record: 'full',
    ...overrides,
  };
}

export const open: Extract<RecordDraft, { type: 'session.open' }> = {
  type: 'session.open',
  session: SESSION,
  who: WHO,
  applicationName: 'psql',
  purpose: 'monthly report',
  startup: { client_encoding: 'UTF8', '10': 'ten', '9': 'nine' },
};

export const close: RecordDraft = {
  type: 'session.close',
  session: SESSION,
  who: WHO,
  because: 'terminate',
  statements: 1,
  rows: 1,
  bytes: 42,
};

export const EACH_TYPE: readonly RecordDraft[] = [
  open,
  intent(),
  intent({ record: 'digest', parameters: null, statementName: null, portal: null }),
  intent({
    fate: 'refuse',
    refusal: 'denied',
    verdict: 'deny',
    wouldHave: { action: 'deny', rule: 'x' },
    functions: [{ schema: 'pg_catalog', name: 'lower' }],
    votes: [VOTE],
    hold: HOLD,
  }),
  outcome(1),
  hold('hold.requested', 1, { approvals: { count: 2, groups: ['dba'], reasonRequired: true } }),
  hold('hold.requested', 1, { record: 'digest' }),
  hold('hold.requested', 1, { parameters: ['17', null] }),
  hold('hold.voted', 2, { vote: VOTE }),
  hold('hold.withdrawn', 3, { because: 'client cancelled' }),
  close,
  {
    type: 'login.failed',
    clientAddress: '127.0.0.1:50001',
    user: 'x',
    database: 'shop',
    because: 'password',
  },
  { type: 'rules.loaded', rules: 'sha256:00', files: ['rules/default.yaml'] },
  { type: 'limit.hit', session: null, clientAddress: '127.0.0.1:50002', limit: 'connections' },
  { type: 'recovered', cutBytes: 3, cutSha256: 'ef'.repeat(32), openIntents: [1, 2] },
  { type: 'started', version: '0.1.0' },
  { type: 'stopped' },
];

/** As the log writes it, in one piece. */
export function encoded(draft: RecordDraft, common: Common): { leaf: string; opening: string | null } {
  const { leaf, opening } = encodeRecord(draft, common);
  return { leaf: textOf(leaf), opening };
}
