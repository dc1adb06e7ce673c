// Pieces of the gate as plain as they come, for tests that are about one field of them.
import type { Portal } from '../../src/gate/names.ts';
import type { Run } from '../../src/gate/pipeline.ts';
import type { Work } from '../../src/gate/work.ts';
import type { Verdict } from '../../src/rules/verdict.ts';
import { Frame } from '../../src/wire/frames.ts';

export function portalWith(changes: Partial<Portal> = {}): Portal {
  return {
    name: '',
    statementName: '',
    prepared: [],
    formats: [],
    values: [],
    hold: false,
    spent: { rows: 0, bytes: 0, most: null, free: false },
    suspended: false,
    ...changes,
  };
}

export function workWith(changes: Partial<Work> = {}): Work {
  return {
    protocol: 'simple',
    frame: new Frame(Buffer.alloc(0)),
    statements: [],
    sql: 'the text',
    statementName: null,
    portal: null,
    parameterTypes: [],
    formats: [],
    values: [],
    prepared: null,
    spends: [],
    changes: [],
    ...changes,
  };
}

export function verdictWith(changes: Partial<Verdict> = {}): Verdict {
  return {
    action: 'allow',
    rule: 'test',
    message: null,
    contact: null,
    approvals: { count: 1, groups: [], reasonRequired: false },
    budgets: { statementRows: null, statementBytes: null },
    record: 'full',
    wouldHave: null,
    ...changes,
  };
}

export function runWith(changes: Partial<Run> = {}): Run {
  return {
    intent: 0,
    startedUs: 0,
    work: workWith(),
    verdict: verdictWith(),
    most: null,
    hold: null,
    leavesNothing: true,
    denial: null,
    changes: [],
    rows: 0,
    bytes: 0,
    tags: [],
    sqlstate: null,
    ...changes,
  };
}
