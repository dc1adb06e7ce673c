// Ways to have a statement run under a name that stood for another when it was judged. In each the DROP, or the DELETE,
// must wait for a person at the moment at which it would run.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { HoldDocument } from '../../src/holds/document.ts';
import { Stage } from '../live/stage.ts';
import { frame, pipeline, type WireClient } from '../live/wire-client.ts';
import { line } from './script.ts';

const { parse, bind, execute, close, sync, query } = frame;

let stage: Stage;
let client: WireClient;
beforeAll(async () => {
  stage = await Stage.open();
});
beforeEach(async () => {
  client = await stage.wire();
});
afterEach(() => client.end());
afterAll(() => stage?.close());

const DROP = 'DROP TABLE users';

const parseAs = (name: string, text: string): Buffer => line(`P ${name} ${text}`);

const run = (...frames: Buffer[]) => client.run(Buffer.concat([...frames, sync()]));

/** Sends, expects a hold for `words`, refuses it, and that nothing ran. */
async function isHeld(words: string, ...frames: Buffer[]): Promise<HoldDocument> {
  const before = await stage.timesRun(words);
  client.write(...frames);
  const hold = await stage.deny(words);
  const answers = await client.ready();
  expect(answers).toContainEqual(expect.stringMatching(/^ErrorResponse 42501 denied by alice/));
  expect(await stage.timesRun(words)).toBe(before);
  return hold;
}

test('a portal bound to a DELETE … RETURNING and driven by FETCH', async () => {
  const sql = 'DELETE FROM orders RETURNING id';
  await client.query('BEGIN');
  await run(parse({ text: sql }), bind({ portal: 'c' }));
  const fetched = await isHeld('FETCH ALL FROM c', query('FETCH ALL FROM c'));
  expect(fetched.statement.reasons).toContain(`it runs: ${sql}`);
  await client.query('ROLLBACK');
  await client.query('BEGIN');
  await run(parse({ text: sql }), bind({ portal: 'c' }));
  await isHeld('MOVE ALL IN c', query('MOVE ALL IN c'));
  await client.query('ROLLBACK');
});

test('two names that are one to the server: 63 bytes count', async () => {
  const long = 'n'.repeat(63);
  await run(parseAs(`${long}1`, DROP));
  // It fails: to the server this name is taken.
  expect(await run(parseAs(`${long}2`, 'SELECT 1'))).toEqual([
    expect.stringMatching(/^ErrorResponse 42P05/),
    'ReadyForQuery I',
  ]);
  await isHeld(DROP, bind({ statement: `${long}2` }), execute(), sync());
  await run(close({ type: 'S', name: `${long}3` }), parseAs(`${long}4`, 'SELECT 4'));
  expect(await run(bind({ statement: `${long}1` }), execute())).toContain('DataRow 4');
});

test('long names that are not ASCII, which the server would cut within a character or not, end the session', async () => {
  const other = await stage.wire();
  other.write(parse({ name: `${'漢'.repeat(21)}a`, text: DROP }), sync());
  expect(await other.closed()).toEqual([
    expect.stringMatching(/^ErrorResponse 0A000 a name of more than 31 bytes/),
  ]);
});

test('a Parse that fails because the name is taken leaves what was there', async () => {
  await run(parse({ name: 'taken', text: DROP }));
  client.write(parse({ name: 'taken', text: 'SELECT 1' }), sync());
  client.write(bind({ statement: 'taken' }), execute(), sync());
  await stage.deny(DROP);
  expect(await client.ready(2)).toEqual([
    expect.stringMatching(/^ErrorResponse 42P05/),
    'ReadyForQuery I',
    'BindComplete',
    expect.stringMatching(/^ErrorResponse 42501 denied by alice/),
    'ReadyForQuery I',
  ]);
  expect(await stage.timesRun(DROP)).toBe(0);
});

test('a PREPARE in SQL that fails, with no Sync before the Bind', async () => {
  await run(parse({ name: 'taken', text: DROP }));
  client.write(query('PREPARE taken AS SELECT 1'), bind({ statement: 'taken' }), execute(), sync());
  await stage.deny(DROP);
  expect(await client.ready(2)).toEqual([
    expect.stringMatching(/^ErrorResponse 42P05/),
    'ReadyForQuery I',
    'BindComplete',
    expect.stringMatching(/^ErrorResponse 42501 denied by alice/),
    'ReadyForQuery I',
  ]);
  expect(await stage.timesRun(DROP)).toBe(0);
});

test('an EXECUTE before the PREPARE that would change what it runs', async () => {
  const drop = 'DELETE FROM orders';
  await run(parse({ name: 'mixed', text: drop }));
  const text = 'EXECUTE mixed; DEALLOCATE mixed; PREPARE mixed AS SELECT 1';
  const hold = await isHeld(text, query(text));
  expect(hold.statement.reasons).toContain(`it runs: ${drop}`);
});

test('the unnamed statement is gone with the Parse that should have replaced it', async () => {
  const before = (await stage.holds('all')).length;
  await run(parse({ text: DROP }));
  client.write(parse({ text: 'SELECT nothing_of_the_kind' }), sync(), bind(), execute(), sync());
  expect(await client.ready(2)).toEqual([
    expect.stringMatching(/^ErrorResponse 42703/),
    'ReadyForQuery I',
    expect.stringMatching(/^ErrorResponse 26000/),
    'ReadyForQuery I',
  ]);
  expect((await stage.holds('all')).length).toBe(before);
});

test('a name closed in one pipeline and used in the next', async () => {
  await run(parse({ name: 'closed', text: 'SELECT 1' }));
  client.write(close({ type: 'S', name: 'closed' }), parse({ name: 'closed', text: DROP }), sync());
  client.write(bind({ statement: 'closed' }), execute(), sync());
  await stage.deny(DROP);
  expect((await client.ready(2)).slice(-3)).toEqual([
    'BindComplete',
    expect.stringMatching(/^ErrorResponse 42501 denied by alice/),
    'ReadyForQuery I',
  ]);
  expect(await stage.timesRun(DROP)).toBe(0);
});

test('a portal that was bound before its statement was closed and made anew', async () => {
  await client.query('BEGIN');
  await run(
    parse({ name: 'early', text: DROP }),
    bind({ portal: 'bound', statement: 'early' }),
    close({ type: 'S', name: 'early' }),
    parse({ name: 'early', text: 'SELECT 1' }),
  );
  await isHeld(DROP, execute({ portal: 'bound' }), sync());
  await client.query('ROLLBACK');
});

test('a name from before DISCARD ALL', async () => {
  await run(parse({ name: 'discarded', text: 'SELECT 1' }));
  await client.query('DISCARD ALL');
  await run(parse({ name: 'discarded', text: DROP }));
  await isHeld('EXECUTE discarded', query('EXECUTE discarded'));
});

test('one approval, one run: the portal executed again is asked for again', async () => {
  await stage.look('CREATE TABLE gone (); ALTER TABLE gone OWNER TO countersign');
  const drop = 'DROP TABLE IF EXISTS gone';
  await run(parse({ name: 'again', text: drop }));
  client.write(
    bind({ portal: 'one', statement: 'again' }),
    execute({ portal: 'one' }),
    bind({ portal: 'two', statement: 'again' }),
    execute({ portal: 'two' }),
    sync(),
  );
  const first = await stage.approve(drop);
  await stage.became(first.id, 'executed');
  const second = await stage.held(drop);
  expect(second.id).not.toBe(first.id);
  expect((await stage.vote(second, 'deny', 'once is enough')).status).toBe(200);
  expect((await client.ready()).filter((answer) => !answer.startsWith('NoticeResponse'))).toEqual([
    'BindComplete',
    'CommandComplete DROP TABLE',
    'BindComplete',
    expect.stringMatching(/^ErrorResponse 42501/),
    'ReadyForQuery I',
  ]);
  expect(await stage.timesRun(drop)).toBe(1);
});

test('what a person is shown are the values that would be bound', async () => {
  const sql = 'DELETE FROM users WHERE $1 = $1';
  client.write(parse({ text: sql, types: [25] }), bind({ values: ["Robert'); --"] }), execute(), sync());
  const hold = await stage.deny(sql);
  expect(hold.statement.parameters).toEqual(["Robert'); --"]);
  await client.ready();
});

test('a FunctionCall names no function, so it is held', async () => {
  const oid = (
    await stage.look<{ oid: number }>("SELECT 'pg_catalog.lower(text)'::regprocedure::oid AS oid")
  )[0]!.oid;
  const text = Buffer.from('ABC');
  const body = Buffer.alloc(4 + 2 + 2 + 2 + 4 + text.length + 2);
  let at = body.writeUInt32BE(oid, 0);
  at = body.writeUInt16BE(1, at);
  at = body.writeUInt16BE(0, at);
  at = body.writeUInt16BE(1, at);
  at = body.writeInt32BE(text.length, at);
  at += text.copy(body, at);
  body.writeUInt16BE(0, at);
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length + 4);
  const call = Buffer.concat([Buffer.from('F'), length, body]);
  client.write(call);
  await stage.deny(`OID ${oid}`);
  expect(await client.ready()).toEqual([expect.stringMatching(/^ErrorResponse 42501/), 'ReadyForQuery I']);
  expect(await stage.timesRun('lower')).toBe(0);
  expect(await client.run(pipeline('SELECT 1'))).toContain('DataRow 1');
});

const DELETE = 'DELETE FROM orders RETURNING id';

/** What is sent first, in one transaction; then what must wait for a person, found by its words. */
const DETOURS: Readonly<Record<string, readonly [first: readonly string[], then: string]>> = {
  'EXPLAIN ANALYZE of an EXECUTE': [[`P d ${DELETE}`], 'Q EXPLAIN ANALYZE EXECUTE d'],
  'EXPLAIN with ANALYZE in words that are no constant': [
    [`P d ${DELETE}`],
    'Q EXPLAIN (ANALYZE 1) EXECUTE d',
  ],
  'a table made of an EXECUTE': [[`P d ${DELETE}`], 'Q CREATE TEMP TABLE made AS EXECUTE d'],
  'EXPLAIN ANALYZE of a table made of an EXECUTE': [
    [`P d ${DELETE}`],
    'Q EXPLAIN ANALYZE CREATE TEMP TABLE made AS EXECUTE d',
  ],
  'an EXECUTE bound to a portal that is fetched': [
    [`P d ${DELETE}`, 'P e EXECUTE d', 'B p e'],
    'Q FETCH 1 FROM p',
  ],
  'a FETCH that is itself prepared': [[`P d ${DELETE}`, 'B p d', 'P f FETCH ALL FROM p', 'B q f'], 'E q'],
  'a MOVE that is itself prepared': [[`P d ${DELETE}`, 'B p d', 'P m MOVE FORWARD ALL IN p', 'B q m'], 'E q'],
  'FETCH BACKWARD, which begins with going forward': [
    [`P d ${DELETE}`, 'B p d'],
    'Q FETCH ABSOLUTE -1 FROM p',
  ],
  'a name in other quotes': [[`P DeL ${DELETE}`], 'Q EXECUTE "DeL"'],
  'a name in escapes': [[`P DeL ${DELETE}`], 'Q EXECUTE U&"D\\0065L"'],
  'a name of 63 bytes, called by more': [[`P ${'d'.repeat(63)} ${DELETE}`], `Q EXECUTE ${'d'.repeat(80)}`],
  'an EXECUTE in a text that prepares something harmless under another name': [
    [`P d ${DELETE}`],
    'Q PREPARE harmless AS SELECT 1; EXECUTE d',
  ],
  'a transaction that would outlive the session': [[], "Q PREPARE TRANSACTION 'outlives'"],
};

test.each(Object.entries(DETOURS))('a detour: %s', async (_, [first, then]) => {
  await client.query('BEGIN');
  const made = await run(...first.map(line));
  expect(made.filter((answer) => answer.startsWith('ErrorResponse'))).toEqual([]);
  client.write(line(then), ...(then.startsWith('Q') ? [] : [sync()]));
  await stage.deny(then.startsWith('Q') ? then.slice(2) : first.at(-2)!.split(' ').slice(2).join(' '));
  expect(await client.ready()).toEqual([
    expect.stringMatching(/^ErrorResponse 42501 denied by alice/),
    'ReadyForQuery E',
  ]);
  await client.query('ROLLBACK');
  expect(await stage.timesRun(DELETE)).toBe(0);
  expect((await stage.look('SELECT FROM orders LIMIT 1')).length).toBe(1);
});

test('COPY takes no EXECUTE, so there is no such detour', async () => {
  await run(parse({ name: 'd', text: DELETE }));
  await isHeld('COPY (EXECUTE d) TO STDOUT', query('COPY (EXECUTE d) TO STDOUT'));
});

test('a portal that ran to its end, or was closed, does not run again under its approval', async () => {
  await stage.look('CREATE TABLE emptied AS SELECT 1 AS id; ALTER TABLE emptied OWNER TO countersign');
  const sql = 'DELETE FROM emptied RETURNING id';
  await client.query('BEGIN');
  client.write(line(`P d ${sql}`), line('B p d'), line('E p 1'), sync());
  await stage.approve(sql);
  expect(await client.ready()).toContain('DataRow 1');
  await stage.look('INSERT INTO emptied VALUES (2)');
  // The rest of its rows, of which there are none: the statement itself has run, once.
  expect(await run(line('E p 5'), line('E p'))).not.toContain('DataRow 2');
  client.write(line('C P p'), line('B p d'), line('E p 1'), sync());
  await stage.deny(sql);
  expect(await client.ready()).toContainEqual(expect.stringMatching(/^ErrorResponse 42501 denied by alice/));
  await client.query('ROLLBACK');
  expect((await stage.look('SELECT FROM emptied')).length).toBe(2);
});
