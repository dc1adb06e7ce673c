// Statements about the session's own things: prepared statements, cursors, settings, transactions, locks.
// walk.ts calls this for every statement that is no query; it answers whether the statement was one of these.
import type { Facts } from './facts.ts';
import { mayBeOn } from './nodes.ts';
import { addSetting } from './settings.ts';
import { childOf, constantOf, isSet, listOf, type Node, textOf } from './tree.ts';
import { factsOf, type Place, type Walk } from './walk.ts';

type Reader = (node: Node, place: Place, walk: Walk) => void;

/** The strongest table locks: nobody else can write, or even read. */
const EXCLUSIVE_LOCK = 7;
/** FETCH ALL is written as the largest number there is. */
const ALL_ROWS = 2147483647;

/** CURSOR_OPT_HOLD */
const HOLD_OPTION = 0x0020;

const bodyOf = (query: Node, walk: Walk): Facts => factsOf(query, walk.text);

const READERS: Readonly<Record<string, Reader>> = {
  PrepareStmt(node, place, walk) {
    const query = childOf(node, 'query');
    if (query !== null) {
      walk.draft.name({ kind: 'prepare', name: textOf(node, 'name') ?? '', body: bodyOf(query, walk) });
      walk.statement(query, place);
    }
    walk.children(node, place, ['query']);
  },
  ExecuteStmt(node, place, walk) {
    walk.draft.name({ kind: 'execute', name: textOf(node, 'name') ?? '' });
    walk.children(node, place);
  },
  DeallocateStmt(node, _place, walk) {
    walk.draft.name({
      kind: 'deallocate',
      name: isSet(node, 'isall') ? null : (textOf(node, 'name') ?? null),
    });
  },
  DeclareCursorStmt(node, place, walk) {
    const query = childOf(node, 'query');
    if (query === null) return;
    const hold = (Number(node.fields['options'] ?? 0) & HOLD_OPTION) !== 0;
    walk.draft.name({
      kind: 'declare',
      name: textOf(node, 'portalname') ?? '',
      body: bodyOf(query, walk),
      hold,
    });
    walk.statement(query, place);
    // Nothing is sent until it is fetched, and a FETCH says itself how much.
    walk.draft.limit = null;
  },
  FetchStmt(node, _place, walk) {
    walk.draft.name({ kind: 'fetch', name: textOf(node, 'portalname') ?? '' });
    const count = Math.abs(Number(node.fields['howMany'] ?? 0));
    const relative = /FORWARD|BACKWARD/.test(textOf(node, 'direction') ?? '');
    if (relative && !isSet(node, 'ismove') && count > 0 && count < ALL_ROWS) walk.draft.limit = count;
  },
  ClosePortalStmt(node, _place, walk) {
    walk.draft.name({ kind: 'close', name: textOf(node, 'portalname') });
  },
  DiscardStmt(node, _place, walk) {
    if (textOf(node, 'target') !== 'DISCARD_ALL') return;
    walk.draft.name({ kind: 'close', name: null });
    walk.draft.name({ kind: 'deallocate', name: null });
    walk.draft.setting({ name: '*', value: null, how: 'reset', dynamic: false });
  },
  VariableSetStmt: readVariableSet,
  TransactionStmt(node, _place, walk) {
    if (/PREPARE/.test(textOf(node, 'kind') ?? '')) {
      walk.draft.classes(['admin'], 'a prepared transaction outlives its session and keeps its locks');
    }
  },
  LockStmt(node, place, walk) {
    for (const range of listOf(node, 'relations')) walk.relation(range, 'lock', place);
    const mode = node.fields['mode'];
    if (typeof mode !== 'number' || mode >= EXCLUSIVE_LOCK) {
      walk.draft.classes(['admin'], 'locks every other session out');
    }
  },
  VacuumStmt(node, place, walk) {
    const full = mayBeOn(node, 'options', 'full');
    if (full) {
      walk.draft.classes(['ddl'], 'VACUUM FULL rewrites the table under a lock against everyone');
      walk.draft.defines(false);
    }
    for (const entry of listOf(node, 'rels')) {
      const range = childOf(entry, 'relation');
      if (range !== null) walk.relation(range, full ? 'define' : 'read', place);
    }
  },
};

function readVariableSet(node: Node, place: Place, walk: Walk): void {
  const kind = textOf(node, 'kind');
  const name = textOf(node, 'name') ?? '';
  if (kind === 'VAR_RESET_ALL') {
    walk.draft.classes(['session']);
    walk.draft.setting({ name: '*', value: null, how: 'reset', dynamic: false });
    return;
  }
  if (kind === 'VAR_SET_MULTI') {
    // SET TRANSACTION, SET SESSION CHARACTERISTICS: the parameters are options.
    walk.draft.classes([name === 'SESSION CHARACTERISTICS' ? 'session' : 'transaction']);
    for (const option of listOf(node, 'args')) {
      const parameter = textOf(option, 'defname');
      const value = childOf(option, 'arg');
      if (parameter === null || value === null) continue;
      addSetting(walk.draft, {
        name: parameter,
        value: constantOf(value) ?? null,
        how: 'set',
        dynamic: false,
      });
    }
    return;
  }
  const values = listOf(node, 'args').map(constantOf);
  const constant = values.every((value) => typeof value === 'string');
  const reset = kind !== 'VAR_SET_VALUE' && kind !== 'VAR_SET_CURRENT';
  addSetting(walk.draft, {
    name,
    value: !reset && constant && values.length > 0 ? values.join(', ') : null,
    how: reset ? 'reset' : 'set',
    dynamic: kind === 'VAR_SET_VALUE' && !constant,
    current: kind === 'VAR_SET_CURRENT',
  });
  walk.children(node, place);
}

/** Whether the statement was read here. */
export function readSession(node: Node, place: Place, walk: Walk): boolean {
  const reader = Object.hasOwn(READERS, node.kind) ? READERS[node.kind] : undefined;
  if (reader === undefined) return false;
  reader(node, place, walk);
  return true;
}
