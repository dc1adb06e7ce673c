// What is wrong with a file that an operator wrote, and where. Readers of such files collect every problem before
// they give up, so that one run of `countersign check` shows them all.
import { CountersignError, type ErrorCode } from './errors.ts';

export interface Problem {
  readonly file: string;
  /** From 1; null where the whole file is meant (missing, unreadable). */
  readonly line: number | null;
  readonly column: number | null;
  readonly message: string;
  /** More lines below the message: the offending expression with a caret under it. */
  readonly excerpt: string | null;
}

/** `file:line:column: message`, then the excerpt, indented: what compilers print and editors jump to. */
export function formatProblem(problem: Problem): string {
  const place =
    problem.line === null ? problem.file : `${problem.file}:${problem.line}:${problem.column ?? 1}`;
  const head = `${place}: ${problem.message}`;
  return problem.excerpt === null ? head : `${head}\n${problem.excerpt.replace(/^/gm, '    ')}`;
}

/** Every problem of one or several files at once, in the order of their places. */
export class ProblemsError extends CountersignError {
  readonly problems: readonly Problem[];

  constructor(code: ErrorCode, problems: readonly Problem[]) {
    super(code, problems.map(formatProblem).join('\n'));
    this.problems = problems;
  }
}
