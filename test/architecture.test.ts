// The design's import table as data, held against every import in src. Fails on an import that breaks the table, on
// a library or builtin used outside its place, and on having seen too little to have checked anything.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseAst } from 'vitest/node';
import { PROJECT } from './services/places.ts';

// The vocabulary of facts: lists and types that say what can be known of a statement, and no parser.
const FACTS = 'sql/facts.ts';

/**
 * Folder of src → the folders (or single files) it may import from, and those it may import types from.
 * `config` is src/config.ts and the folder beside it.
 */
const LAYERS: Readonly<
  Record<string, { readonly values: readonly string[]; readonly types?: readonly string[] }>
> = {
  base: { values: [] },
  wire: { values: ['base'] },
  sql: { values: ['base'] },
  rules: { values: ['base', FACTS], types: ['sql'] },
  holds: { values: ['base', FACTS], types: ['rules', 'sql'] },
  identity: { values: ['base'] },
  audit: { values: ['base'], types: ['holds', 'rules', 'sql', 'identity'] },
  gate: { values: ['audit', 'identity', 'holds', 'rules', 'sql', 'wire', 'base'] },
  notify: { values: ['holds', 'base'] },
  http: { values: ['holds', 'audit', 'identity', 'base'] },
  config: {
    values: ['gate', 'audit', 'identity', 'holds', 'rules', 'sql', 'wire', 'notify', 'http', 'base'],
  },
  cli: {
    values: [
      'config',
      'gate',
      'audit',
      'identity',
      'holds',
      'rules',
      'sql',
      'wire',
      'notify',
      'http',
      'base',
    ],
  },
};

interface Place {
  readonly modules: readonly string[];
  /** Folders or files of src. */
  readonly only: readonly string[];
  /** Names that anybody may import all the same. */
  readonly harmless?: readonly string[];
}

/** Modules that only some files may import. */
const PLACES: readonly Place[] = [
  {
    modules: ['node:net', 'node:tls', 'node:dgram', 'node:cluster'],
    only: ['gate', 'cli/demo-engine.ts', 'cli/demo-front.ts'],
    // Questions about the text of an address, and the reading of certificates; they open nothing.
    harmless: ['isIP', 'isIPv4', 'isIPv6', 'BlockList', 'createSecureContext'],
  },
  { modules: ['node:http', 'node:https', 'node:http2', 'fastify', '@fastify/*'], only: ['http'] },
  { modules: ['ioredis'], only: ['holds/redis.ts', 'holds/redis-bus.ts', 'holds/redis-connection.ts'] },
  { modules: ['libpg-query'], only: ['sql'] },
  { modules: ['@marcbachmann/cel-js'], only: ['rules'] },
  { modules: ['@electric-sql/pglite'], only: ['cli/demo-engine.ts', 'cli/demo-front.ts'] },
  { modules: ['commander'], only: ['cli'] },
  // A client, for the demo to be its own visitor.
  { modules: ['pg'], only: ['cli'] },
  // createRequire would be an import that this test does not see.
  { modules: ['pgsql-ast-parser', 'node:module'], only: [] },
];

/** The time and randomness come in through these two files. */
const SOURCES_OF_TIME_AND_CHANCE = ['base/clock.ts', 'base/ids.ts'];

// Numbers well below what there is. Checking nothing must not pass for finding nothing.
const FEWEST_FILES = 40;
const FEWEST_RELATIVE_IMPORTS = 80;

interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
  /** Names of the values imported or exported; `*` for all, `default`. */
  readonly names: readonly string[];
}

interface Source {
  readonly imports: readonly Import[];
  /** `Date.now`, `new Date()`, `Math.random`, `performance.now`, `crypto.randomUUID`, … */
  readonly impure: readonly string[];
}

interface Node {
  readonly type: string;
  readonly [key: string]: unknown;
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';

const isNamespace = (node: Node): boolean => node.type === 'ImportNamespaceSpecifier';

function nodesOf(value: unknown): Node[] {
  if (Array.isArray(value)) return value.flatMap(nodesOf);
  return isNode(value) ? [value] : [];
}

function nameOf(value: unknown): string {
  if (!isNode(value)) return '';
  if (value.type === 'Identifier') return String(value['name']);
  if (value.type === 'Literal') return String(value['value']);
  if (value.type === 'MemberExpression') return `${nameOf(value['object'])}.${nameOf(value['property'])}`;
  return '';
}

/** Reads one file with a real parser: imports in text and comments are none. */
function readSource(text: string): Source {
  const imports: Import[] = [];
  const impure: string[] = [];
  const specifierOf = (node: Node): string => {
    const source = node['source'];
    // A computed import() could be anything, and is found by no table: treated as a module that nobody may import.
    return isNode(source) && typeof source['value'] === 'string' ? source['value'] : '(computed)';
  };
  const visit = (node: Node): void => {
    switch (node.type) {
      case 'ImportDeclaration':
      case 'ExportNamedDeclaration':
      case 'ExportAllDeclaration': {
        if (!node['source']) break;
        const specifiers = nodesOf(node['specifiers']);
        const kind = node['importKind'] ?? node['exportKind'];
        const typeOnly =
          kind === 'type' ||
          (specifiers.length > 0 &&
            specifiers.every((each) => (each['importKind'] ?? each['exportKind']) === 'type'));
        const values = specifiers.filter((each) => (each['importKind'] ?? each['exportKind']) !== 'type');
        const names = values.map((each) =>
          each.type === 'ImportDefaultSpecifier'
            ? 'default'
            : nameOf(each['imported']) || nameOf(each['local']),
        );
        if (node.type === 'ExportAllDeclaration' || specifiers.some(isNamespace)) names.push('*');
        imports.push({ specifier: specifierOf(node), typeOnly, names });
        break;
      }
      case 'ImportExpression':
        imports.push({ specifier: specifierOf(node), typeOnly: false, names: ['*'] });
        break;
      case 'TSImportType':
        imports.push({ specifier: specifierOf(node), typeOnly: true, names: [] });
        break;
      case 'MemberExpression': {
        const name = nameOf(node);
        if (
          /^(globalThis\.)?(Date\.now|Math\.random|performance\.(now|timeOrigin)|process\.hrtime)$/.test(name)
        ) {
          impure.push(name);
        }
        if (/(^|\.)(crypto|webcrypto)\.(random\w+|getRandomValues)$/.test(name)) impure.push(name);
        break;
      }
      case 'NewExpression':
        if (nameOf(node['callee']) === 'Date' && nodesOf(node['arguments']).length === 0)
          impure.push('new Date()');
        break;
      case 'CallExpression':
        if (nameOf(node['callee']) === 'Date') impure.push('Date()');
        break;
    }
    for (const value of Object.values(node)) for (const child of nodesOf(value)) visit(child);
  };
  for (const node of nodesOf(parseAst(text, { lang: 'ts' }).body)) visit(node);
  for (const { specifier, names } of imports) {
    if (/^(node:)?crypto$/.test(specifier)) {
      impure.push(...names.filter((name) => /^(random|getRandomValues|webcrypto|\*|default)/.test(name)));
    }
    if (/^(node:)?perf_hooks$/.test(specifier)) impure.push(specifier);
  }
  return { imports, impure };
}

/** The row of the table that a file of src belongs to. */
function layerOf(file: string): string {
  return file === 'config.ts' ? 'config' : (file.split('/')[0] ?? '');
}

function matches(specifier: string, pattern: string): boolean {
  const bare = specifier.startsWith('node:')
    ? specifier
    : specifier.replace(/^(@[^/]+\/[^/]+|[^/@]+)\/.*/, '$1');
  const named = [bare, `node:${bare}`];
  return pattern.endsWith('/*')
    ? specifier.startsWith(pattern.slice(0, -1))
    : named.includes(pattern) || specifier.startsWith(`${pattern}/`);
}

/** What is wrong with one file, in words; empty when nothing is. `file`: path below src. */
function faults(file: string, source: Source): string[] {
  const found: string[] = [];
  const layer = layerOf(file);
  const row = LAYERS[layer];
  if (row === undefined) return [`src/${file} is in no folder of the table`];
  for (const { specifier, typeOnly, names } of source.imports) {
    const at = `src/${file} imports ${specifier}`;
    if (specifier.startsWith('(')) {
      found.push(`${at}: only fixed import and import() can be checked`);
    } else if (specifier.startsWith('.')) {
      const targetFile = join(dirname(file), specifier);
      const target = layerOf(targetFile);
      if (target === layer || row.values.includes(target) || row.values.includes(targetFile)) continue;
      if (typeOnly && row.types?.includes(target)) continue;
      const allowed = [...row.values, ...(row.types ?? []).map((name) => `types of ${name}`)];
      found.push(`${at}: ${layer} may import ${allowed.join(', ') || 'nothing of ours'}`);
    } else if (!typeOnly) {
      for (const { modules, only, harmless } of PLACES) {
        if (!modules.some((pattern) => matches(specifier, pattern))) continue;
        if (names.length > 0 && names.every((name) => harmless?.includes(name))) continue;
        if (only.some((place) => file === place || file.startsWith(`${place}/`))) continue;
        found.push(`${at}: that belongs to ${only.join(', ') || 'the tests'}`);
      }
    }
  }
  if (!SOURCES_OF_TIME_AND_CHANCE.includes(file)) {
    for (const name of source.impure) {
      found.push(`src/${file} uses ${name}: take it from ${SOURCES_OF_TIME_AND_CHANCE.join(' or ')}`);
    }
  }
  return found;
}

describe('src', () => {
  const root = join(PROJECT, 'src');
  const sources = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .map((file) => ({ file, source: readSource(readFileSync(join(root, file), 'utf8')) }));

  test('keeps to the table', () => {
    expect(sources.flatMap(({ file, source }) => faults(file, source))).toEqual([]);
  });

  test('is large enough for the check to mean something', () => {
    const relatives = sources.flatMap(({ source }) =>
      source.imports.filter(({ specifier }) => specifier.startsWith('.')),
    );
    expect(sources.length).toBeGreaterThanOrEqual(FEWEST_FILES);
    expect(relatives.length).toBeGreaterThanOrEqual(FEWEST_RELATIVE_IMPORTS);
    for (const layer of Object.keys(LAYERS)) {
      expect(
        sources.filter(({ file }) => layerOf(file) === layer).length,
        `files in ${layer}`,
      ).toBeGreaterThan(0);
    }
  });
});

describe('the check itself', () => {
  const check = (file: string, text: string): string[] => faults(file, readSource(text));

  test.each([
    ['a value from above', 'wire/frames.ts', "import { admit } from '../gate/admit.ts';"],
    ['a type from above', 'wire/frames.ts', "import type { Admit } from '../gate/admit.ts';"],
    ['a type by import()', 'wire/frames.ts', "let a: import('../gate/admit.ts').Admit;"],
    ['a re-export', 'base/ids.ts', "export { a } from '../wire/frames.ts';"],
    ['a re-export of all', 'base/ids.ts', "export * from '../wire/frames.ts';"],
    ['an import for its effects', 'base/ids.ts', "import '../wire/frames.ts';"],
    ['a dynamic import', 'base/ids.ts', "export const a = async () => await import('../wire/frames.ts');"],
    ['a computed import', 'gate/admit.ts', 'export const a = (name: string) => import(name);'],
    ['a maker of require', 'gate/admit.ts', "import { createRequire } from 'node:module';"],
    ['a value where types are allowed', 'audit/log.ts', "import { newHold } from '../holds/hold.ts';"],
    ['a value beside a type', 'audit/log.ts', "import { type Hold, newHold } from '../holds/hold.ts';"],
    ['config outside cli', 'gate/admit.ts', "import type { Config } from '../config.ts';"],
    ['cli from anywhere', 'http/server.ts', "import { main } from '../cli/main.ts';"],
    ['a folder of no row', 'utils/a.ts', ''],
    ['sockets outside gate', 'wire/frames.ts', "import { connect } from 'node:net';"],
    ['a socket beside a question', 'notify/a.ts', "import { connect, isIP } from 'node:net';"],
    ['all of sockets', 'notify/a.ts', "import 'node:net';"],
    ['the parser where facts are allowed', 'rules/load.ts', "import { parse } from '../sql/parse.ts';"],
    ['sockets without node:', 'http/api.ts', "import net from 'net';"],
    ['an HTTP server in gate', 'gate/listen.ts', "import fastify from 'fastify';"],
    ['a plugin of fastify in gate', 'gate/listen.ts', "import helmet from '@fastify/helmet';"],
    ['Redis in another store', 'holds/memory.ts', "import { Redis } from 'ioredis';"],
    ['a file of Redis’s package', 'holds/memory.ts', "import x from 'ioredis/built/utils/index.js';"],
    ['a parser of the tests', 'sql/facts.ts', "import { parse } from 'pgsql-ast-parser';"],
    ['Date.now', 'gate/admit.ts', 'export const a = Date.now();'],
    ['Date.now handed on', 'gate/admit.ts', 'export const a = Date.now;'],
    ['new Date()', 'gate/admit.ts', 'export const a = new Date();'],
    ['Date as a function', 'gate/admit.ts', 'export const a = Date();'],
    ['performance.now', 'gate/admit.ts', 'export const a = performance.now();'],
    [
      'performance from its module',
      'gate/admit.ts',
      "import { performance as p } from 'node:perf_hooks'; p.now();",
    ],
    ['process.hrtime', 'gate/admit.ts', 'export const a = process.hrtime.bigint();'],
    ['Math.random', 'gate/admit.ts', 'export const a = Math.random();'],
    ['randomBytes', 'identity/token.ts', "import { createHash, randomBytes as r } from 'node:crypto';"],
    ['all of crypto', 'identity/token.ts', "import * as c from 'node:crypto';"],
    ['the global crypto', 'identity/token.ts', 'export const a = crypto.randomUUID();'],
  ])('finds %s', (_, file, text) => {
    expect(check(file, text)).toHaveLength(1);
  });

  test.each([
    ['a neighbour', 'gate/admit.ts', "import { b } from './relay.ts'; import { c } from './deep/c.ts';"],
    ['what the table allows', 'gate/admit.ts', "import { b } from '../wire/frames.ts';"],
    ['a type where types are allowed', 'audit/log.ts', "import type { Hold } from '../holds/hold.ts';"],
    [
      'only types in a plain import',
      'audit/log.ts',
      "import { type Hold, type Vote } from '../holds/hold.ts';",
    ],
    ['a type by import() where allowed', 'audit/log.ts', "let a: import('../holds/hold.ts').Hold;"],
    ['the words of facts', 'rules/load.ts', "import { CLASSES } from '../sql/facts.ts';"],
    ['a question about an address', 'notify/a.ts', "import { isIP } from 'node:net';"],
    ['sockets in gate', 'gate/listen.ts', "import { createServer } from 'node:net';"],
    ['the type of a socket', 'audit/log.ts', "import type { Socket } from 'node:net';"],
    ['Redis in its place', 'holds/redis.ts', "import { Redis } from 'ioredis';"],
    [
      'text that looks like an import',
      'base/a.ts',
      "// import '../wire/frames.ts'\nexport const a = `import '../gate/a.ts'`;",
    ],
    ['a given time', 'gate/admit.ts', 'export const a = (ms: number) => new Date(ms);'],
    ['hashing', 'audit/log.ts', "import { createHash } from 'node:crypto';"],
    ['the clock in base', 'base/clock.ts', 'export const a = Date.now();'],
  ])('passes %s', (_, file, text) => {
    expect(check(file, text)).toEqual([]);
  });
});
