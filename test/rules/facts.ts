// Facts and sessions for tests that judge without parsing: a plain read by a plain agent, changed as the test says.
import type { SessionVariables } from '../../src/rules/verdict.ts';
import type { Facts, Unknown } from '../../src/sql/facts.ts';

export function facts(changes: Partial<Facts> = {}): Facts {
  return {
    known: true,
    text: 'SELECT 1',
    tags: ['SELECT'],
    classes: ['read'],
    relations: [],
    functions: [],
    settings: [],
    where: 'absent',
    limit: null,
    collects: false,
    temporary: false,
    lexing: false,
    dependsOnLiterals: false,
    reasons: [],
    names: [],
    open: { classes: ['read'], reasons: [], operators: [], types: [], attributes: [] },
    ...changes,
  };
}

export const unknown: Unknown = {
  known: false,
  text: 'SELEC 1',
  reason: 'syntax',
  detail: 'syntax error at "SELEC"',
};

export function session(changes: Partial<SessionVariables> = {}): SessionVariables {
  return {
    agent: 'reporting-bot',
    owner: 'alice@example.com',
    onBehalfOf: ['bob@example.com'],
    groups: ['reports'],
    claims: { level: 3, scopes: ['read'], admin: true },
    database: 'shop',
    role: 'countersign',
    clientAddress: '10.0.0.7',
    tls: true,
    inTransaction: false,
    claimed: { applicationName: 'psql', purpose: 'monthly report' },
    ...changes,
  };
}
