// One error class with a closed set of codes, and the one table that says what each code means on every
// surface: to a Postgres client (SQLSTATE), over HTTP (status), to a shell (exit code).
// Adding a kind of error is adding a row here.
import type { Limit } from './limit.ts';

interface Meaning {
  /** SQLSTATE sent to a Postgres client. Class Z is ours (the SQL standard leaves I–Z to implementations). */
  readonly sqlstate: string;
  readonly http: number;
  /** 1: the answer is no, or the work failed; 2: the caller's words or files are wrong. */
  readonly exit: 1 | 2;
}

const MEANINGS = {
  // What the operator wrote.
  usage: { sqlstate: 'XX000', http: 400, exit: 2 },
  config: { sqlstate: 'F0000', http: 500, exit: 2 },
  rules: { sqlstate: 'F0000', http: 500, exit: 2 },
  // What a client sent.
  protocol_violation: { sqlstate: '08P01', http: 400, exit: 1 },
  feature_not_supported: { sqlstate: '0A000', http: 501, exit: 1 },
  invalid_parameter: { sqlstate: '22023', http: 400, exit: 1 },
  bad_request: { sqlstate: '22023', http: 400, exit: 2 },
  limit: { sqlstate: '53400', http: 429, exit: 1 },
  too_many_connections: { sqlstate: '53300', http: 429, exit: 1 },
  // Who it is.
  authentication: { sqlstate: '28P01', http: 401, exit: 1 },
  authorization: { sqlstate: '28000', http: 403, exit: 1 },
  unknown_database: { sqlstate: '3D000', http: 404, exit: 1 },
  // What was decided.
  denied: { sqlstate: '42501', http: 403, exit: 1 },
  pending: { sqlstate: 'ZC001', http: 202, exit: 1 },
  expired: { sqlstate: 'ZC002', http: 410, exit: 1 },
  cancelled: { sqlstate: '57014', http: 410, exit: 1 },
  self_approval: { sqlstate: '42501', http: 403, exit: 1 },
  not_an_approver: { sqlstate: '42501', http: 403, exit: 1 },
  stale: { sqlstate: '40001', http: 412, exit: 1 },
  decided: { sqlstate: '55000', http: 409, exit: 1 },
  not_found: { sqlstate: '02000', http: 404, exit: 1 },
  transaction_aborted: { sqlstate: '25P02', http: 409, exit: 1 },
  // What took too long; the server's own words and codes for the same.
  idle_session: { sqlstate: '57P05', http: 408, exit: 1 },
  idle_in_transaction: { sqlstate: '25P03', http: 408, exit: 1 },
  // What is down.
  approvals_unavailable: { sqlstate: 'ZC003', http: 503, exit: 1 },
  log_unwritable: { sqlstate: '58030', http: 503, exit: 1 },
  upstream_unavailable: { sqlstate: '08006', http: 502, exit: 1 },
  shutting_down: { sqlstate: '57P01', http: 503, exit: 1 },
  // The log, read back.
  log_invalid: { sqlstate: 'XX001', http: 500, exit: 1 },
  internal: { sqlstate: 'XX000', http: 500, exit: 1 },
} as const satisfies Record<string, Meaning>;

export type ErrorCode = keyof typeof MEANINGS;

export interface ErrorExtras {
  /** One line of JSON or plain text with the particulars. */
  readonly detail?: string;
  /** What to do next, in a person's words. */
  readonly hint?: string;
  readonly cause?: unknown;
  /** Which limit was met; it is recorded. */
  readonly limit?: Limit;
}

/** An expected failure: its text is safe to show to whoever caused it. Anything else that is thrown is a bug. */
export class CountersignError extends Error {
  readonly code: ErrorCode;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  readonly limit: Limit | undefined;

  constructor(code: ErrorCode, message: string, extras: ErrorExtras = {}) {
    super(message, extras.cause === undefined ? undefined : { cause: extras.cause });
    this.name = 'CountersignError';
    this.code = code;
    this.detail = extras.detail;
    this.hint = extras.hint;
    this.limit = extras.limit;
  }
}

/** What `code` means on each surface. */
export function meaningOf(code: ErrorCode): Meaning {
  return MEANINGS[code];
}
