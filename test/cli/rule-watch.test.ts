// Rules that are loaded again because their files changed: what counts as a change, and a node that goes on under the new
// ones. In the unit tests a look is a call, so nothing depends on time.
import { mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ProblemsError } from '../../src/base/problem.ts';
import { RuleFiles } from '../../src/cli/rule-watch.ts';
import { type LoadedRules, loadRules } from '../../src/rules/load.ts';
import { startCountersign } from '../services/countersign.ts';
import { createDatabase, type Database } from '../services/database.ts';
import { tempDir } from '../services/places.ts';
import { connectAgent, failureOf, loggedRecords, sceneConfig } from '../services/scene.ts';
import { eventually } from '../services/wait.ts';

const pack = (action: string, more = ''): string =>
  `version: 1\ndefault: ${action}\nrules:\n  - { name: ones, when: '"session" in statement.classes', action: allow }\n${more}`;

describe('what counts as a change', () => {
  function watched(file: string) {
    let rules: LoadedRules = loadRules([file]);
    const loads: string[] = [];
    const files = new RuleFiles(
      () => rules.sources,
      () => {
        try {
          rules = loadRules([file]);
          loads.push(rules.hash);
        } catch (error) {
          if (!(error instanceof ProblemsError)) throw error;
          loads.push('broken');
        }
      },
    );
    return {
      loads,
      reload: () => files.reload(),
      /** Long enough for anything to come to rest. */
      looks(): number {
        for (let i = 0; i < 4; i++) files.look();
        return loads.length;
      },
      look: () => files.look(),
    };
  }

  function packFile(text = pack('allow')): { folder: string; file: string } {
    const folder = tempDir('rules');
    const file = join(folder, 'rules.yaml');
    writeFileSync(file, text);
    return { folder, file };
  }

  test('nothing, as long as nothing changes, nor a file that is only touched', () => {
    const { file } = packFile();
    const { looks } = watched(file);
    expect(looks()).toBe(0);
    utimesSync(file, 1, 1);
    expect(looks()).toBe(0);
  });

  test('what changed between the load and the first look', () => {
    const { file } = packFile();
    const { looks } = watched(file);
    writeFileSync(file, pack('deny'));
    expect(looks()).toBe(1);
    expect(looks()).toBe(1);
  });

  test('a file that another one is renamed onto, again and again', () => {
    const { folder, file } = packFile();
    const { looks } = watched(file);
    for (const [i, action] of ['deny', 'hold', 'allow'].entries()) {
      writeFileSync(join(folder, 'new'), pack(action));
      renameSync(join(folder, 'new'), file);
      expect(looks()).toBe(i + 1);
    }
  });

  test('a link on the way that comes to point elsewhere, as in a mounted ConfigMap', () => {
    const folder = tempDir('rules');
    for (const [name, action] of [
      ['one', 'allow'],
      ['two', 'deny'],
    ] as const) {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, 'rules.yaml'), pack(action));
    }
    symlinkSync('one', join(folder, 'data'));
    symlinkSync('data/rules.yaml', join(folder, 'rules.yaml'));
    const { looks } = watched(join(folder, 'rules.yaml'));
    expect(looks()).toBe(0);
    symlinkSync('two', join(folder, 'next'));
    renameSync(join(folder, 'next'), join(folder, 'data'));
    expect(looks()).toBe(1);
  });

  test('a file that is still being written is let come to rest', () => {
    const { file } = packFile();
    const { look, looks, loads } = watched(file);
    look();
    for (const text of ['', 'version: 1\n', pack('deny').slice(0, 40), pack('deny')]) {
      writeFileSync(file, text);
      look();
    }
    expect(loads).toEqual([]);
    expect(looks()).toBe(1);
    expect(loads).not.toContain('broken');
  });

  test('a broken file is tried once, and the good one after it', () => {
    const { file } = packFile();
    const { looks, loads } = watched(file);
    writeFileSync(file, 'version: 1\ndefault: nonsense\n');
    expect(looks()).toBe(1);
    expect(looks()).toBe(1);
    rmSync(file);
    expect(looks()).toBe(2);
    // Those in force: said all the same, because the last that was said is that they were broken.
    writeFileSync(file, pack('allow'));
    expect(looks()).toBe(3);
    expect(loads).toEqual(['broken', 'broken', loadRules([file]).hash]);
  });

  test('files that others include, also those that were not included before', () => {
    const { folder, file } = packFile();
    const other = join(folder, 'other.yaml');
    const { looks } = watched(file);
    writeFileSync(other, 'version: 1\ndefault: allow\n');
    writeFileSync(file, pack('allow', 'include: [ other.yaml ]\n'));
    expect(looks()).toBe(1);
    writeFileSync(other, 'version: 1\ndefault: deny\n');
    expect(looks()).toBe(2);
    expect(looks()).toBe(2);
  });

  test('not what was loaded by hand meanwhile, good or broken', () => {
    const { file } = packFile();
    const { looks, reload } = watched(file);
    writeFileSync(file, pack('deny'));
    reload();
    expect(looks()).toBe(1);
    writeFileSync(file, 'nonsense');
    reload();
    expect(looks()).toBe(2);
  });
});

describe('a node whose rule file changes', () => {
  let database: Database;
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(() => database.close());

  test('judges the next statement by the new rules; a broken file changes nothing and is loud', async () => {
    const folder = tempDir('watch');
    const file = join(folder, 'rules.yaml');
    const put = (text: string): void => {
      writeFileSync(`${file}.new`, text);
      renameSync(`${file}.new`, file);
    };
    writeFileSync(file, pack('allow'));
    const proxy = await startCountersign(await sceneConfig(database, { rules: ['rules.yaml'] }), { folder });
    const agent = await connectAgent(proxy);
    await agent.query('SELECT 1');

    put('version: 1\ndefault: nonsense\n');
    await eventually(() => proxy.stderr().includes('the new rules are not used'), { what: 'the complaint' });
    expect(proxy.stderr()).toMatch(/rules\.yaml:2:\d+/);
    await agent.query('SELECT 2');

    put(pack('deny', "  - { name: never, when: 'false', action: hold }\n"));
    await eventually(() => proxy.stderr().includes('"msg":"rules loaded"'), { what: 'the new rules' });
    await eventually(() => proxy.stderr().includes('rule \\"never\\" can never fire'), {
      what: 'its warning',
    });
    expect(await failureOf(agent.query('SELECT 3'))).toMatchObject({ code: '42501' });
    await agent.end();
    expect(await proxy.stop()).toBe(0);

    const records = loggedRecords(join(folder, 'audit'));
    expect(records.filter(({ type }) => type === 'rules.loaded')).toHaveLength(2);
    const intents = records.filter(({ type }) => type === 'statement.intent');
    const hashes = intents.map(({ leaf }) => leaf['rules']);
    expect(hashes[0]).toBe(hashes[1]);
    expect(hashes[2]).not.toBe(hashes[1]);
  });
});
