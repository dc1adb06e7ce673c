// YAML files that operators write, read with the position of every value kept, and with YAML's traps closed: one
// document, UTF-8, no aliases (they multiply), no tags, no duplicate keys, and `no` is a word, not false (YAML 1.2).
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type Scalar,
  visit,
} from 'yaml';
import type { Problem } from './problem.ts';

/** Keys and indexes that lead from the root of a document to a value. */
export type Path = readonly PropertyKey[];

const MAX_FILE_BYTES = 1024 * 1024;
/** Deeper than any file of ours; a limit, so that a hostile file cannot exhaust the stack of who walks it. */
const MAX_DEPTH = 64;
/** One slip can make the parser complain of every line that follows. */
const MAX_SYNTAX_PROBLEMS = 20;

/** Why the operating system refused, in a person's words. */
export function fileFailure(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'no such file';
  if (code === 'EISDIR') return 'is a folder, not a file';
  if (code === 'EACCES' || code === 'EPERM') return 'may not be read by this user';
  return `cannot be read (${code === '' ? 'unknown error' : code})`;
}

export class YamlFile {
  readonly file: string;
  readonly problems: Problem[] = [];
  /** Of the file's bytes, in hex: whoever looks at the file later sees by it whether it is still what was read. */
  readonly sha256: string;
  readonly #text: string;
  readonly #lines: LineCounter;
  readonly #document: Document;

  constructor(file: string, text: string, sha256: string) {
    this.file = file;
    this.sha256 = sha256;
    this.#text = text;
    this.#lines = new LineCounter();
    this.#document = parseDocument(text, {
      lineCounter: this.#lines,
      // The library's own excerpts would print the file's lines, secrets and all.
      prettyErrors: false,
      stringKeys: true,
      uniqueKeys: true,
      version: '1.2',
      schema: 'core',
      logLevel: 'silent',
    });
    for (const error of [...this.#document.errors, ...this.#document.warnings].slice(
      0,
      MAX_SYNTAX_PROBLEMS,
    )) {
      this.problems.push(this.problemAt(error.pos[0], error.message));
    }
    visit(this.#document, (_key, node, ancestors) => {
      if (!isNode(node)) return undefined;
      const at = node.range?.[0] ?? 0;
      if (ancestors.length > MAX_DEPTH) {
        this.problems.splice(0, Infinity, this.problemAt(at, 'nested too deeply'));
        return visit.BREAK;
      }
      if (isAlias(node)) {
        this.problems.push(this.problemAt(at, 'aliases (*name) are not supported: repeat the value'));
      } else if (node.tag !== undefined) {
        this.problems.push(this.problemAt(at, 'tags (!name) are not supported'));
      }
      return undefined;
    });
    if (this.problems.length === 0 && this.#document.contents === null) {
      this.problems.push(this.problemAt(null, 'is empty'));
    }
  }

  /** The plain value. Only to be used when `problems` is empty. */
  value(): unknown {
    return this.#document.toJS({ maxAliasCount: 0 });
  }

  /** Lets `replace` change every string that is a value (not a key) before `value` is taken. */
  replaceStrings(replace: (text: string, offset: number) => string): void {
    visit(this.#document, {
      Scalar: (key, node) => {
        if (key === 'key' || typeof node.value !== 'string') return;
        node.value = replace(node.value, node.range?.[0] ?? 0);
      },
    });
  }

  /** A problem with the value at `path`, or with the nearest thing around it that exists. */
  problem(path: Path, message: string, excerpt: string | null = null): Problem {
    return this.problemAt(this.#offset(path, 'value'), message, excerpt);
  }

  /** A problem with the last key of `path`, as where it is an unknown one. */
  problemWithKey(path: Path, message: string): Problem {
    return this.problemAt(this.#offset(path, 'key'), message);
  }

  problemAt(offset: number | null, message: string, excerpt: string | null = null): Problem {
    if (offset === null) return { file: this.file, line: null, column: null, message, excerpt };
    const { line, col } = this.#lines.linePos(offset);
    return { file: this.file, line: Math.max(1, line), column: Math.max(1, col), message, excerpt };
  }

  /** Where the character at `index` of the string at `path` stands in the file; where the string starts if unclear. */
  offsetInString(path: Path, index: number): number {
    const found = this.#find(path)?.value;
    if (!isScalar(found) || typeof found.value !== 'string') return this.#offset(path, 'value');
    const [from, to] = (found as Scalar).range ?? [0, 0];
    // Block scalars lose their indentation and quoted ones their escapes: look the lines up one after the other.
    const lines = found.value.split('\n');
    let cursor = from;
    let passed = 0;
    for (const line of lines) {
      const at = this.#text.indexOf(line, cursor);
      if (at === -1 || at + line.length > to) return from;
      if (index <= passed + line.length) return at + index - passed;
      passed += line.length + 1;
      cursor = at + line.length;
    }
    return from;
  }

  #offset(path: Path, part: 'key' | 'value'): number {
    const found = this.#find(path);
    const node = part === 'key' ? (found?.key ?? found?.value) : (found?.value ?? found?.key);
    return node?.range?.[0] ?? 0;
  }

  /** The node at `path`, or the deepest one on the way to it. */
  #find(path: Path): { key: Node | null; value: Node | null } | null {
    let node: Node | null = this.#document.contents;
    let key: Node | null = null;
    for (const step of path) {
      let next: Node | null = null;
      if (isMap(node)) {
        const pair: Pair | undefined = node.items.find(
          (item) => isPair(item) && isScalar(item.key) && String(item.key.value) === String(step),
        );
        if (pair === undefined) break;
        key = isNode(pair.key) ? pair.key : null;
        next = isNode(pair.value) ? pair.value : null;
      } else if (isSeq(node)) {
        const item: unknown = node.items[Number(step)];
        if (!isNode(item)) break;
        key = null;
        next = item;
      } else break;
      node = next;
    }
    return { key, value: node };
  }
}

export function sha256Of(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Reads `file`, lets `prepare` see its text first; a problem instead when there is no text to be had from it. */
export function readYaml(file: string, prepare = (text: string): string => text): YamlFile | Problem {
  const whole = (message: string): Problem => ({ file, line: null, column: null, message, excerpt: null });
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    return whole(fileFailure(error));
  }
  if (bytes.length > MAX_FILE_BYTES) return whole('is larger than 1 MiB');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return whole('is not UTF-8 text');
  }
  return new YamlFile(file, prepare(text), sha256Of(bytes));
}
