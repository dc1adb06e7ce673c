// Every type that the server brings along, in both formats, in both directions, and in arrays: the bytes are the same
// with us in between. What values there are to try is in test/vectors/types.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, frame, type WireClient } from '../live/wire-client.ts';
import { VECTORS } from '../services/places.ts';
import { type Asked, asked, exchange, rowsOf, shown } from './exchange.ts';
import { Pair } from './observed.ts';

interface Vector {
  readonly type: string;
  /** In the text format. */
  readonly literals?: readonly string[];
  /** A query for a value, where the type takes no input. */
  readonly from?: string;
  /** Why there is no value to be had. */
  readonly without?: string;
}

interface CatalogType {
  readonly name: string;
  readonly sends: boolean;
  readonly receives: boolean;
  readonly array: boolean;
}

const TABLE = readFileSync(join(VECTORS, 'types', 'catalog.jsonl'), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line): Vector => JSON.parse(line));

let pair: Pair;
let direct: WireClient;
let through: WireClient;
/** What the server has; of servers before and after it the table has more. */
const catalog = new Map<string, CatalogType>();

beforeAll(async () => {
  pair = await Pair.open();
  await pair.prepare(`
    CREATE TABLE measurements (a int DEFAULT 1 + 2, b int);
    INSERT INTO measurements SELECT i / 10, i / 20 FROM generate_series(1, 200) i;
    CREATE STATISTICS measured ON a, b FROM measurements;
    GRANT SELECT ON measurements TO PUBLIC;
    ANALYZE measurements;
    GRANT SELECT ON pg_statistic_ext_data TO PUBLIC`);
  const types = await pair.look<CatalogType>(
    'direct',
    `SELECT typname AS name, typsend <> 0 AS sends, typreceive <> 0 AS receives, typarray <> 0 AS array
     FROM pg_type t WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm')
       AND NOT EXISTS (SELECT FROM pg_type element WHERE element.typarray = t.oid)`,
  );
  for (const type of types) catalog.set(type.name, type);
  [direct, through] = await Promise.all([pair.wire('direct'), pair.wire('through')]);
});
afterAll(() => pair?.close());

test('the table has every base, range and multirange type of the server, or says why not', () => {
  const missing = [...catalog.keys()].filter((name) => !TABLE.some(({ type }) => type === name));
  expect(missing).toEqual([]);
  // Also a table that has a type has something to try with it.
  for (const { type, literals, from, without } of TABLE) {
    expect([literals, from, without].filter((given) => given !== undefined).length, type).toBe(1);
    expect(literals, type).not.toEqual([]);
  }
});

/** The answers, which are the same both ways. */
async function same(...frames: Buffer[]): Promise<readonly Answer[]> {
  const [there, here] = await Promise.all([
    exchange(direct, frames, frames.length),
    exchange(through, frames, frames.length),
  ]);
  expect(shown(here)).toEqual(shown(there));
  return here;
}

/** All of these at once; returns the one value that each of them gives. */
async function values(type: CatalogType, binary: boolean, statements: readonly Asked[]): Promise<Buffer[]> {
  const answers = await same(...statements.map((statement) => asked({ ...statement, binary })));
  if (!binary || type.sends) {
    expect(rowsOf(answers).length, `rows of ${statements.map(({ text }) => text)}`).toBe(statements.length);
  } else {
    expect(codes(answers)).toEqual(statements.map(() => UNDEFINED_FUNCTION));
  }
  return rowsOf(answers).map(([value]) => value as Buffer);
}

/** "no binary output function available" */
const UNDEFINED_FUNCTION = '42883';

const codes = (answers: readonly Answer[]): string[] =>
  answers.flatMap(({ bytes }) => /\0C(\w{5})\0/.exec(bytes.toString('latin1'))?.[1] ?? []);

/** Sent back in the binary format it is the same value, where the type can be received at all. */
async function returned({ receives }: CatalogType, cast: string, sent: readonly Buffer[]): Promise<void> {
  const statements = sent.map((value) =>
    asked({ text: `SELECT $1::${cast}`, values: [value], binary: true }),
  );
  const answers = await same(...statements);
  if (receives && !TAKES_NO_INPUT.has(cast)) expect(rowsOf(answers)).toEqual(sent.map((value) => [value]));
  else expect(codes(answers).length).toBe(sent.length);
}

const quoted = (literal: string): string => `'${literal.replaceAll("'", "''")}'`;
const named = (type: string): string => `pg_catalog."${type}"`;
/** What has a function to receive it, which says that it does not. */
const TAKES_NO_INPUT = new Set(
  TABLE.filter(({ literals }) => literals === undefined).map(({ type }) => named(type)),
);

describe.each(TABLE)('$type', ({ type, literals, from }) => {
  const cast = named(type);

  test('as a value', async () => {
    const known = catalog.get(type);
    await same(frame.query(`SELECT NULL::${cast}, NULLIF(1, 1)`));
    await same(frame.query(`SELECT 'no literal of any type'::${cast}`));
    if (known === undefined) return;
    const statements: Asked[] =
      literals?.map((literal) => ({ text: `SELECT $1::${cast}`, values: [literal] })) ??
      (from === undefined ? [] : [{ text: from }]);
    if (statements.length === 0) return;
    const texts = await values(known, false, statements);
    const binaries = await values(known, true, statements);
    await returned(known, cast, binaries);
    // By the simple protocol the text format again.
    const simple = literals?.map((literal) => `SELECT ${quoted(literal)}::${cast}`) ?? [from as string];
    expect(rowsOf(await same(...simple.map(frame.query)))).toEqual(texts.map((text) => [text]));
  });

  test('in an array', async () => {
    const known = catalog.get(type);
    await same(frame.query(`SELECT NULL::${cast}[], '{}'::${cast}[]`));
    if (!known?.array || literals === undefined) return;
    const elements = literals.map((_, i) => `$${i + 1}::${cast}`);
    const statement = { text: `SELECT ARRAY[${elements}, NULL]`, values: literals };
    const [text] = await values(known, false, [statement]);
    const binaries = await values(known, true, [statement]);
    await returned(known, `${cast}[]`, binaries);
    const again = asked({ text: `SELECT $1::${cast}[]`, values: [text!.toString()] });
    expect(rowsOf(await same(again))).toEqual([[text]]);
  });
});
