// Every error over HTTP, as problem+json (RFC 9457). The codes of base/errors.ts bring their own status; the few that
// exist only in HTTP are the table below.
import { STATUS_CODES } from 'node:http';
import { CountersignError, type ErrorCode, meaningOf } from '../base/errors.ts';

const HTTP_ONLY = {
  no_such_route: 404,
  method_not_allowed: 405,
  request_timeout: 408,
  payload_too_large: 413,
  unsupported_media_type: 415,
  idempotency_key_reused: 422,
  headers_too_large: 431,
  not_ready: 503,
} as const satisfies Record<string, number>;

export type ProblemCode = ErrorCode | keyof typeof HTTP_ONLY;

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

/** What a handler has to say: a status and a JSON body. A refusal is an answer like another. */
export interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

function isHttpOnly(code: ProblemCode): code is keyof typeof HTTP_ONLY {
  return Object.hasOwn(HTTP_ONLY, code);
}

/** `detail` is shown to the caller as it is. `members` are extension members (RFC 9457 section 3.2). */
export function problem(
  code: ProblemCode,
  detail: string,
  members: Readonly<Record<string, unknown>> = {},
): Answer {
  const status = isHttpOnly(code) ? HTTP_ONLY[code] : meaningOf(code).http;
  return {
    status,
    body: {
      type: `urn:countersign:problem:${code}`,
      title: STATUS_CODES[status] ?? 'Error',
      status,
      detail,
      code,
      ...members,
    },
  };
}

/** What fastify itself finds wrong with a request, by its error codes. */
const FASTIFY_ERRORS: Readonly<Record<string, readonly [ProblemCode, string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['payload_too_large', 'the body is larger than 64 KiB'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['unsupported_media_type', 'send the body as application/json'],
  FST_ERR_CTP_EMPTY_JSON_BODY: ['bad_request', 'the body is empty; a JSON object is expected'],
  FST_ERR_CTP_INVALID_JSON_BODY: ['bad_request', 'the body is not valid JSON'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['bad_request', 'the body is not as long as Content-Length says'],
  FST_ERR_BAD_URL: ['bad_request', 'the path is not a valid URL'],
};

/** Turns whatever was thrown into an answer. An unexpected error tells the caller nothing but that it happened. */
export function problemOf(error: unknown): Answer {
  if (error instanceof CountersignError && error.code !== 'internal') {
    return problem(error.code, error.message, error.hint === undefined ? {} : { hint: error.hint });
  }
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined;
  const known = typeof code === 'string' && Object.hasOwn(FASTIFY_ERRORS, code) && FASTIFY_ERRORS[code];
  if (known) return problem(...known);
  const status: unknown = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined;
  // The JSON parser and the framework's smaller complaints: the caller's fault, but their words are not ours to show.
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return problem('bad_request', 'the request could not be read; is the body valid JSON?');
  }
  return problem('internal', 'something went wrong on our side; the server log has the particulars');
}
