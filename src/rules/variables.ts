// What a condition can look at: the CEL variables, their fields and types, over our own values. The views hold
// nothing but a reference and convert on access, so judging a statement copies and allocates next to nothing.
import { Environment } from '@marcbachmann/cel-js';
import type { Facts, FunctionUse, RelationUse, SettingUse, StatementClass, Unknown } from '../sql/facts.ts';
import type { SessionVariables } from './verdict.ts';

type Fields = Readonly<Record<string, string>>;

/** Field → CEL type. What is absent is '' for a string and -1 for a number: CEL has no typed null. */
export const FIELDS = {
  Relation: { schema: 'string', name: 'string', use: 'string' },
  Function: { schema: 'string', name: 'string' },
  Setting: { name: 'string', value: 'string', how: 'string', dynamic: 'bool' },
  Statement: {
    text: 'string',
    known: 'bool',
    tags: 'list<string>',
    classes: 'list<string>',
    relations: 'list<Relation>',
    functions: 'list<Function>',
    settings: 'list<Setting>',
    where: 'string',
    limit: 'int',
    collects: 'bool',
    temporary: 'bool',
    lexing: 'bool',
    reasons: 'list<string>',
  },
  Session: {
    agent: 'string',
    owner: 'string',
    on_behalf_of: 'list<string>',
    groups: 'list<string>',
    claims: 'map<string, dyn>',
    database: 'string',
    role: 'string',
    client_address: 'string',
    in_transaction: 'bool',
    tls: 'bool',
  },
  Claimed: { application_name: 'string', purpose: 'string' },
  Time: { now: 'google.protobuf.Timestamp' },
} as const satisfies Record<string, Fields>;

/** What a view must answer, so that the compiler finds a field that is declared but not there. */
type View<Name extends keyof typeof FIELDS> = { readonly [F in keyof (typeof FIELDS)[Name]]: unknown };

class RelationView implements View<'Relation'> {
  readonly schema: string;
  readonly name: string;
  readonly use: string;
  constructor(relation: RelationUse) {
    this.schema = relation.schema ?? '';
    this.name = relation.name;
    this.use = relation.use;
  }
}

class FunctionView implements View<'Function'> {
  readonly schema: string;
  readonly name: string;
  constructor(called: FunctionUse) {
    this.schema = called.schema ?? '';
    this.name = called.name;
  }
}

class SettingView implements View<'Setting'> {
  readonly name: string;
  readonly value: string;
  readonly how: string;
  readonly dynamic: boolean;
  constructor(setting: SettingUse) {
    this.name = setting.name;
    this.value = setting.value ?? '';
    this.how = setting.how;
    this.dynamic = setting.dynamic;
  }
}

const NOTHING: readonly never[] = [];
const UNKNOWN_CLASSES: readonly StatementClass[] = ['unknown'];
const NO_LIMIT = -1n;

/** Made once per facts and kept as long as they are. A statement that is not known has no facts but its text. */
class StatementView implements View<'Statement'> {
  readonly #facts: Facts | null;
  readonly text: string;
  readonly known: boolean;
  readonly classes: readonly StatementClass[];
  readonly reasons: readonly string[];
  #relations: readonly RelationView[] | undefined;
  #functions: readonly FunctionView[] | undefined;
  #settings: readonly SettingView[] | undefined;

  constructor(statement: Facts | Unknown) {
    this.#facts = statement.known ? statement : null;
    this.text = statement.text;
    this.known = statement.known;
    this.classes = statement.known ? statement.classes : UNKNOWN_CLASSES;
    this.reasons = statement.known ? statement.reasons : [statement.detail];
  }
  get tags() {
    return this.#facts?.tags ?? NOTHING;
  }
  get relations() {
    this.#relations ??= this.#facts?.relations.map((relation) => new RelationView(relation)) ?? NOTHING;
    return this.#relations;
  }
  get functions() {
    this.#functions ??= this.#facts?.functions.map((called) => new FunctionView(called)) ?? NOTHING;
    return this.#functions;
  }
  get settings() {
    this.#settings ??= this.#facts?.settings.map((setting) => new SettingView(setting)) ?? NOTHING;
    return this.#settings;
  }
  get where() {
    return this.#facts?.where ?? 'absent';
  }
  get limit() {
    const limit = this.#facts?.limit ?? null;
    return limit === null ? NO_LIMIT : BigInt(Math.min(Math.trunc(limit), Number.MAX_SAFE_INTEGER));
  }
  get collects() {
    return this.#facts?.collects ?? false;
  }
  get temporary() {
    return this.#facts?.temporary ?? false;
  }
  get lexing() {
    return this.#facts?.lexing ?? false;
  }
}

class SessionView implements View<'Session'> {
  readonly #session: SessionVariables;
  constructor(session: SessionVariables) {
    this.#session = session;
  }
  get agent() {
    return this.#session.agent;
  }
  get owner() {
    return this.#session.owner;
  }
  get on_behalf_of() {
    return this.#session.onBehalfOf;
  }
  get groups() {
    return this.#session.groups;
  }
  get claims() {
    return this.#session.claims;
  }
  get database() {
    return this.#session.database;
  }
  get role() {
    return this.#session.role;
  }
  get client_address() {
    return this.#session.clientAddress;
  }
  get in_transaction() {
    return this.#session.inTransaction;
  }
  get tls() {
    return this.#session.tls;
  }
}

class ClaimedView implements View<'Claimed'> {
  readonly application_name: string;
  readonly purpose: string;
  constructor(claimed: SessionVariables['claimed']) {
    this.application_name = claimed.applicationName;
    this.purpose = claimed.purpose;
  }
}

class TimeView implements View<'Time'> {
  readonly now: Date;
  constructor(nowMs: number) {
    this.now = new Date(nowMs);
  }
}

/** Variable → type. */
export const VARIABLES = {
  statement: 'Statement',
  session: 'Session',
  claimed: 'Claimed',
  time: 'Time',
} as const satisfies Record<string, keyof typeof FIELDS>;

export function conditionEnvironment(): Environment {
  const limits = {
    maxAstNodes: 2000,
    maxDepth: 50,
    maxListElements: 500,
    maxMapEntries: 100,
    maxCallArguments: 16,
  };
  return new Environment({ limits })
    .registerType('Relation', { ctor: RelationView, fields: FIELDS.Relation })
    .registerType('Function', { ctor: FunctionView, fields: FIELDS.Function })
    .registerType('Setting', { ctor: SettingView, fields: FIELDS.Setting })
    .registerType('Statement', { ctor: StatementView, fields: FIELDS.Statement })
    .registerType('Session', { ctor: SessionView, fields: FIELDS.Session })
    .registerType('Claimed', { ctor: ClaimedView, fields: FIELDS.Claimed })
    .registerType('Time', { ctor: TimeView, fields: FIELDS.Time })
    .registerVariable('statement', VARIABLES.statement)
    .registerVariable('session', VARIABLES.session)
    .registerVariable('claimed', VARIABLES.claimed)
    .registerVariable('time', VARIABLES.time);
}

const views = new WeakMap<Facts | Unknown, StatementView>();

/** The variables of one judgement. Each is made when the first condition asks for it. */
export class Variables {
  readonly #statement: Facts | Unknown;
  readonly #session: SessionVariables;
  readonly #nowMs: () => number;
  #sessionView: SessionView | undefined;
  #time: TimeView | undefined;

  constructor(statement: Facts | Unknown, session: SessionVariables, nowMs: () => number) {
    this.#statement = statement;
    this.#session = session;
    this.#nowMs = nowMs;
  }
  get statement(): StatementView {
    let view = views.get(this.#statement);
    if (view === undefined) {
      view = new StatementView(this.#statement);
      views.set(this.#statement, view);
    }
    return view;
  }
  get session(): SessionView {
    this.#sessionView ??= new SessionView(this.#session);
    return this.#sessionView;
  }
  get claimed(): ClaimedView {
    return new ClaimedView(this.#session.claimed);
  }
  /** One time for all conditions of a judgement. */
  get time(): TimeView {
    this.#time ??= new TimeView(this.#nowMs());
    return this.#time;
  }
}
