// The config file, read whole: shape (config/schema.ts), environment and files filled in, and everything checked that
// can be checked before a socket is opened. Only the command line reads this; the parts get plain options from it.
import { type Problem, ProblemsError } from './base/problem.ts';
import { inOrder, problemsOf } from './base/schema.ts';
import type { Secret } from './base/secret.ts';
import { readYaml } from './base/yaml.ts';
import { fillReferences, hideReferences, showReferences } from './config/environment.ts';
import { References, type ServerTls } from './config/references.ts';
import { configSchema } from './config/schema.ts';
import { configOf } from './config/settings.ts';
import type { BudgetLimits } from './gate/budget.ts';

export interface DatabaseConfig {
  readonly host: string;
  readonly port: number;
  /** Its name on the server; that in the config is what agents connect to. */
  readonly database: string;
  readonly user: string;
  readonly password: Secret | null;
  readonly tls: 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';
  /** PEM; null: the certificates that Node trusts. */
  readonly tlsCa: string | null;
}

export interface AgentConfig {
  readonly name: string;
  readonly owner: string;
  /** In Postgres's own form, `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`. */
  readonly scram: Secret;
  readonly databases: readonly string[];
  readonly groups: readonly string[];
  readonly maxSessions: number | null;
}

export interface IssuerConfig {
  readonly issuer: string;
  readonly audience: readonly string[];
  readonly jwks: string;
  readonly algorithms: readonly string[];
}

export interface ApproverConfig {
  readonly name: string;
  readonly groups: readonly string[];
  /** `sha256:` and 64 hex digits. */
  readonly token: string;
}

export interface WebhookConfig {
  readonly type: 'webhook';
  /** May hold a token of the receiver's. */
  readonly url: Secret;
  /** `whsec_` and base64. */
  readonly secret: Secret;
  readonly allowPrivate: boolean;
}

export interface Config {
  readonly file: string;
  readonly warnings: readonly Problem[];
  readonly node: string;
  readonly listen: {
    readonly host: string;
    readonly port: number;
    readonly tls: (ServerTls & { readonly clientCa: string | null }) | null;
    readonly allowPlaintext: boolean;
  };
  readonly databases: ReadonlyMap<string, DatabaseConfig>;
  readonly agents: readonly AgentConfig[];
  readonly identity: { readonly issuers: readonly IssuerConfig[] };
  readonly approvers: readonly ApproverConfig[];
  /** Absolute paths. */
  readonly rules: readonly string[];
  readonly holds: {
    readonly store: 'memory' | 'redis';
    /** The URL, with the password that may be in it. Not null when store is redis. */
    readonly redis: Secret | null;
    readonly waitMs: number;
    readonly waitInTransactionMs: number;
    readonly ttlMs: number;
    readonly grantMs: number;
    readonly noticeMs: number;
  };
  readonly catalog: { readonly maxAgeMs: number };
  readonly audit: {
    /** Absolute path. */
    readonly dir: string;
    readonly key: Secret | null;
    readonly durability: 'standard' | 'strict';
  };
  readonly notify: readonly WebhookConfig[];
  readonly http: {
    readonly host: string;
    readonly port: number;
    /** Without a slash at its end. */
    readonly publicUrl: string;
    readonly tls: ServerTls | null;
  };
  readonly budgets: BudgetLimits;
  readonly limits: {
    readonly connections: number;
    readonly connectionsPerAgent: number | null;
    readonly connectionsPerAddress: number | null;
    readonly unauthenticated: number;
    readonly startupMs: number;
    readonly authenticationMs: number;
    readonly idleMs: number | null;
    readonly idleInTransactionMs: number | null;
    readonly frameBytes: number;
    readonly backlogBytes: number;
    readonly statements: number;
    readonly preparedStatements: number;
    readonly preparedBytes: number;
  };
}

export interface ConfigReading {
  /** null when there are problems. */
  readonly config: Config | null;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
  /** The rule files it names, absolute, as far as they could be made out: `check` looks into them in any case. */
  readonly rules: readonly string[];
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads and checks `file`. Throws ProblemsError (code `config`) that lists everything wrong with it. */
export function loadConfig(file: string, env: Environment = process.env): Config {
  const { config, problems } = readConfig(file, env);
  if (config === null) throw new ProblemsError('config', problems);
  return config;
}

/** As `loadConfig`, for who wants to go on in spite of problems. */
export function readConfig(file: string, env: Environment = process.env): ConfigReading {
  const source = readYaml(file, hideReferences);
  if (!('value' in source)) return { config: null, problems: [source], warnings: [], rules: [] };
  if (source.problems.length > 0)
    return { config: null, problems: shown(source.problems), warnings: [], rules: [] };

  const unfilled = fillReferences(source, env);
  const value = source.value();
  const references = new References(source);
  const rules = rulesIn(value).map((rule) => references.rules(rule));
  const parsed = configSchema.safeParse(value);
  if (!parsed.success) {
    const known = new Set(unfilled.map((problem) => `${problem.line}:${problem.column}`));
    const others = problemsOf(parsed.error, source).filter(
      ({ line, column }) => !known.has(`${line}:${column}`),
    );
    return { config: null, problems: shown([...unfilled, ...others]), warnings: [], rules };
  }
  const config = configOf(parsed.data, source.file, references);
  const problems = shown([...unfilled, ...references.problems]);
  const warnings = inOrder(references.warnings);
  return { config: problems.length > 0 ? null : { ...config, warnings }, problems, warnings, rules };
}

function shown(problems: readonly Problem[]): Problem[] {
  return inOrder(problems.map((problem) => ({ ...problem, message: showReferences(problem.message) })));
}

function rulesIn(value: unknown): string[] {
  const rules = typeof value === 'object' && value !== null && 'rules' in value ? value.rules : [];
  return Array.isArray(rules) ? rules.filter((rule) => typeof rule === 'string' && rule !== '') : [];
}
