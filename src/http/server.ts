// The HTTP server: listens, guards, and says no in one voice. What it answers is in holds.ts, votes.ts and health.ts.
import type { Socket } from 'node:net';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyServerOptions } from 'fastify';
import type { Clock } from '../base/clock.ts';
import { CountersignError } from '../base/errors.ts';
import type { HoldChange, HoldStore } from '../holds/hold.ts';
import { type ApproverDirectory, authenticate } from './authenticate.ts';
import { trackConnections } from './connections.ts';
import { healthRoutes, type ReadyChecks } from './health.ts';
import { holdRoutes } from './holds.ts';
import { type Answer, PROBLEM_TYPE, type ProblemCode, problem, problemOf } from './problem.ts';
import { voteRoutes } from './votes.ts';

/** As much of pino as is used here. */
export interface HttpLogger {
  warn(particulars: object, message: string): void;
  error(particulars: object, message: string): void;
}

export interface HttpOptions {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** PEM; absent: plain HTTP, for loopback or behind something that encrypts. */
  readonly tls?: { readonly cert: string; readonly key: string } | null;
  readonly store: HoldStore;
  readonly approvers: ApproverDirectory;
  /** Resolves when the change is durably in the log. Called once for each change made through the API. */
  readonly recordChange: (change: HoldChange) => Promise<void>;
  readonly logReady: () => boolean;
  readonly clock: Clock;
  /** Where people reach this server; no slash at the end. */
  readonly publicUrl: string;
  /** More that must be true for /readyz. */
  readonly checks?: ReadyChecks;
  readonly logger?: HttpLogger;
}

export interface HttpServer {
  /** `http://host:port` as bound. */
  readonly address: string;
  readonly port: number;
  /** Ends long polls with the newest state, lets requests in flight finish, closes. */
  close(): Promise<void>;
}

const BODY_LIMIT = 65_536;
/** For the whole request to arrive: a sender slower than this is not a person's tool. */
const REQUEST_TIMEOUT_MS = 15_000;

const ROUTES: readonly { readonly url: string; readonly methods: readonly string[] }[] = [
  { url: '/v1/holds', methods: ['GET', 'HEAD'] },
  { url: '/v1/holds/:id', methods: ['GET', 'HEAD'] },
  { url: '/v1/holds/:id/votes', methods: ['POST'] },
  { url: '/healthz', methods: ['GET', 'HEAD'] },
  { url: '/readyz', methods: ['GET', 'HEAD'] },
];

export async function startHttp(options: HttpOptions): Promise<HttpServer> {
  const logger: HttpLogger = options.logger ?? { warn: () => {}, error: () => {} };
  const publicUrl = options.publicUrl.replace(/\/+$/, '');
  const closing = new AbortController();
  const app = create(options.tls ?? null);

  const closeUnused = trackConnections(app.server);
  app.addHook('preClose', async () => {
    closing.abort();
    closeUnused();
  });
  setHeaders(app, publicUrl.startsWith('https:'));
  app.setErrorHandler((error, request, reply) => {
    const answer = problemOf(error);
    if (answer.status >= 500) logger.error({ err: error, url: request.url }, 'request failed');
    send(reply, answer);
  });
  app.setNotFoundHandler((_request, reply) => {
    send(reply, problem('no_such_route', 'there is nothing at this address'));
  });
  app.removeContentTypeParser('text/plain');

  app.decorateRequest('approver', null);
  await app.register(async (guarded) => {
    guarded.addHook('onRequest', async (request) => {
      try {
        request.approver = await authenticate(options.approvers, request);
      } catch (error) {
        if (error instanceof CountersignError) {
          logger.warn({ client: request.ip, url: request.url }, 'no approver’s token');
        }
        throw error;
      }
    });
    holdRoutes(guarded, { store: options.store, publicUrl, closing: closing.signal });
    voteRoutes(guarded, {
      store: options.store,
      publicUrl,
      clock: options.clock,
      logReady: options.logReady,
      recordChange: options.recordChange,
      logError: (error) => logger.error({ err: error }, 'a vote could not be recorded'),
    });
  });
  healthRoutes(app, {
    holds: () => options.store.ready(),
    log: options.logReady,
    ...options.checks,
  });
  refuseOtherMethods(app);

  return listen(app, options.host, options.port);
}

/** fastify's type tells the raw server's kind; nothing here asks which one it is. */
function create(tls: { readonly cert: string; readonly key: string } | null): FastifyInstance {
  const options: FastifyServerOptions = {
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_TIMEOUT_MS,
    clientErrorHandler: answerUnreadable,
    frameworkErrors: (error, _request, reply) => send(reply, problemOf(error)),
  };
  if (tls === null) return fastify(options);
  return fastify({ ...options, https: tls } as FastifyServerOptions);
}

async function listen(app: FastifyInstance, host: string, port: number): Promise<HttpServer> {
  try {
    const address = await app.listen({ host, port });
    const bound = app.server.address();
    return {
      address,
      port: bound !== null && typeof bound === 'object' ? bound.port : port,
      close: () => app.close(),
    };
  } catch (cause) {
    await app.close();
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
    throw new CountersignError('config', `the HTTP API cannot listen on ${host}:${port}: ${why}`, {
      hint: why === 'EADDRINUSE' ? 'something else uses that port: stop it, or choose another http.port' : '',
      cause,
    });
  }
}

/** The API serves no page, so a browser is told to do nothing with it. */
function setHeaders(app: FastifyInstance, https: boolean): void {
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers({
      'cache-control': 'no-store',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'cross-origin-resource-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      ...(https ? { 'strict-transport-security': 'max-age=31536000' } : {}),
    });
  });
}

function refuseOtherMethods(app: FastifyInstance): void {
  for (const { url, methods } of ROUTES) {
    const allow = methods.join(', ');
    app.route({
      url,
      method: app.supportedMethods.filter((method) => !methods.includes(method)),
      // Before the body is looked at, whose type is of no interest any more.
      onRequest: async (_request, reply) => {
        reply.header('allow', allow);
        return send(reply, problem('method_not_allowed', `only ${allow} here`));
      },
      handler: async () => {},
    });
  }
}

function send(reply: FastifyReply, answer: Answer): FastifyReply {
  if (answer.status === 401) reply.header('www-authenticate', 'Bearer realm="countersign"');
  return reply.code(answer.status).type(PROBLEM_TYPE).send(answer.body);
}

const UNREADABLE: Readonly<Record<string, readonly [ProblemCode, string]>> = {
  HPE_HEADER_OVERFLOW: ['headers_too_large', 'the headers are too large'],
  ERR_HTTP_REQUEST_TIMEOUT: ['request_timeout', 'the request did not arrive in time'],
};

/** Bytes that are not HTTP: there is no request to answer, so the answer is written by hand. */
function answerUnreadable(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [code, detail] = UNREADABLE[error.code ?? ''] ?? ['bad_request', 'this is not an HTTP request'];
  const answer = problem(code, detail);
  const body = JSON.stringify(answer.body);
  socket.end(
    `HTTP/1.1 ${answer.status} ${answer.body['title']}\r\nContent-Type: ${PROBLEM_TYPE}\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
