// The JSON Schemas for editors: the files beside the packs are what `countersign schema` prints, they take what the loaders
// take, and they find what is wrong with a file's shape.
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { SCHEMAS, type SchemaName, schemaText } from '../../src/cli/schema.ts';
import { hideReferences, showReferences } from '../../src/config/environment.ts';
import { countersign } from '../services/countersign.ts';
import { PROJECT, VECTORS } from '../services/places.ts';

const NAMES = Object.keys(SCHEMAS) as SchemaName[];

/** Where a value does not fit, and what was expected of it. */
function faults(name: SchemaName, value: unknown): string[] {
  const ajv = new Ajv({ allErrors: true, strict: true, strictTypes: false });
  const validate = ajv.compile(JSON.parse(readFileSync(`${PROJECT}/schemas/${name}.schema.json`, 'utf8')));
  validate(value);
  return (validate.errors ?? []).map(({ instancePath, keyword, params }) =>
    keyword === 'additionalProperties'
      ? `${instancePath}/${String(params['additionalProperty'])} unknown`
      : `${instancePath} ${keyword}`,
  );
}

/** As the loader of the config reads YAML: a reference may stand in braces without quotes. */
function read(file: string): unknown {
  const value: unknown = parse(hideReferences(readFileSync(file, 'utf8')));
  return JSON.parse(showReferences(JSON.stringify(value)));
}
const filesOf = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => join(folder, name));

/** Pack, cases or config, by what stands in it: as in the README, where blocks have no names. */
function kindOf(value: unknown): SchemaName | null {
  if (typeof value !== 'object' || value === null) return null;
  if ('cases' in value) return 'cases';
  if ('version' in value) return 'rules';
  return 'databases' in value ? 'config' : null;
}

test.each(NAMES)(
  'schemas/%s.schema.json is what the loader has (to write it again: vitest run -u)',
  async (name) => {
    await expect(schemaText(name)).toMatchFileSnapshot(`${PROJECT}/schemas/${name}.schema.json`);
  },
);

test('countersign schema prints it, and says what there is', async () => {
  const { code, stdout } = await countersign(['schema', 'rules']);
  expect({ code, stdout }).toEqual({ code: 0, stdout: schemaText('rules') });
  expect(await countersign(['schema', 'rule'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('rules, cases, config'),
  });
});

describe('takes what the loaders take', () => {
  test.each([
    ...filesOf(`${PROJECT}/rules`),
    ...filesOf(join(VECTORS, 'rules/good')),
    ...filesOf(join(VECTORS, 'config/good')),
  ])('%s', (file) => {
    const value = read(file);
    const kind = kindOf(value);
    expect(kind).not.toBeNull();
    expect(faults(kind as SchemaName, value)).toEqual([]);
  });

  test('the examples of the README', () => {
    const readme = readFileSync(`${PROJECT}/README.md`, 'utf8');
    const blocks = [...readme.matchAll(/```yaml\n(.*?)```/gs)].map(([, text = '']) => parse(text) as unknown);
    const kinds = blocks.flatMap((value) => {
      const kind = kindOf(value);
      if (kind !== null) expect(faults(kind, value)).toEqual([]);
      return kind ?? [];
    });
    expect(kinds).toEqual(expect.arrayContaining(['config', 'rules']));
  });

  test('an example whose values come from the environment', () => {
    const value = parse(`
listen: { host: "\${HOST}", port: "\${PORT}", dangerouslyAllowPlaintext: "\${PLAIN}" }
databases: { shop: { host: "\${DB}", user: "\${USER}", tls: "\${TLS}" } }
rules: [ "\${RULES}" ]
holds: { wait: "\${WAIT}" }
limits: { frame: "\${FRAME}" }
`) as unknown;
    expect(faults('config', value)).toEqual([]);
    expect(faults('rules', { version: 1, default: `\${X}` })).toEqual(['/default enum']);
  });
});

describe('finds what is wrong with the shape', () => {
  test('of a pack', () => {
    expect(faults('rules', read(join(VECTORS, 'rules/broken/shape.yaml')))).toEqual(
      expect.arrayContaining([
        '/version const',
        '/defalt unknown',
        '/rules/0/name pattern',
        '/rules/0/action enum',
        '/rules/1/when type',
        '/rules/1/approvals/count minimum',
        '/rules/1/approvals/group unknown',
        '/rules/1/approvals/reason enum',
        '/rules/2/nme unknown',
        '/rules/2 required',
        '/rules/2/enforce type',
      ]),
    );
  });

  test('of a config', () => {
    const found = faults('config', read(join(VECTORS, 'config/broken/shape.yaml')));
    for (const place of [
      '/databases/shop/pasword',
      '/databases/shop/port',
      '/databases/shop/tls',
      '/databases propertyNames',
      '/agents/0/databases',
      '/agents/0/scram',
      '/approvers',
      '/rules',
      '/holds/wait',
      '/holds/ttl',
      '/limits/frame',
      '/limits/conections',
      '/listen/port',
      '/audit/durability',
      '/notfy',
    ]) {
      expect(
        found.some((fault) => fault.startsWith(place)),
        `${place} in ${found.join('\n')}`,
      ).toBe(true);
    }
  });

  test('of cases', () => {
    const cases = [{ sql: 'SELECT 1', expect: 'maybe', sesion: {} }, { expect: 'hold' }];
    expect(faults('cases', { version: 1, rules: [], cases })).toEqual(
      expect.arrayContaining([
        '/rules minItems',
        '/cases/0/expect enum',
        '/cases/0/sesion unknown',
        '/cases/1 required',
      ]),
    );
  });

  test('and nothing in files whose shape is right', () => {
    // Their faults are of meaning, which the loaders find.
    for (const file of [
      'rules/broken/conditions.yaml',
      'rules/broken/twice.yaml',
      'config/broken/meaning.yaml',
    ]) {
      const kind = file.startsWith('rules') ? 'rules' : 'config';
      expect(faults(kind, read(join(VECTORS, file))), basename(file)).toEqual([]);
    }
  });
});
