// What a frame would run: everything that its names may stand for at that moment, and Unknown where that cannot be told.
import { serialize } from 'pg-protocol';
import { beforeAll, describe, expect, it } from 'vitest';
import { Names, type Portal, type Prepared, preparedOf } from '../../src/gate/names.ts';
import { statementsOf, workOfExecute, workOfFunctionCall, workOfQuery } from '../../src/gate/work.ts';
import { loadParser, understand } from '../../src/sql/understand.ts';
import { Frame } from '../../src/wire/frames.ts';
import { portalWith } from './parts.ts';

beforeAll(() => loadParser());

const prepared = (sql: string): Prepared => preparedOf(sql, statementsOf(understand(sql)), []);
const portal = (...bound: Prepared[]): Portal =>
  portalWith({ name: 'p', statementName: 's', prepared: bound });
const execute = (names: Names) => workOfExecute(new Frame(serialize.execute({ portal: 'p' })), names);
const read = (statementsMax: number) => (sql: Buffer) => statementsOf(understand(sql, { statementsMax }));
const reasons = (work: { statements: readonly { known: boolean }[] }) =>
  work.statements.flatMap((statement) => ('reason' in statement ? [statement.reason] : []));

/** As when two Binds of one name are on their way, in two pipelines. */
function ambiguous(first: Portal, second: Portal): Names {
  const names = new Names();
  for (const each of [first, second]) {
    names.expect({ kind: 'portal', name: 'p', portal: each }, 'message');
    names.synced();
  }
  return names;
}

describe('Execute', () => {
  it('of a portal that nobody made is Unknown', () => {
    expect(reasons(execute(new Names()))).toEqual(['name']);
  });

  it('of a portal bound to a statement that nobody made is Unknown, also beside a candidate that is known', () => {
    expect(reasons(execute(ambiguous(portal(), portal(prepared('SELECT 1')))))).toEqual(['name']);
    expect(reasons(execute(ambiguous(portal(prepared('SELECT 1')), portal())))).toEqual(['name']);
  });

  it('of a statement that claims something changes what is claimed', () => {
    const names = new Names();
    names.expect({
      kind: 'portal',
      name: 'p',
      portal: portal(prepared("SET countersign.purpose = 'a report'")),
    });
    expect(execute(names).changes).toMatchObject([[{ kind: 'claim' }]]);
  });

  it('is judged by every candidate', () => {
    const work = execute(ambiguous(portal(prepared('SELECT 1')), portal(prepared('DROP TABLE x'))));
    expect(work.statements.map((statement) => statement.known && statement.tags[0])).toEqual([
      'SELECT',
      'DROP TABLE',
    ]);
    expect(reasons(work)).toEqual([]);
  });

  it('is Unknown where candidates differ and one would change the names', () => {
    const work = execute(ambiguous(portal(prepared('SELECT 1')), portal(prepared('PREPARE a AS SELECT 1'))));
    expect(reasons(work)).toEqual(['name']);
    expect(work.changes).toEqual([]);
  });

  it('of one certain candidate knows what it does to the names', () => {
    const names = new Names();
    names.expect({ kind: 'portal', name: 'p', portal: portal(prepared('PREPARE a AS SELECT 1')) }, 'message');
    const work = execute(names);
    expect(work.changes).toMatchObject([[{ kind: 'statement', name: 'a' }]]);
    expect(reasons(work)).toEqual([]);
  });
});

describe('Query', () => {
  const query = (sql: string, names = new Names()) =>
    workOfQuery(new Frame(serialize.query(sql)), names, read(1000));

  it('may use a name that an earlier statement of the same text makes, and leaves none behind', () => {
    const names = new Names();
    const work = query('PREPARE d AS DELETE FROM orders; EXECUTE d', names);
    expect(reasons(work)).toEqual([]);
    expect(
      work.statements.filter((statement) => statement.known && statement.where === 'none').length,
    ).toBeGreaterThan(1);
    expect(reasons(query('EXECUTE d', names))).toEqual(['name']);
  });

  it('with more statements than allowed, or not UTF-8, is Unknown', () => {
    expect(
      reasons(workOfQuery(new Frame(serialize.query('SELECT 1; SELECT 2')), new Names(), read(1))),
    ).toEqual(['limit']);
    const latin1 = Buffer.concat([Buffer.from([0x51, 0, 0, 0, 14]), Buffer.from("SELECT '\xe9\0", 'latin1')]);
    expect(reasons(workOfQuery(new Frame(latin1), new Names(), read(1000)))).toEqual(['encoding']);
  });

  it('of nothing runs nothing', () => expect(query('').statements).toEqual([]));
});

it('FunctionCall names no function, so it is Unknown', () => {
  const frame = Buffer.from([0x46, 0, 0, 0, 14, 0, 0, 0, 42, 0, 0, 0, 0, 0, 0]);
  const work = workOfFunctionCall(new Frame(frame));
  expect(reasons(work)).toEqual(['name']);
  expect(work.sql).toContain('OID 42');
});
