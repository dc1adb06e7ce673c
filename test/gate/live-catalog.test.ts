// When the catalog is read, who waits for it, and what counts while it cannot be read. The server is a script.
import { afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { CountersignError } from '../../src/base/errors.ts';
import { LiveCatalog } from '../../src/gate/live-catalog.ts';
import type { Query, Row } from '../../src/gate/scout.ts';
import type { Facts } from '../../src/sql/facts.ts';
import { loadParser, understand } from '../../src/sql/understand.ts';

/** A server whose catalog is one table and what the test adds to it. */
class Server {
  relations: Row[] = [relation('users')];
  reads = 0;
  /** What a read does besides. */
  during: () => Promise<void> = async () => {};

  async readOnly<T>(work: (query: Query) => Promise<T>): Promise<T> {
    this.reads++;
    const relations = [...this.relations];
    await this.during();
    return await work(async (sql) => {
      if (sql.includes('server_version_num')) return [{ number: '150000' }];
      return sql.includes('FROM pg_class c') && sql.includes('relkind IN') ? relations : [];
    });
  }
}

let oid = 20_000;
const relation = (name: string): Row => ({ oid: String(oid++), schema: 'public', name, kind: 'r' });

function factsOf(sql: string): Facts {
  const understanding = understand(sql);
  if (!understanding.known) throw new Error(understanding.detail);
  return understanding.statements[0] as Facts;
}

const MAX_AGE_MS = 30_000;
let server: Server;
let live: LiveCatalog;
let problems: unknown[];
beforeAll(loadParser);
beforeEach(() => {
  vi.useFakeTimers();
  server = new Server();
  problems = [];
  live = new LiveCatalog({
    scout: server,
    maxAgeMs: MAX_AGE_MS,
    onUnreadable: (error) => problems.push(error),
  });
});
afterEach(() => {
  live.close();
  vi.useRealTimers();
});

const users = (): Facts => factsOf('SELECT FROM users');
const isCertain = (facts: Facts): boolean => live.resolve(facts, null, false) !== null;

test('is read when it is first needed, and what names nothing needs none', async () => {
  expect(isCertain(factsOf('SELECT 1'))).toBe(true);
  expect(isCertain(users())).toBe(false);
  await live.refresh([users()]);
  expect(isCertain(users())).toBe(true);
  await live.refresh([users()]);
  expect(server.reads).toBe(1);
});

test('is read again when it is old', async () => {
  await live.refresh([users()]);
  vi.advanceTimersByTime(MAX_AGE_MS - 1);
  expect(isCertain(users())).toBe(true);
  vi.advanceTimersByTime(1);
  expect(isCertain(users())).toBe(false);
  await live.refresh([users()]);
  expect([isCertain(users()), server.reads]).toEqual([true, 2]);
});

test('a read that began before a change does not show it', async () => {
  let changed = false;
  server.during = async () => {
    await null;
    if (changed) return;
    changed = true;
    live.changed();
  };
  await live.refresh([users()]);
  expect(server.reads).toBe(1);
  expect(isCertain(users())).toBe(false);
  await live.refresh([users()]);
  expect([isCertain(users()), server.reads]).toEqual([true, 2]);
});

test('a name that it has not got is looked for once', async () => {
  await live.refresh([users()]);
  const made = factsOf('SELECT FROM made');
  expect(isCertain(made)).toBe(false);
  server.relations.push(relation('made'));
  await live.refresh([made]);
  expect([isCertain(made), server.reads]).toEqual([true, 2]);
  const nowhere = factsOf('SELECT FROM nowhere');
  for (const facts of [nowhere, factsOf('SELECT 1 FROM nowhere')]) await live.refresh([facts]);
  expect([isCertain(nowhere), server.reads]).toEqual([true, 3]);
});

test('while it cannot be read, what the text alone says counts too, nobody waits, and the operator is told once', async () => {
  const call = factsOf('SELECT made_up()');
  server.during = async () => {
    throw new CountersignError('upstream_unavailable', 'a test');
  };
  await live.refresh([call]);
  expect(live.resolve(call, null, false)).toEqual({ facts: call, inPlanning: true });
  expect(live.resolve(users(), null, false)?.inPlanning).toBe(false);
  await live.refresh([call]);
  expect(server.reads).toBe(1);
  vi.advanceTimersByTime(5_000);
  expect(isCertain(users())).toBe(false);
  await live.refresh([call]);
  expect([server.reads, problems.length]).toEqual([2, 1]);
  server.during = async () => {};
  vi.advanceTimersByTime(5_000);
  await live.refresh([users()]);
  expect([isCertain(users()), server.reads]).toEqual([true, 3]);
});

test('a catalog that is too large is not asked for again soon', async () => {
  server.relations = Array.from({ length: 200_001 }, () => relation('many'));
  await live.refresh([users()]);
  expect(problems).toMatchObject([{ code: 'limit' }]);
  vi.advanceTimersByTime(60_000);
  await live.refresh([users()]);
  expect(server.reads).toBe(1);
});

test('nobody waits longer than three seconds', async () => {
  server.during = () => new Promise(() => {});
  let done = false;
  const waiting = live.refresh([users()]).then(() => {
    done = true;
  });
  await vi.advanceTimersByTimeAsync(2_999);
  expect(done).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  await waiting;
  expect(live.resolve(users(), null, false)?.facts).toBe(users());
});

test('a session’s own changes make it doubtful for that session alone', async () => {
  const facts = factsOf('SELECT mine()');
  server.relations = [];
  await live.refresh([facts]);
  expect(live.resolve(facts, null, true)).toMatchObject({ inPlanning: true });
  expect(live.resolve(users(), null, true)).not.toBeNull();
  expect(live.resolve(facts, null, false)).not.toBeNull();
});
