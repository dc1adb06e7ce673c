// The HTTP API as the commands use it, and the options that every one of them takes to reach it.
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { CountersignError, type ErrorCode } from '../base/errors.ts';
import { type HoldId, parseHoldId } from '../base/ids.ts';
import type { HoldDocument } from '../holds/document.ts';
import type { Terminal } from './terminal.ts';

const DEFAULT_URL = 'http://127.0.0.1:8432';
const TIMEOUT_MS = 15_000;
/** A prefix shorter than this is a slip of the finger, however unambiguous. */
const MIN_PREFIX = 4;

export interface ApiOptions {
  readonly url?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly json?: boolean;
}

interface Ballot {
  readonly decision: 'approve' | 'deny';
  readonly reason: string | null;
  readonly statement_sha256: string;
  readonly version: number;
}

/** A command that talks to the API: `--url`, `--token`, `--json`, and failures as exceptions for main to print. */
export function apiCommand(name: string, terminal: Terminal): Command {
  return new Command(name)
    .option('--url <url>', `where the API is (default: COUNTERSIGN_URL or ${DEFAULT_URL})`)
    .option('--token <token>', 'your approver token (default: COUNTERSIGN_TOKEN)')
    .option('--token-file <file>', 'read the token from a file, out of sight of other users')
    .option('--json', 'print JSON, for a program')
    .exitOverride()
    .configureOutput({ writeOut: terminal.out, writeErr: terminal.err });
}

export class HoldsApi {
  readonly #base: string;
  readonly #token: string;

  constructor(options: ApiOptions, terminal: Terminal) {
    const url = parseBase(options.url ?? terminal.env['COUNTERSIGN_URL'] ?? DEFAULT_URL);
    this.#base = url.href.replace(/\/+$/, '');
    this.#token = readToken(options, terminal);
    if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
      terminal.err(
        `countersign: warning: ${url.host} is reached without TLS; your token can be read on the way\n`,
      );
    }
  }

  async list(state: 'pending' | 'open' | 'all'): Promise<{ holds: HoldDocument[]; total: number }> {
    return this.#request('GET', `/v1/holds?state=${state}`, isHoldList);
  }

  /** By id, or by as much of one as fits a single hold. */
  async find(idOrPrefix: string): Promise<HoldDocument> {
    return this.get(parseHoldId(idOrPrefix) ?? (await this.#idOf(idOrPrefix)));
  }

  async get(id: HoldId): Promise<HoldDocument> {
    return this.#request('GET', `/v1/holds/${id}`, isHold);
  }

  async vote(id: HoldId, ballot: Ballot): Promise<HoldDocument> {
    return this.#request('POST', `/v1/holds/${id}/votes`, isHold, ballot);
  }

  async #idOf(prefix: string): Promise<HoldId> {
    const start = `h_${prefix.toLowerCase().replace(/^h_/, '')}`;
    if (start.length < MIN_PREFIX + 2) {
      throw new CountersignError('usage', `give at least ${MIN_PREFIX} characters of the id after h_`);
    }
    const { holds } = await this.list('all');
    const ids = holds.map(({ id }) => id).filter((id) => id.startsWith(start));
    const [id, another] = ids;
    if (id === undefined) throw new CountersignError('not_found', `there is no hold ${start}…`);
    if (another !== undefined) {
      throw new CountersignError('usage', `${start} is the beginning of ${ids.length} ids: ${ids.join(' ')}`);
    }
    return id;
  }

  async #request<T>(
    method: 'GET' | 'POST',
    path: string,
    isExpected: (body: unknown) => body is T,
    body?: object,
  ): Promise<T> {
    let response: Response;
    let text: string;
    try {
      response = await fetch(this.#base + path, {
        method,
        headers: {
          authorization: `Bearer ${this.#token}`,
          accept: 'application/json',
          'x-countersign-channel': 'cli',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        // The token is for this address and for no other that it may point to.
        redirect: 'error',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      text = await response.text();
    } catch (error) {
      throw unreachable(this.#base, error);
    }
    const answer = parseJson(text);
    if (!response.ok) throw refusal(this.#base, response.status, answer);
    if (isExpected(answer)) return answer;
    throw notCountersign(this.#base, response.status);
  }
}

function parseBase(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '') {
    throw new CountersignError('usage', `not an http or https URL: ${text}`);
  }
  return url;
}

function readToken(options: ApiOptions, terminal: Terminal): string {
  const token =
    options.token ??
    (options.tokenFile === undefined ? terminal.env['COUNTERSIGN_TOKEN'] : readTokenFile(options.tokenFile));
  if (!token) {
    throw new CountersignError('usage', 'no approver token', {
      hint: 'set COUNTERSIGN_TOKEN, or use --token or --token-file',
    });
  }
  // Never in the message: it would end in a terminal's scrollback and in CI logs.
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new CountersignError(
      'usage',
      'the token has characters that no token has (a line break, a space?)',
    );
  }
  return token;
}

function readTokenFile(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    throw new CountersignError('usage', `cannot read the token file ${file}`, { cause });
  }
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\./.test(hostname);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return value !== null && typeof value === 'object';
}

/** Enough to know that it is Countersign which answered; its own documents are trusted to be whole. */
function isHold(body: unknown): body is HoldDocument {
  return isObject(body) && typeof body['id'] === 'string' && isObject(body['statement']);
}

function isHoldList(body: unknown): body is { holds: HoldDocument[]; total: number } {
  return isObject(body) && Array.isArray(body['holds']) && body['holds'].every(isHold);
}

function unreachable(base: string, error: unknown): CountersignError {
  const hint = 'is `countersign serve` running there? Name another address with --url or COUNTERSIGN_URL';
  return new CountersignError(
    'approvals_unavailable',
    `cannot reach Countersign at ${base}: ${reasonOf(error)}`,
    {
      hint,
      cause: error,
    },
  );
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection closed',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the name cannot be looked up',
  UND_ERR_SOCKET: 'connection closed',
};

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  if (error.name === 'TimeoutError') return 'no answer in time';
  const cause: unknown = error.cause;
  if (!(cause instanceof Error)) return error.message;
  const code = 'code' in cause ? String(cause.code) : '';
  return REASONS[code] ?? cause.message;
}

/** The refusals that mean something to the caller of a command. */
const KNOWN_CODES: readonly ErrorCode[] = [
  'bad_request',
  'authentication',
  'self_approval',
  'not_an_approver',
  'stale',
  'decided',
  'not_found',
  'expired',
  'approvals_unavailable',
  'log_unwritable',
];

const HINTS: Partial<Record<ErrorCode, string>> = {
  authentication: 'the token was not accepted: see --token, COUNTERSIGN_TOKEN',
  stale: 'look at it again and decide anew',
};

function refusal(base: string, status: number, answer: unknown): CountersignError {
  if (!isObject(answer) || typeof answer['detail'] !== 'string') return notCountersign(base, status);
  const code = KNOWN_CODES.find((known) => known === answer['code']) ?? 'internal';
  const hint = HINTS[code];
  return new CountersignError(code, answer['detail'], hint === undefined ? {} : { hint });
}

function notCountersign(base: string, status: number): CountersignError {
  return new CountersignError(
    'internal',
    `${base} answered (status ${status}), but not as Countersign does`,
    {
      hint: 'is --url the address of the HTTP API, without a path?',
    },
  );
}
