// Reading holds over HTTP: the list, one hold, and the long poll.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Stage, until } from './stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await new Stage().open();
});
afterEach(() => stage.close());

/** Counts who is waiting, by way of the store. */
function countWatchers(): () => number {
  let watchers = 0;
  const watch = stage.store.watch.bind(stage.store);
  stage.store.watch = (id, listener, lost) => {
    const stop = watch(id, listener, lost);
    watchers++;
    return () => {
      watchers--;
      stop();
    };
  };
  return () => watchers;
}

function idsOf(body: Record<string, unknown>): string[] {
  return (body['holds'] as { id: string }[]).map(({ id }) => id);
}

async function deny(id: Parameters<typeof stage.store.apply>[0]): Promise<void> {
  const hold = await stage.store.get(id);
  const vote = {
    voter: 'bob@example.com',
    groups: [],
    decision: 'deny',
    reason: 'no',
    atMs: 0,
    channel: 'api',
  };
  await stage.store.apply(id, {
    type: 'vote',
    vote: { ...vote, decision: 'deny' },
    statementSha256: hold?.request.statement.sha256 ?? '',
    version: hold?.version ?? 0,
  });
}

describe('GET /v1/holds', () => {
  test('lists by state and agent, the newest last, and says how many there are', async () => {
    const one = await stage.hold('DROP TABLE a');
    const two = await stage.hold('DROP TABLE b', { agent: 'other-bot' });
    const denied = await stage.hold('DROP TABLE c');
    await deny(denied.request.id);
    const ids = [one, two, denied].map((hold) => hold.request.id);

    const pending = await stage.call('/v1/holds?state=pending&colour=red');
    expect(idsOf(pending.body)).toEqual(ids.slice(0, 2));
    expect(pending.body).toMatchObject({
      total: 2,
      holds: [{ state: 'pending', agent: 'reporting-bot', statement: { text: 'DROP TABLE a' } }, {}],
    });
    expect(idsOf((await stage.call('/v1/holds')).body)).toEqual(ids.slice(0, 2));
    expect(idsOf((await stage.call('/v1/holds?state=all')).body)).toEqual(ids);
    expect(idsOf((await stage.call('/v1/holds?agent=other-bot')).body)).toEqual([ids[1]]);
    const cut = await stage.call('/v1/holds?state=all&limit=1');
    expect([idsOf(cut.body), cut.body['total']]).toEqual([[ids[2]], 3]);
  });

  test('`open` includes the approved, `pending` does not', async () => {
    const hold = await stage.hold();
    await stage.call(`/v1/holds/${hold.request.id}/votes`, {
      body: { decision: 'approve', statement_sha256: hold.request.statement.sha256, version: 1 },
    });
    expect(idsOf((await stage.call('/v1/holds?state=open')).body)).toEqual([hold.request.id]);
    expect(idsOf((await stage.call('/v1/holds?state=pending')).body)).toEqual([]);
  });

  test.each(['state=maybe', 'limit=0', 'limit=1001', 'limit=ten', 'state=all&state=open'])(
    'refuses ?%s',
    async (query) => {
      const answer = await stage.call(`/v1/holds?${query}`);
      expect([answer.status, answer.body['code']]).toEqual([400, 'bad_request']);
      expect(answer.body['detail']).toContain(query.split('=')[0]);
    },
  );
});

describe('GET /v1/holds/:id', () => {
  test('one hold with its version as ETag; 304 when it is known', async () => {
    const hold = await stage.hold();
    const path = `/v1/holds/${hold.request.id}`;
    const answer = await stage.call(path);
    expect(answer.body).toMatchObject({ id: hold.request.id, version: 1 });
    expect(answer.headers.get('etag')).toBe('"1"');
    const known = await stage.call(path, { headers: { 'if-none-match': 'W/"0", "1"' } });
    expect(known.status).toBe(304);
    const stale = await stage.call(path, { headers: { 'if-none-match': '"0"' } });
    expect(stale.status).toBe(200);
  });

  test.each(['h_0000000000000000', 'x', '__proto__'])('%s is not there', async (id) => {
    const answer = await stage.call(`/v1/holds/${id}?wait=1`);
    expect([answer.status, answer.body['code']]).toEqual([404, 'not_found']);
  });

  test.each(['wait=61', 'wait=-1', 'wait=1e1', 'version=x'])('refuses ?%s', async (query) => {
    const hold = await stage.hold();
    expect((await stage.call(`/v1/holds/${hold.request.id}?${query}`)).status).toBe(400);
  });
});

describe('the long poll', () => {
  test.each([
    { name: 'by version', query: '&version=1', headers: {} },
    { name: 'by ETag', query: '', headers: { 'if-none-match': '"1"' } },
    { name: 'by neither', query: '', headers: {} },
  ])('wakes when the hold changes, $name', async ({ query, headers }) => {
    const watchers = countWatchers();
    const hold = await stage.hold();
    const waiting = stage.call(`/v1/holds/${hold.request.id}?wait=60${query}`, { headers });
    await until(() => watchers() === 1, 'the wait');
    await deny(hold.request.id);
    expect((await waiting).body).toMatchObject({ state: 'denied', version: 2 });
    expect(watchers()).toBe(0);
  });

  test('answers at once when the version known to the caller is not the newest', async () => {
    const watchers = countWatchers();
    const hold = await stage.hold();
    await deny(hold.request.id);
    const answer = await stage.call(`/v1/holds/${hold.request.id}?wait=60&version=1`);
    expect(answer.body).toMatchObject({ state: 'denied' });
    expect(watchers()).toBe(0);
  });

  test('answers with what is known when time is up', async () => {
    const hold = await stage.hold();
    const path = `/v1/holds/${hold.request.id}?wait=1`;
    const [answer, tagged] = await Promise.all([
      stage.call(path),
      stage.call(path, { headers: { 'if-none-match': '"1"' } }),
    ]);
    expect(answer.body).toMatchObject({ state: 'pending', version: 1 });
    expect(tagged.status).toBe(304);
  });

  test('ends when the caller goes away', async () => {
    const watchers = countWatchers();
    const hold = await stage.hold();
    const caller = new AbortController();
    const waiting = stage
      .call(`/v1/holds/${hold.request.id}?wait=60`, { signal: caller.signal })
      .catch((error: unknown) => error);
    await until(() => watchers() === 1, 'the wait');
    caller.abort();
    await waiting;
    await until(() => watchers() === 0, 'the end of the wait');
  });

  test('a change between the first look and the watch is not missed', async () => {
    const hold = await stage.hold();
    const get = stage.store.get.bind(stage.store);
    const watch = stage.store.watch.bind(stage.store);
    stage.store.get = async (id) => {
      stage.store.get = get;
      const first = await get(id);
      await deny(id);
      return first;
    };
    // A watch that tells only of later changes, as the contract allows.
    stage.store.watch = (id, _listener, lost) => watch(id, () => {}, lost);
    const answer = await stage.call(`/v1/holds/${hold.request.id}?wait=60`);
    expect(answer.body).toMatchObject({ state: 'denied' });
  });

  test('the store out of reach ends it with 503', async () => {
    const hold = await stage.hold();
    let lose: ((error: Error) => void) | null = null;
    stage.store.watch = (_id, _listener, lost) => {
      lose = lost;
      return () => {};
    };
    const waiting = stage.call(`/v1/holds/${hold.request.id}?wait=60`);
    await until(() => lose !== null, 'the wait');
    const { CountersignError } = await import('../../src/base/errors.ts');
    lose!(new CountersignError('approvals_unavailable', 'the store is out of reach'));
    const answer = await waiting;
    expect([answer.status, answer.body['code']]).toEqual([503, 'approvals_unavailable']);
  });

  test('closing the server ends it with an answer', async () => {
    const watchers = countWatchers();
    const hold = await stage.hold();
    const waiting = stage.call(`/v1/holds/${hold.request.id}?wait=60`);
    await until(() => watchers() === 1, 'the wait');
    await stage.server.close();
    expect((await waiting).body).toMatchObject({ state: 'pending' });
  });
});
