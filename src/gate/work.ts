// What a frame would run, if it were let through: its statements with every name resolved, and its bound values.
// The gate stands where something runs (Query, Execute, FunctionCall), so these are the only frames that make work.
import { decodeUtf8 } from '../base/bytes.ts';
import type { Facts, Understanding, Unknown } from '../sql/facts.ts';
import type { Frame } from '../wire/frames.ts';
import { parseExecute, parseFunctionCall, parseQuery } from '../wire/frontend.ts';
import { nothingSpent, type Spent } from './budget.ts';
import {
  boundTo,
  isFetch,
  type NameChange,
  type Names,
  nameChanges,
  type Portal,
  type Prepared,
  spentByCursors,
  unknownName,
  whatRuns,
} from './names.ts';

export interface Work {
  readonly protocol: 'simple' | 'extended' | 'function call';
  /** The very bytes that go to the server if it may run. */
  readonly frame: Frame;
  /** Everything that would run, for rules, record and approver. */
  readonly statements: readonly (Facts | Unknown)[];
  readonly sql: string;
  readonly statementName: string | null;
  readonly portal: Portal | null;
  readonly parameterTypes: readonly number[];
  readonly formats: readonly number[];
  readonly values: readonly (Buffer | null)[];
  /** The one statement that it certainly runs, where nothing but its own text says what runs. */
  readonly prepared: Prepared | null;
  /** Where what it sends is counted: the frame's own, and that of each cursor that it drives. */
  readonly spends: readonly Spent[];
  /** What each statement of the frame does to the session's names once it is complete. */
  readonly changes: readonly (readonly NameChange[])[];
}

/** The statements of one text; where it is not understood, the one Unknown that says why. */
export function statementsOf(understanding: Understanding): readonly (Facts | Unknown)[] {
  return understanding.known ? understanding.statements : [understanding];
}

/** SQL as text for people and the log; bytes that are not UTF-8 are shown as U+FFFD and never let through unheld. */
export function sqlText(bytes: Buffer): string {
  return decodeUtf8(bytes) ?? bytes.toString('utf8');
}

/** Reads one SQL text as the session stands now. */
export type ReadSql = (sql: Buffer) => readonly (Facts | Unknown)[];

export function workOfQuery(frame: Frame, names: Names, read: ReadSql): Work {
  const sql = parseQuery(frame.chunk, frame.start, frame.end);
  const own = read(sql);
  const changes = own.map(nameChanges);
  // A later statement of the same text may use a name that an earlier one makes.
  for (const change of changes.flat()) names.expect(change, 'SQL');
  const statements = own.flatMap((statement) => whatRuns(statement, names));
  const cursors = own.flatMap((statement) => spentByCursors(statement, names));
  for (const change of changes.flat()) names.reject(change);
  return {
    protocol: 'simple',
    frame,
    statements,
    sql: sqlText(sql),
    statementName: null,
    portal: null,
    parameterTypes: [],
    formats: [],
    values: [],
    prepared: null,
    spends: cursors.length > 0 && own.every(isFetch) ? cursors : [nothingSpent(), ...cursors],
    changes,
  };
}

const NO_CHANGES: Work['changes'] = [];

export function workOfExecute(frame: Frame, names: Names): Work {
  const { portal: name } = parseExecute(frame.chunk, frame.start, frame.end);
  const portals = names.portals.get(name);
  const [portal] = portals;
  const [only] = portal?.prepared ?? [];
  if (portal !== undefined && only?.selfContained && portals.length === 1 && portal.prepared.length === 1) {
    return {
      protocol: 'extended',
      frame,
      statements: only.statements,
      sql: only.sql,
      statementName: portal.statementName,
      portal,
      parameterTypes: only.parameterTypes,
      formats: portal.formats,
      values: portal.values,
      prepared: only,
      spends: [portal.spent],
      changes: NO_CHANGES,
    };
  }
  return workOfUncertainExecute(frame, name, portals, names);
}

function workOfUncertainExecute(frame: Frame, name: string, portals: readonly Portal[], names: Names): Work {
  const prepared = portals.flatMap(boundTo);
  const own = prepared.flatMap((candidate) => candidate.statements);
  const last = portals.at(-1);
  const changes = own.map(nameChanges);
  const statements = own.flatMap((statement) => whatRuns(statement, names));
  const cursors = own.flatMap((statement) => spentByCursors(statement, names));
  const spent = portals.length === 0 ? [nothingSpent()] : portals.map((portal) => portal.spent);
  if (portals.length === 0) statements.push(unknownName('', `portal "${name}"`));
  // Which of them changes the names is not known before the server has answered, so the names would not be either.
  if (own.length > 1 && changes.some((each) => each.length > 0)) {
    statements.push(unknownName('', `what portal "${name}" is bound to at this moment`));
  }
  return {
    protocol: 'extended',
    frame,
    statements,
    sql: prepared.map((candidate) => candidate.sql).join(';\n'),
    statementName: last?.statementName ?? '',
    portal: last ?? unknownPortal(name),
    parameterTypes: prepared.at(-1)?.parameterTypes ?? [],
    formats: last?.formats ?? [],
    values: last?.values ?? [],
    prepared: null,
    spends: cursors.length > 0 && own.every(isFetch) ? cursors : [...spent, ...cursors],
    changes: own.length === 1 ? changes : [],
  };
}

/** What a Bind runs before any Execute: it plans, and planning runs steady functions. */
export function workOfBind(frame: Frame, portal: Portal, statements: Work['statements']): Work {
  return {
    protocol: 'extended',
    frame,
    statements,
    sql: portal.prepared.map((candidate) => candidate.sql).join(';\n'),
    statementName: portal.statementName,
    portal,
    parameterTypes: portal.prepared.at(-1)?.parameterTypes ?? [],
    formats: portal.formats,
    values: portal.values,
    prepared: null,
    spends: [],
    changes: [],
  };
}

export function workOfFunctionCall(frame: Frame): Work {
  const { oid, formats, values } = parseFunctionCall(frame.chunk, frame.start, frame.end);
  const text = `/* FunctionCall */ function with OID ${oid}`;
  const statement: Unknown = {
    known: false,
    text,
    reason: 'name',
    detail: `a FunctionCall runs the function with OID ${oid} without naming it`,
  };
  return {
    protocol: 'function call',
    frame,
    statements: [statement],
    sql: text,
    statementName: null,
    portal: null,
    parameterTypes: [],
    formats,
    values,
    prepared: null,
    spends: [],
    changes: [],
  };
}

function unknownPortal(name: string): Portal {
  return {
    name,
    statementName: '',
    prepared: [],
    formats: [],
    values: [],
    hold: false,
    spent: nothingSpent(),
    suspended: false,
  };
}

/** Bound values as the server would read them from text; null where one of them came in binary, or is none. */
export function textValues(work: Pick<Work, 'formats' | 'values'>): (string | null)[] | null {
  const texts: (string | null)[] = [];
  for (const [i, value] of work.values.entries()) {
    const text = value === null ? null : work.formats[i] === 0 ? decodeUtf8(value) : undefined;
    if (text === undefined || (text === null && value !== null)) return null;
    texts.push(text);
  }
  return texts;
}

/** Bound values for the log and the approver: text as it is, binary and what is not UTF-8 as `\x` and hex. */
export function shownValues(work: Pick<Work, 'formats' | 'values'>): (string | null)[] {
  return work.values.map((value, i) => {
    if (value === null) return null;
    const text = work.formats[i] === 0 ? decodeUtf8(value) : null;
    return text ?? `\\x${value.toString('hex')}`;
  });
}
