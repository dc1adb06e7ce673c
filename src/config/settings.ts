// From the shape of the config file to its meaning, one section of the file per function: references followed, and
// everything checked that no shape can say. Complaints go to References, which knows where each value stands.
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { randomSecret } from '../base/ids.ts';
import { suggestion } from '../base/nearest.ts';
import type { Path } from '../base/yaml.ts';
import type {
  AgentConfig,
  ApproverConfig,
  Config,
  DatabaseConfig,
  IssuerConfig,
  WebhookConfig,
} from '../config.ts';
import type { References } from './references.ts';
import type { ConfigText } from './schema.ts';

export function configOf(text: ConfigText, file: string, check: References): Config {
  unique(text.agents, 'agents', check);
  unique(text.approvers, 'approvers', check);
  if (text.agents.length === 0 && text.identity.issuers.length === 0) {
    check.warn(['agents'], 'are none and identity.issuers neither: nobody can connect');
  }
  if (text.approvers.length === 0) check.warn(['approvers'], 'are none: what is held can only expire');
  return {
    file,
    warnings: [],
    node: nodeOf(text, check),
    listen: listenOf(text.listen, check),
    databases: new Map(
      Object.entries(text.databases).map(([name, database]) => [name, databaseOf(name, database, check)]),
    ),
    agents: text.agents.map((agent, i) => agentOf(agent, ['agents', i], Object.keys(text.databases), check)),
    identity: {
      issuers: text.identity.issuers.map((one, i) => issuerOf(one, ['identity', 'issuers', i], check)),
    },
    approvers: approversOf(text.approvers, check),
    rules: text.rules.map((rule) => check.rules(rule)),
    holds: holdsOf(text.holds, check),
    catalog: { maxAgeMs: text.catalog.maxAge },
    audit: {
      dir: check.path(text.audit.dir),
      key: check.optionalSecret(['audit', 'key'], text.audit.key),
      durability: text.audit.durability,
    },
    notify: text.notify.flatMap((one, i) => webhookOf(one, ['notify', i], check) ?? []),
    http: httpOf(text.http, check),
    budgets: budgetsOf(text.budgets),
    limits: {
      connections: text.limits.connections,
      connectionsPerAgent: text.limits.connectionsPerAgent ?? null,
      connectionsPerAddress: text.limits.connectionsPerAddress ?? null,
      unauthenticated: text.limits.unauthenticated,
      startupMs: text.limits.startup,
      authenticationMs: text.limits.authentication,
      idleMs: text.limits.idle ?? null,
      idleInTransactionMs: text.limits.idleInTransaction ?? null,
      frameBytes: text.limits.frame,
      backlogBytes: text.limits.backlog,
      statements: text.limits.statements,
      preparedStatements: text.limits.preparedStatements,
      preparedBytes: text.limits.prepared,
    },
  };
}

function unique(entries: readonly { readonly name: string }[], list: string, check: References): void {
  const seen = new Set<string>();
  entries.forEach(({ name }, i) => {
    if (seen.has(name)) check.fail([list, i, 'name'], `"${name}" is there already`);
    seen.add(name);
  });
}

function nodeOf(text: ConfigText, check: References): string {
  if (text.node !== undefined) return text.node;
  if (text.holds.store === 'memory') return 'node-1';
  check.warn(
    ['holds', 'store'],
    `is redis but "node" is not set: this process gets a random name at every start`,
  );
  return `node-${randomSecret(4).toString('hex')}`;
}

function isLoopback(host: string): boolean {
  if (host === 'localhost') return true;
  return isIP(host) !== 0 && ipaddr.process(host).range() === 'loopback';
}

const PLAINTEXT_WARNING = 'is on: passwords and data travel in the clear';

function listenOf(text: ConfigText['listen'], check: References): Config['listen'] {
  if (text.dangerouslyAllowPlaintext) check.warn(['listen', 'dangerouslyAllowPlaintext'], PLAINTEXT_WARNING);
  else if (text.tls === undefined && !isLoopback(text.host)) {
    check.fail(
      ['listen', 'host'],
      `is open to other machines: configure listen.tls { cert, key } (behind something that encrypts, such as a service mesh, set listen.dangerouslyAllowPlaintext: true)`,
    );
  }
  const tls = text.tls && {
    ...check.serverTls(['listen', 'tls'], text.tls),
    clientCa:
      text.tls.clientCa === undefined
        ? null
        : check.certificate(['listen', 'tls', 'clientCa'], text.tls.clientCa),
  };
  const { host, port, dangerouslyAllowPlaintext: allowPlaintext } = text;
  return { host, port, tls: tls ?? null, allowPlaintext };
}

function databaseOf(name: string, text: ConfigText['databases'][string], check: References): DatabaseConfig {
  const path = ['databases', name];
  if (text.tls === undefined && !isLoopback(text.host)) {
    check.warn(
      path,
      'has no tls: "prefer" does not prove that the server is the right one; verify-full does',
    );
  }
  const tls = text.tls ?? 'prefer';
  if (text.tlsCa !== undefined && !tls.startsWith('verify-')) {
    check.fail([...path, 'tlsCa'], `has no effect with tls: ${tls}; write verify-ca or verify-full`);
  }
  return {
    host: text.host,
    port: text.port,
    database: text.database ?? name,
    user: text.user,
    password: check.optionalSecret([...path, 'password'], text.password),
    tls,
    tlsCa: text.tlsCa === undefined ? null : check.certificate([...path, 'tlsCa'], text.tlsCa),
  };
}

const SCRAM = /^SCRAM-SHA-256\$(\d{1,9}):([A-Za-z0-9+/]+={0,2})\$([A-Za-z0-9+/]{43}=):([A-Za-z0-9+/]{43}=)$/;
/** Postgres's own default; RFC 7677 asks for no less. */
const MIN_SCRAM_ITERATIONS = 4096;

function agentOf(
  text: ConfigText['agents'][number],
  path: Path,
  databases: readonly string[],
  check: References,
): AgentConfig {
  text.databases.forEach((name, i) => {
    if (databases.includes(name)) return;
    const hint = suggestion(name, databases);
    check.fail([...path, 'databases', i], `"${name}" is not one of the databases${hint}`);
  });
  const scram = check.secret([...path, 'scram'], text.scram);
  const match = SCRAM.exec(scram.reveal());
  if (match === null) {
    check.failUnlessFailed(
      [...path, 'scram'],
      'is not a SCRAM secret (SCRAM-SHA-256$…): make one with `countersign secret`',
    );
  } else if (Number(match[1]) < MIN_SCRAM_ITERATIONS) {
    check.fail([...path, 'scram'], `has fewer than ${MIN_SCRAM_ITERATIONS} iterations`);
  }
  return {
    name: text.name,
    owner: text.owner,
    scram,
    databases: text.databases,
    groups: text.groups,
    maxSessions: text.maxSessions ?? null,
  };
}

function urlOf(written: string): URL | null {
  try {
    return new URL(written);
  } catch {
    return null;
  }
}

/** Without the brackets that a URL puts around an IPv6 address. */
function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

/** https, or http to this machine. */
function checkUrl(written: string, path: Path, check: References): void {
  const url = urlOf(written);
  if (url?.protocol === 'https:') return;
  if (url?.protocol !== 'http:' || !isLoopback(hostOf(url))) check.fail(path, 'must be an https URL');
}

function issuerOf(
  text: ConfigText['identity']['issuers'][number],
  path: Path,
  check: References,
): IssuerConfig {
  checkUrl(text.issuer, [...path, 'issuer'], check);
  checkUrl(text.jwks, [...path, 'jwks'], check);
  const audience = typeof text.audience === 'string' ? [text.audience] : text.audience;
  return { issuer: text.issuer, audience, jwks: text.jwks, algorithms: text.algorithms };
}

function budgetsOf(text: ConfigText['budgets']): Config['budgets'] {
  return {
    statement: { rows: text.statementRows, bytes: text.statementBytes },
    session: { rows: text.sessionRows, bytes: text.sessionBytes },
    agent: { rows: text.agentRows, bytes: text.agentBytes },
    windowMs: text.window,
  };
}

const TOKEN = /^sha256:[0-9a-f]{64}$/;

function approversOf(texts: ConfigText['approvers'], check: References): ApproverConfig[] {
  const seen = new Map<string, string>();
  return texts.map((text, i) => {
    const token = check.secret(['approvers', i, 'token'], text.token).reveal().toLowerCase();
    const path = ['approvers', i, 'token'];
    if (!TOKEN.test(token)) {
      check.failUnlessFailed(
        path,
        'must be the hash of a token, "sha256:" and 64 hex digits: make both with `countersign token`',
      );
    } else {
      const first = seen.get(token);
      if (first !== undefined)
        check.fail(path, `is the one of ${first} too: everybody needs one of their own`);
      seen.set(token, text.name);
    }
    return { name: text.name, groups: text.groups, token };
  });
}

/** Below the 60 s after which the tools of many agents give up. */
const WAIT_MS = 45_000;
const WAIT_IN_TRANSACTION_MS = 10_000;

function holdsOf(text: ConfigText['holds'], check: References): Config['holds'] {
  if (text.store === 'redis' && text.redis === undefined) {
    check.fail(['holds', 'store'], 'is redis: holds.redis must say where, such as redis://127.0.0.1:6379');
  }
  const waitMs = text.wait ?? Math.min(WAIT_MS, text.ttl);
  const waitInTransactionMs = text.waitInTransaction ?? Math.min(WAIT_IN_TRANSACTION_MS, waitMs);
  if (waitMs > text.ttl) check.fail(['holds', 'wait'], 'must not be longer than holds.ttl');
  if (waitInTransactionMs > waitMs) {
    check.fail(
      ['holds', 'waitInTransaction'],
      'must not be longer than holds.wait: locks are held meanwhile',
    );
  }
  const redis = check.optionalSecret(['holds', 'redis'], text.redis);
  if (redis !== null && !/^rediss?:$/.test(urlOf(redis.reveal())?.protocol ?? '')) {
    check.failUnlessFailed(['holds', 'redis'], 'must be a redis:// or rediss:// URL');
  }
  return {
    store: text.store,
    redis,
    waitMs,
    waitInTransactionMs,
    ttlMs: text.ttl,
    grantMs: text.grant,
    noticeMs: text.notice,
  };
}

function webhookOf(text: ConfigText['notify'][number], path: Path, check: References): WebhookConfig | null {
  if (text.type !== 'webhook') {
    check.fail([...path, 'type'], `"${text.type}" is not available in this version: use a webhook`);
    return null;
  }
  const url = check.secret([...path, 'url'], text.url);
  const target = urlOf(url.reveal());
  // Who writes this machine's own address into the config means it; no name that others control can lead there.
  const allowPrivate = text.allowPrivate || (target !== null && isLoopback(hostOf(target)));
  if (target?.protocol !== 'https:' && !(target?.protocol === 'http:' && allowPrivate)) {
    check.failUnlessFailed(
      [...path, 'url'],
      'must be an https URL (http is for receivers in your own network, with allowPrivate: true)',
    );
  }
  if (text.secret === undefined) {
    check.fail(path, 'needs a secret to sign with, "whsec_" and 24 to 64 bytes in base64');
    return null;
  }
  const secret = check.secret([...path, 'secret'], text.secret);
  const encoded = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret.reveal())?.[1] ?? '';
  const byteLength = Buffer.from(encoded, 'base64').length;
  if (byteLength < 24 || byteLength > 64) {
    check.failUnlessFailed([...path, 'secret'], 'must be "whsec_" and 24 to 64 bytes in base64');
  }
  return { type: 'webhook', url, secret, allowPrivate };
}

function httpOf(text: ConfigText['http'], check: References): Config['http'] {
  const tls = text.tls === undefined ? null : check.serverTls(['http', 'tls'], text.tls);
  const shownHost = isIP(text.host) === 6 ? `[${text.host}]` : text.host;
  const publicUrl = text.publicUrl ?? `${tls === null ? 'http' : 'https'}://${shownHost}:${text.port}`;
  const url = urlOf(publicUrl);
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '') {
    check.fail(['http', 'publicUrl'], 'must be an http or https URL without a query');
  }
  if (text.dangerouslyAllowPlaintext) {
    check.warn(['http', 'dangerouslyAllowPlaintext'], 'is on: tokens and statements travel in the clear');
  } else if (tls === null && !isLoopback(text.host) && url?.protocol !== 'https:') {
    check.fail(
      ['http', 'host'],
      `is open to other machines: configure http.tls { cert, key }, or http.publicUrl with https where a reverse proxy encrypts (or set http.dangerouslyAllowPlaintext: true)`,
    );
  }
  return { host: text.host, port: text.port, publicUrl: publicUrl.replace(/\/+$/, ''), tls };
}
