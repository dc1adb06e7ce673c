// What the server itself shows of its objects, as facts: a view's query, a rule's actions, a function's body, an
// expression. Parsed by the same parser as statements; what cannot be understood is null, and whoever asks must hold.
import type { Facts } from './facts.ts';
import { parse } from './parse.ts';
import { childOf, listOf, type Node, nodeOf } from './tree.ts';
import { understand } from './understand.ts';
import { factsOfParts } from './walk.ts';

type Parts = readonly Facts[] | null;

/** Statements: what pg_get_viewdef shows, or the text of a function in SQL. */
export function factsOfQueries(text: string): Parts {
  const understanding = understand(text);
  return understanding.known ? understanding.statements : null;
}

/** Expressions with commas between them, as pg_get_expr shows them. */
export const factsOfExpressions = (text: string): Parts => factsOfQueries(`SELECT ${text}`);

/** What pg_get_ruledef shows: CREATE RULE … DO …; without the CREATE RULE itself. */
export const factsOfRule = (text: string): Parts =>
  factsWithin(text, 'RuleStmt', (rule) => {
    const condition = childOf(rule, 'whereClause');
    return [...listOf(rule, 'actions'), ...(condition === null ? [] : [condition])];
  });

/** What pg_get_function_sqlbody shows: RETURN …, or BEGIN ATOMIC … END. */
export const factsOfBody = (text: string): Parts =>
  factsWithin(
    `CREATE FUNCTION pg_temp.body() RETURNS void LANGUAGE sql ${text}`,
    'CreateFunctionStmt',
    (made) => {
      const body = childOf(made, 'sql_body');
      return body === null ? null : [body];
    },
  );

function factsWithin(
  text: string,
  kind: string,
  partsOf: (statement: Node) => readonly Node[] | null,
): Parts {
  try {
    const parsed = parse(text);
    if (!parsed.ok) return null;
    const [only, ...others] = parsed.statements.map(({ tree }) => nodeOf(tree));
    if (only === undefined || others.length > 0 || only.kind !== kind) return null;
    const parts = partsOf(only);
    return parts === null ? null : parts.map((part) => factsOfParts([part], text));
  } catch {
    // UnknownNode, or nested too deeply.
    return null;
  }
}
