// COPY both ways: in at once, out after a yes, and not a byte changed on the way.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Stage } from '../live/stage.ts';
import { frame, pipeline } from '../live/wire-client.ts';
import { tempDir } from '../services/places.ts';
import { psql } from '../services/psql.ts';

let stage: Stage;
const folder = tempDir('copy');
beforeAll(async () => {
  stage = await Stage.open();
  await stage.look('CREATE TABLE lines (id int, body text); ALTER TABLE lines OWNER TO countersign');
});
afterAll(() => stage?.close());

// What text format escapes, and what is not ASCII.
const LINES = ['1\tplain', '2\ta \\t tab and a \\\\ backslash', '3\t\\N', '4\tžluťoučký 漢字 🙂'];
const VALUES = ['plain', 'a \t tab and a \\ backslash', null, 'žluťoučký 漢字 🙂'];

test('\\copy from a file goes through; \\copy to a file after a yes gives the same file', async () => {
  const file = join(folder, 'notes.tsv');
  const many = Array.from({ length: 20_000 }, (_, i) => `${i + 5}\tline ${i}`);
  writeFileSync(file, `${[...LINES, ...many].join('\n')}\n`);
  expect(await psql(stage.agent, ['-c', `\\copy lines FROM '${file}'`])).toEqual({
    code: 0,
    stdout: '',
    stderr: '',
  });
  const rows = await stage.look<{ body: string | null }>('SELECT body FROM lines ORDER BY id LIMIT 4');
  expect(rows.map(({ body }) => body)).toEqual(VALUES);

  const copy = join(folder, 'copy.tsv');
  const out = psql(stage.agent, ['-c', `\\copy (SELECT * FROM lines ORDER BY id) TO '${copy}'`]);
  await stage.approve('TO STDOUT');
  expect((await out).code).toBe(0);
  expect(readFileSync(copy, 'utf8')).toBe(readFileSync(file, 'utf8'));
});

test('COPY FROM STDIN frame by frame, in both protocols, as with the server itself', async () => {
  const [through, direct] = await Promise.all([stage.wire(), stage.direct()]);
  const sql = 'COPY notes(body) FROM STDIN';
  const rows = ['one\n', 'two\nthr', 'ee\n'].map((text) => frame.copyData(Buffer.from(text)));
  const runs = {
    simple: [frame.query(sql), ...rows, frame.copyDone()],
    extended: [pipeline(sql), ...rows, frame.copyDone(), frame.sync()],
    'data at once, behind a Sync that the server ignores': [
      frame.parse({ text: sql }),
      frame.bind(),
      frame.execute(),
      ...rows,
      frame.copyDone(),
      pipeline('SELECT count(*) > 0 FROM notes'),
    ],
    failed: [frame.query(sql), ...rows, frame.copyFail('changed my mind')],
    'failed, extended': [pipeline(sql), frame.copyFail('changed my mind'), frame.sync()],
    malformed: [
      frame.query('COPY notes(id) FROM STDIN'),
      frame.copyData(Buffer.from('no number\n')),
      frame.copyDone(),
    ],
  };
  for (const [name, frames] of Object.entries(runs)) {
    expect(await through.run(...frames), name).toEqual(await direct.run(...frames));
    expect(await through.query('SELECT 1'), name).toEqual(await direct.query('SELECT 1'));
  }
});

test('a statement that needs approval in the middle of COPY FROM STDIN runs nothing', async () => {
  const client = await stage.wire();
  client.write(frame.query('COPY notes(body) FROM STDIN'));
  await client.until('CopyInResponse');
  client.write(frame.query('DROP TABLE users'));
  await client.closed();
  expect(await stage.tableExists('users')).toBe(true);
  expect(await stage.timesRun('DROP TABLE users')).toBe(0);
});

test.each([
  ['a Query', frame.query('COPY notes(body) FROM STDIN')],
  ['an Execute', pipeline('COPY notes(body) FROM STDIN')],
])(
  'nor does one that was sent before the COPY by %s was answered, and nobody waits for ever',
  async (_, copy) => {
    const client = await stage.wire();
    client.write(copy, frame.query('DROP TABLE users'), frame.copyFail('never heard'));
    const last = (await client.closed()).at(-1);
    expect(last).toContain('ErrorResponse 08P01');
    expect(await stage.timesRun('DROP TABLE users')).toBe(0);
  },
);
