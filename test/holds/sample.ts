// Requests, votes and events for the tests of holds.
import { type HoldId, newHoldId, newSessionId } from '../../src/base/ids.ts';
import type { Hold, HoldEvent, HoldRequest, HoldStore, StepResult, Vote } from '../../src/holds/hold.ts';
import type { Impact } from '../../src/sql/impact.ts';

export const HASH = 'a'.repeat(64);
export const BINDING = 'b'.repeat(64);

type RequestChanges = Partial<Omit<HoldRequest, 'approvals'>> & {
  approvals?: Partial<HoldRequest['approvals']>;
};

export function request({ approvals, ...changes }: RequestChanges = {}): HoldRequest {
  const requestedAtMs = changes.requestedAtMs ?? 1_000_000;
  return {
    id: newHoldId(),
    node: 'node-1',
    session: newSessionId(),
    agent: 'reporting-bot',
    owner: 'owner@example.com',
    onBehalfOf: ['alice@example.com'],
    requesters: ['reporting-bot', 'owner@example.com', 'alice@example.com'],
    authenticatedBy: 'scram-sha-256',
    clientAddress: '192.0.2.7',
    claimed: { applicationName: 'psql', purpose: 'clean up' },
    database: 'shop',
    role: 'app',
    inTransaction: false,
    statement: {
      text: 'DROP TABLE "käse\u202e"; -- 🧀',
      sha256: HASH,
      tags: ['DROP TABLE'],
      classes: ['ddl'],
      relations: [{ schema: null, name: 'käse\u202e', use: 'define' }],
      reasons: [],
      parameters: ['1', null, '\\x00ff'],
    },
    impact: [impact()],
    rule: { name: 'ddl', message: 'schema changes need a DBA', contact: null, hash: 'sha256:00' },
    approvals: { count: 1, groups: [], reasonRequired: false, ...approvals },
    binding: BINDING,
    requestedAtMs,
    deadlineMs: requestedAtMs + 60_000,
    grantMs: 60_000,
    ...changes,
  };
}

/** With something in every place. */
export function impact(changes: Partial<Impact> = {}): Impact {
  return {
    tag: 'DELETE',
    rows: {
      known: true,
      writes: [{ kind: 'delete', relation: 'public.orders', rows: 100_000 }],
      scans: [{ relation: 'public.orders', scan: 'Seq Scan', rows: 100_000 }],
      returns: 0,
      gathers: 0,
      generic: false,
    },
    relations: [{ relation: 'public.orders', kind: 'table', bytes: 9_502_720, rows: 100_000 }],
    locks: [{ relation: 'public.orders', mode: 'ROW EXCLUSIVE', rewrites: false, blockers: 1, waiting: 0 }],
    cascades: [{ constraint: 'items_order_fkey', relation: 'public.items', action: 'CASCADE', rows: null }],
    triggers: [{ trigger: 'watch', relation: 'public.orders', calls: 'public.watch' }],
    dependents: ['view active_users'],
    body: {
      unread: null,
      cut: false,
      statements: [{ line: 1, text: 'DELETE FROM x', dynamic: false, tags: ['DELETE'], classes: ['write'] }],
    },
    unknown: ['sizes: a lock on it was not free'],
    ...changes,
  };
}

export function voteBy(voter: string, changes: Partial<Vote> = {}): Vote {
  return {
    voter,
    groups: ['dba'],
    decision: 'approve',
    reason: null,
    atMs: 1_000_001,
    channel: 'api',
    ...changes,
  };
}

/** `voter` says yes to `hold` as it is. */
export function approval(hold: Hold, voter = 'dba@example.com', changes: Partial<Vote> = {}): HoldEvent {
  return {
    type: 'vote',
    vote: voteBy(voter, changes),
    statementSha256: hold.request.statement.sha256,
    version: hold.version,
  };
}

export function denial(
  hold: Hold,
  voter = 'dba@example.com',
  reason: string | null = 'not today',
): HoldEvent {
  return approval(hold, voter, { decision: 'deny', reason });
}

export const consumption: HoldEvent = { type: 'consume', binding: BINDING };

export function must(result: StepResult): Hold {
  if (!result.ok) throw new Error(`refused: ${result.refusal}: ${result.message}`);
  return result.hold;
}

/** A hold of `store` that has its approval. */
export async function approved(store: HoldStore, changes: RequestChanges = {}): Promise<Hold> {
  const hold = await store.create(request(changes));
  return must(await store.apply(hold.request.id, approval(hold)));
}

/** What a watcher of `id` is told. */
export function follow(
  store: HoldStore,
  id: HoldId,
): { readonly seen: Hold[]; readonly errors: Error[]; readonly stop: () => void } {
  const seen: Hold[] = [];
  const errors: Error[] = [];
  const stop = store.watch(
    id,
    (hold) => seen.push(hold),
    (error) => errors.push(error),
  );
  return { seen, errors, stop };
}
