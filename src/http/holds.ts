// Reading holds: the list, and one hold with its long poll.
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { CountersignError } from '../base/errors.ts';
import { type HoldId, parseHoldId } from '../base/ids.ts';
import { type HoldDocument, holdDocument } from '../holds/document.ts';
import type { Hold, HoldStore } from '../holds/hold.ts';
import { parseInput } from './input.ts';
import { waitForChange } from './wait.ts';

/** Some proxies on the way give up at 60 s. */
const MAX_WAIT_S = 60;
const MAX_LIST = 1000;

const wholeNumber = z
  .string()
  .regex(/^\d{1,9}$/, 'must be a whole number')
  .transform(Number);

const listQuery = z.object({
  state: z.enum(['pending', 'open', 'all']).default('pending'),
  agent: z.string().max(256).optional(),
  limit: wholeNumber.pipe(z.number().min(1).max(MAX_LIST)).default(MAX_LIST),
});

const oneQuery = z.object({
  wait: wholeNumber.pipe(z.number().max(MAX_WAIT_S, `must be at most ${MAX_WAIT_S} seconds`)).default(0),
  version: wholeNumber.optional(),
});

/** The document as the API tells it: with the address at which it is found. */
export function documentAt(publicUrl: string, hold: Hold): HoldDocument & { readonly url: string } {
  return { ...holdDocument(hold), url: `${publicUrl}/v1/holds/${hold.request.id}` };
}

/** The hold id of a path. Something that cannot be an id is a hold that does not exist. */
export function readHoldId(params: unknown): HoldId {
  const id = parseHoldId(z.object({ id: z.string() }).parse(params).id);
  if (id === null) throw noSuchHold();
  return id;
}

function noSuchHold(): CountersignError {
  return new CountersignError('not_found', 'there is no such hold');
}

interface HoldRoutes {
  readonly store: HoldStore;
  readonly publicUrl: string;
  /** Aborted when the server closes, so that nobody's long poll keeps it open. */
  readonly closing: AbortSignal;
}

export function holdRoutes(app: FastifyInstance, { store, publicUrl, closing }: HoldRoutes): void {
  app.get('/v1/holds', async (request) => {
    const query = parseInput('query', listQuery, request.query);
    const listed = await store.list(query.state === 'all' ? 'all' : 'open');
    const matching = listed.filter(
      (hold) =>
        (query.state !== 'pending' || hold.state === 'pending') &&
        (query.agent === undefined || hold.request.agent === query.agent),
    );
    // The newest are kept; `total` tells a reader that there are more than are shown.
    return {
      holds: matching.slice(-query.limit).map((hold) => documentAt(publicUrl, hold)),
      total: matching.length,
    };
  });

  app.get('/v1/holds/:id', async (request, reply) => {
    const query = parseInput('query', oneQuery, request.query);
    const id = readHoldId(request.params);
    let hold = await store.get(id);
    if (hold === null) throw noSuchHold();

    const ifNoneMatch = request.headers['if-none-match'];
    const tags = ifNoneMatch === undefined ? null : versionsOf(ifNoneMatch);
    const known = tags ?? new Set([query.version ?? hold.version]);
    if (query.wait > 0 && known.has(hold.version)) {
      const gone = new AbortController();
      reply.raw.once('close', () => gone.abort());
      hold = await waitForChange(store, id, {
        isKnown: (version) => known.has(version),
        waitMs: query.wait * 1000,
        signal: AbortSignal.any([gone.signal, closing]),
      });
      if (hold === null) throw noSuchHold();
    }
    reply.header('etag', `"${hold.version}"`);
    if (tags?.has(hold.version)) return reply.code(304).send();
    return documentAt(publicUrl, hold);
  });
}

/** The versions named by If-None-Match (RFC 9110 section 13.1.2); what is not one of our tags matches nothing. */
function versionsOf(ifNoneMatch: string): ReadonlySet<number> {
  return new Set([...ifNoneMatch.matchAll(/"(\d{1,9})"/g)].map((tag) => Number(tag[1])));
}
