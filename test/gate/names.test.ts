// What a name stands for while answers are on their way: everything that the server may find under it, and nothing that
// it cannot. Candidates are told apart by their texts.
import { beforeEach, describe, expect, it } from 'vitest';
import {
  type NameChange,
  Names,
  nameChanges,
  type Portal,
  type Prepared,
  preparedOf,
  whatRuns,
} from '../../src/gate/names.ts';
import type { Facts, NameUse, Unknown } from '../../src/sql/facts.ts';
import { facts, unknown } from '../rules/facts.ts';
import { portalWith } from './parts.ts';

const using = (text: string, ...names: readonly NameUse[]): Facts => facts({ text, names });
const prepared = (statement: Facts | Unknown): Prepared => preparedOf(statement.text, [statement], []);

function parse(name: string, statement: Facts | Unknown | string): NameChange {
  const found = typeof statement === 'string' ? facts({ text: statement }) : statement;
  return { kind: 'statement', name, prepared: prepared(found) };
}

function bind(name: string, changes: Partial<Portal> = {}): NameChange {
  return { kind: 'portal', name, portal: portalWith({ name, ...changes }) };
}

const closed = (name: string): NameChange => ({ kind: 'drop statement', name });
const execute = (name: string): Facts => using(`EXECUTE ${name}`, { kind: 'execute', name });
const fetch = (name: string): Facts => using(`FETCH ${name}`, { kind: 'fetch', name });

let names: Names;
beforeEach(() => {
  names = new Names();
});
/** By messages, with a Sync behind each: whatever fails, the server goes on with the next. */
function send(...changes: readonly NameChange[]): void {
  for (const change of changes) {
    names.expect(change, 'message');
    names.synced();
  }
}
const confirm = (...changes: readonly NameChange[]): void =>
  changes.forEach((change) => void names.confirm(change));
const texts = (name: string): string[] => names.statements.get(name).map(({ sql }) => sql);
const runs = (statement: Facts | Unknown): string[] =>
  whatRuns(statement, names).map((found) => (found.known ? found.text : `unknown ${found.reason}`));

describe('prepared statements', () => {
  it('are not known where there are too many to tell, until the server has said which one it is', () => {
    const many = Array.from({ length: 17 }, (_, i) => parse('s', String(i)));
    send(...many.slice(0, 16));
    expect(texts('s')).toHaveLength(16);
    send(...many.slice(16));
    expect(texts('s')).toEqual([]);
    expect(runs(execute('s'))).toEqual(['EXECUTE s', 'unknown name']);
    const last = parse('s', 'last');
    names.expect(last, 'message');
    expect(texts('s')).toEqual(['last']);
    names.synced();
    names.reject(many[0] as NameChange);
    confirm(many[1] as NameChange);
    for (const failed of many.slice(2)) names.reject(failed);
    confirm(last);
    expect(texts('s')).toEqual(['last']);
  });

  it('are there from when they are sent, and gone when the server refuses them', () => {
    const one = parse('s', 'one');
    send(one);
    expect(texts('s')).toEqual(['one']);
    names.reject(one);
    expect(texts('s')).toEqual([]);
    expect(names.statements.size).toBe(0);
  });

  it('are both of two while the second is on its way; then the one that the server kept', () => {
    const [one, two, three] = [parse('', 'one'), parse('', 'two'), parse('', 'three')];
    send(one);
    confirm(one);
    send(two, three);
    expect(texts('')).toEqual(['one', 'two', 'three']);
    names.reject(two);
    expect(texts('')).toEqual(['one', 'three']);
    confirm(three);
    expect(texts('')).toEqual(['three']);
  });

  it('stay when a Parse over them fails', () => {
    const [one, two] = [parse('s', 'one'), parse('s', 'two')];
    send(one);
    confirm(one);
    send(two);
    names.reject(two);
    expect(texts('s')).toEqual(['one']);
  });

  it('go with Close, but not those sent after it', () => {
    const [one, two] = [parse('s', 'one'), parse('s', 'two')];
    send(one);
    confirm(one);
    send(closed('s'), two);
    expect(texts('s')).toEqual(['one', 'two']);
    confirm(closed('s'));
    expect(texts('s')).toEqual(['two']);
    confirm(two);
    expect(texts('s')).toEqual(['two']);
    confirm(closed('s'));
    expect(texts('s')).toEqual([]);
  });

  it('stay when the Close is skipped', () => {
    const one = parse('s', 'one');
    send(one);
    confirm(one);
    send(closed('s'));
    names.reject(closed('s'));
    expect(texts('s')).toEqual(['one']);
  });

  it('all go with DEALLOCATE ALL and DISCARD ALL, but those on their way', () => {
    const [one, two, three] = [parse('s', 'one'), parse('t', 'two'), parse('t', 'three')];
    const cursor = bind('c', { hold: true });
    send(one, two, cursor);
    confirm(one, two, cursor);
    send(three);
    const discard = using('DISCARD ALL', { kind: 'close', name: null }, { kind: 'deallocate', name: null });
    confirm(...nameChanges(discard));
    expect([texts('s'), texts('t')]).toEqual([[], ['three']]);
    expect(names.portals.size).toBe(0);
  });

  it('are not confused by an answer for what is not there', () => {
    confirm(parse('s', 'one'));
    expect(texts('s')).toEqual([]);
  });
});

describe('names within one run of messages up to Sync', () => {
  it('stand for the newest alone: had it failed, the server would ignore what uses it', () => {
    const [one, two] = [parse('s', 'one'), parse('s', 'two')];
    send(one);
    confirm(one);
    names.expect(two, 'message');
    expect(texts('s')).toEqual(['two']);
    names.synced();
    expect(texts('s')).toEqual(['one', 'two']);
  });

  it('stand for all when SQL made the newest, whose failure skips nothing', () => {
    const [one, two] = [parse('s', 'one'), parse('s', 'two')];
    names.expect(one, 'message');
    names.expect(two, 'SQL');
    expect(texts('s')).toEqual(['one', 'two']);
  });

  it('of portals too', () => {
    const [one, two] = [bind('p', { statementName: 'one' }), bind('p', { statementName: 'two' })];
    send(one);
    names.expect(two, 'message');
    expect(names.portals.get('p').map(({ statementName }) => statementName)).toEqual(['two']);
    names.synced();
    expect(names.portals.get('p')).toHaveLength(2);
  });
});

describe('portals', () => {
  it('are bound to what the server had under the name when it answered the Bind', () => {
    const [one, two] = [parse('s', 'one'), parse('s', 'two')];
    send(one);
    confirm(one);
    send(two);
    const portal = bind('p', { statementName: 's', prepared: names.statements.get('s') });
    const bound = (): string[] =>
      names.portals.get('p').flatMap(({ prepared }) => prepared.map(({ sql }) => sql));
    send(portal);
    expect(bound()).toEqual(['one', 'two']);
    names.reject(two);
    confirm(portal);
    expect(bound()).toEqual(['one']);
  });

  it('of cursors keep their own statement, whatever the unnamed one is', () => {
    const unnamed = parse('', 'unnamed');
    const body = facts({ text: 'declared' });
    const declared = nameChanges(using('d', { kind: 'declare', name: 'c', body, hold: false }));
    send(unnamed, ...declared);
    confirm(unnamed, ...declared);
    expect(runs(fetch('c'))).toEqual(['FETCH c', 'declared']);
  });

  it('end with their transaction, all but holdable cursors and what is on its way', () => {
    const [plain, holdable, coming] = [bind('p'), bind('h', { hold: true }), bind('n')];
    send(plain, holdable, coming);
    confirm(plain, holdable);
    names.transactionEnded();
    expect(names.portals.get('p')).toEqual([]);
    expect(names.portals.get('h')).toHaveLength(1);
    expect(names.portals.get('n')).toHaveLength(1);
    confirm(coming);
    names.transactionEnded();
    expect(names.portals.get('n')).toEqual([]);
  });

  it('do not take prepared statements with them', () => {
    const one = parse('s', 'one');
    send(one);
    confirm(one);
    names.transactionEnded();
    expect(texts('s')).toEqual(['one']);
  });
});

describe('nameChanges', () => {
  const body = facts({ text: 'body' });

  it('of PREPARE, DECLARE, DEALLOCATE and CLOSE', () => {
    const all = using(
      'all',
      { kind: 'prepare', name: 's', body },
      { kind: 'declare', name: 'c', body, hold: true },
      { kind: 'deallocate', name: 's' },
      { kind: 'close', name: 'c' },
      { kind: 'execute', name: 's' },
      { kind: 'fetch', name: 'c' },
    );
    expect(nameChanges(all)).toEqual([
      { kind: 'statement', name: 's', prepared: prepared(body) },
      {
        kind: 'portal',
        name: 'c',
        portal: expect.objectContaining({ name: 'c', hold: true, prepared: [prepared(body)] }),
      },
      { kind: 'drop statement', name: 's' },
      { kind: 'drop portal', name: 'c' },
    ]);
  });

  it('of what is not understood: none', () => {
    expect(nameChanges(unknown)).toEqual([]);
  });

  it('use the name that the server compares', () => {
    const long = 'x'.repeat(63);
    send(...nameChanges(using('p', { kind: 'prepare', name: `${long}1`, body })));
    expect(runs(execute(`${long}2`))).toEqual([`EXECUTE ${long}2`, 'body']);
  });
});

describe('whatRuns', () => {
  it('is the statement itself, understood or not', () => {
    expect(runs(facts({ text: 'one' }))).toEqual(['one']);
    expect(runs(unknown)).toEqual(['unknown syntax']);
  });

  it('is what EXECUTE names, prepared by SQL or by the protocol', () => {
    send(parse('s', 'DROP TABLE x'));
    expect(runs(execute('s'))).toEqual(['EXECUTE s', 'DROP TABLE x']);
    send(parse('broken', unknown));
    expect(runs(execute('broken'))).toEqual(['EXECUTE broken', 'unknown syntax']);
  });

  it('is every candidate', () => {
    const one = parse('s', 'one');
    send(one);
    confirm(one);
    send(parse('s', 'two'));
    expect(runs(execute('s'))).toEqual(['EXECUTE s', 'one', 'two']);
  });

  it('is Unknown for a name that was not made here', () => {
    expect(runs(execute('s'))).toEqual(['EXECUTE s', 'unknown name']);
    expect(runs(fetch('c'))).toEqual(['FETCH c', 'unknown name']);
    expect(whatRuns(execute('s'), names)[1]).toHaveProperty('detail', expect.stringContaining('"s"'));
    // A portal's name is no statement's.
    send(bind('s', { prepared: [prepared(facts())] }), parse('c', 'one'));
    expect(runs(execute('s'))).toEqual(['EXECUTE s', 'unknown name']);
    expect(runs(fetch('c'))).toEqual(['FETCH c', 'unknown name']);
  });

  it('is Unknown for FETCH from a portal bound to a statement that was not made here', () => {
    send(bind('p', { prepared: [prepared(facts({ text: 'one' }))] }), bind('p', { statementName: 'lost' }));
    expect(runs(fetch('p'))).toEqual(['FETCH p', 'one', 'unknown name']);
    expect(whatRuns(fetch('p'), names)[2]).toHaveProperty('detail', expect.stringContaining('"lost"'));
  });

  it('is what FETCH drives, made by DECLARE or by Bind', () => {
    send(
      ...nameChanges(
        using('d', { kind: 'declare', name: 'c', body: facts({ text: 'declared' }), hold: false }),
      ),
    );
    expect(runs(fetch('c'))).toEqual(['FETCH c', 'declared']);
    send(bind('p', { prepared: [prepared(facts({ text: 'one' })), prepared(facts({ text: 'two' }))] }));
    expect(runs(fetch('p'))).toEqual(['FETCH p', 'one', 'two']);
  });

  it('is everything that a statement of several names runs', () => {
    send(parse('s', 'one'), parse('t', 'two'));
    expect(runs(using('both', { kind: 'execute', name: 's' }, { kind: 'execute', name: 't' }))).toEqual([
      'both',
      'one',
      'two',
    ]);
  });

  it('follows an EXECUTE within what is executed, as the server does', () => {
    send(parse('drop', 'DROP TABLE x'), parse('inner', execute('drop')), parse('outer', execute('inner')));
    expect(runs(execute('outer'))).toEqual([
      'EXECUTE outer',
      'EXECUTE inner',
      'EXECUTE drop',
      'DROP TABLE x',
    ]);
    send(parse('lost', execute('nowhere')));
    expect(runs(execute('lost'))).toEqual(['EXECUTE lost', 'EXECUTE nowhere', 'unknown name']);
  });

  it('follows an EXECUTE within the portal that a FETCH drives, and a FETCH within what is executed', () => {
    send(parse('delete', 'DELETE FROM x'), bind('p', { prepared: [prepared(execute('delete'))] }));
    send(parse('f', fetch('p')));
    expect(runs(execute('f'))).toEqual(['EXECUTE f', 'FETCH p', 'EXECUTE delete', 'DELETE FROM x']);
  });

  it('comes to an end where a statement names itself', () => {
    send(parse('s', execute('t')), parse('t', execute('s')));
    expect(runs(execute('s'))).toEqual(['EXECUTE s', 'EXECUTE t', 'EXECUTE s']);
  });
});
