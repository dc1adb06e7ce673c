// The shape of the config file: every name it may hold, with its default. What a value means beyond its shape (files
// that must exist, names that must agree) is checked in ../config.ts.
import { z } from 'zod';
import { duration, flag, integer, size, strict, strings } from '../base/schema.ts';

const port = integer(1, 65535);
/** 0 lets the system choose, for tests and demos. */
const listenPort = integer(0, 65535);
const text = z.string().min(1);
/** Agents, databases, groups, nodes: what ends up in startup packets, URLs and records. */
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,62}$/;
const name = z.string().regex(NAME, 'must be 1 to 63 letters, digits, _ . @ and -');
/** People are named by their addresses. */
const person = z
  .string()
  .min(1)
  .max(254)
  .regex(/^[^\s\p{C}]+$/u, 'must not have spaces or control characters');

const milliseconds = (fallback: string) => duration.prefault(fallback);
const bytes = (fallback: string) => size.prefault(fallback);

const HOST = /^[A-Za-z0-9_.:%-]+$/;
const host = z.string().regex(HOST, 'must be a host name or an IP address (Unix sockets are not supported)');

const serverTls = strict({ cert: text, key: text });

const listen = strict({
  host: host.default('127.0.0.1'),
  port: listenPort.default(6432),
  tls: strict({ cert: text, key: text, clientCa: text.optional() }).optional(),
  /** Passwords and data in the clear on a network: for containers behind something that encrypts. */
  dangerouslyAllowPlaintext: flag.default(false),
});

const database = strict({
  host,
  port: port.default(5432),
  database: text.optional(),
  user: text,
  password: text.optional(),
  tls: z.enum(['disable', 'prefer', 'require', 'verify-ca', 'verify-full']).optional(),
  tlsCa: text.optional(),
});

const agent = strict({
  name,
  owner: person,
  scram: text,
  databases: z.array(name).min(1),
  groups: z.array(name).default([]),
  maxSessions: integer(1, 100_000).optional(),
});

/** Asymmetric only: an algorithm with a shared secret would let every verifier issue tokens. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const;

const issuer = strict({
  issuer: text,
  audience: z.union([text, strings.min(1)]),
  jwks: text,
  algorithms: z.array(z.enum(ALGORITHMS)).min(1).default(['RS256', 'PS256', 'ES256', 'EdDSA']),
});

const approver = strict({
  name: person,
  groups: z.array(name).default([]),
  token: text,
});

const holds = strict({
  store: z.enum(['memory', 'redis']).default('memory'),
  redis: text.optional(),
  wait: duration.optional(),
  waitInTransaction: duration.optional(),
  ttl: milliseconds('30m'),
  grant: milliseconds('5m'),
  notice: milliseconds('15s'),
});

const audit = strict({
  dir: text.default('./audit'),
  key: text.optional(),
  durability: z.enum(['standard', 'strict']).default('standard'),
});

const rows = integer(1, Number.MAX_SAFE_INTEGER);
/** What may go out before a person is asked, under rules that are enforced. */
const budgets = strict({
  statementRows: rows.default(10_000),
  statementBytes: bytes('10MiB'),
  sessionRows: rows.default(100_000),
  sessionBytes: bytes('100MiB'),
  agentRows: rows.default(1_000_000),
  agentBytes: bytes('1GiB'),
  /** How long what a session or an agent has been sent counts. */
  window: milliseconds('1h'),
});

const notify = strict({
  type: z.enum(['webhook', 'slack', 'teams']),
  url: text,
  secret: text.optional(),
  /** Lets the URL be http and the address private; for receivers in the same network. */
  allowPrivate: flag.default(false),
});

const http = strict({
  host: host.default('127.0.0.1'),
  port: listenPort.default(8432),
  publicUrl: text.optional(),
  tls: serverTls.optional(),
  dangerouslyAllowPlaintext: flag.default(false),
});

const limits = strict({
  connections: integer(1, 100_000).default(1000),
  connectionsPerAgent: integer(1, 100_000).optional(),
  connectionsPerAddress: integer(1, 100_000).optional(),
  /** Connections that have not proved who they are. One more takes the place of the oldest. */
  unauthenticated: integer(1, 100_000).default(200),
  /** From the first byte to a complete startup packet, TLS handshake included. */
  startup: milliseconds('10s'),
  /** From the startup packet to a proven identity. */
  authentication: milliseconds('10s'),
  /** A session with nothing under way, as idle_session_timeout of the server; no limit when it is not set. */
  idle: duration.optional(),
  /** The same within a transaction, as idle_in_transaction_session_timeout. */
  idleInTransaction: duration.optional(),
  frame: bytes('64MiB'),
  /** What a client may send behind a statement that is held. */
  backlog: bytes('1MiB'),
  /** Statements in one frame; more are not understood. */
  statements: integer(1, 100_000).default(1000),
  /** Prepared statements, and portals, that one session may have. */
  preparedStatements: integer(1, 1_000_000).default(10_000),
  /** Bytes of their texts and of the values bound to portals that one session may have kept here. */
  prepared: bytes('128MiB'),
});

const catalog = strict({
  /** Nothing is judged by what the database's catalog was longer ago than this. */
  maxAge: milliseconds('30s'),
});

export const configSchema = strict({
  node: name.optional(),
  listen: listen.prefault({}),
  databases: z
    .record(name, database)
    .refine((all) => Object.keys(all).length > 0, 'must name at least one database'),
  agents: z.array(agent).default([]),
  identity: strict({ issuers: z.array(issuer).default([]) }).prefault({}),
  approvers: z.array(approver).default([]),
  rules: strings.min(1),
  holds: holds.prefault({}),
  catalog: catalog.prefault({}),
  audit: audit.prefault({}),
  budgets: budgets.prefault({}),
  notify: z.array(notify).default([]),
  http: http.prefault({}),
  limits: limits.prefault({}),
});

export type ConfigText = z.infer<typeof configSchema>;
