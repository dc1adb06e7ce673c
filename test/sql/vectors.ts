// The labelled statements: one JSON object per line, {"id","class","expect":"stop"|"pass","sql"}.
import { readdirSync, readFileSync } from 'node:fs';

export interface StatementCase {
  readonly id: string;
  readonly class: string;
  readonly expect: 'stop' | 'pass';
  readonly sql: string;
}

const VECTORS = new URL('../vectors/', import.meta.url);

export function readCases(folder: string): StatementCase[] {
  const files = readdirSync(new URL(`${folder}/`, VECTORS)).filter((name) => name.endsWith('.jsonl'));
  return files.flatMap((name) => readLines(`${folder}/${name}`) as StatementCase[]);
}

function readLines(file: string): unknown[] {
  const text = readFileSync(new URL(file, VECTORS), 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown);
}

export const allCases = (): StatementCase[] => ['statements', 'bypass', 'false-alarms'].flatMap(readCases);
