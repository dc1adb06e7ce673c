// What becomes of labelled statements that psql sends through a stage, with somebody who denies whatever is held.
import { psql } from '../services/psql.ts';
import type { StatementCase } from '../sql/vectors.ts';
import type { Stage } from './stage.ts';

const AT_ONCE = 6;

/** `passed`, `held`, `denied`, or `stopped` by a budget, by id. */
export async function outcomesOf(
  stage: Stage,
  cases: readonly StatementCase[],
): Promise<Map<string, string>> {
  const outcomes = new Map<string, string>();
  const queue = [...cases];
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      outcomes.set(next.id, await outcomeOf(stage, next));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return outcomes;
}

/** What became of one statement: how psql ended, and what the API says of it. */
async function outcomeOf(stage: Stage, { id, sql }: StatementCase): Promise<string> {
  // The name by which its hold, if there is one, is told from the others.
  const connection = { ...stage.agent, env: { PGAPPNAME: id } };
  const running = psql(connection, ['-v', 'VERBOSITY=verbose', '-c', sql]);
  let ended = false;
  let rule = '';
  const end = running.finally(() => {
    ended = true;
  });
  while (!ended) {
    const hold = (await stage.holds()).find(({ claimed }) => claimed.application_name === id);
    if (hold !== undefined) {
      rule = hold.rule.name;
      await stage.vote(hold, 'deny', 'a test');
    }
    await Promise.race([end, new Promise((resolve) => setTimeout(resolve, 30))]);
  }
  const { code, stderr } = await end;
  const refused = /ERROR: {2}42501: denied by (alice@example\.com|rule)/.exec(stderr);
  if (refused !== null)
    return refused[1] === 'rule' ? 'denied' : rule.startsWith('budget-') ? 'stopped' : 'held';
  // An error with a place in the server's source is the server's own, so it has been asked.
  return code === 0 || stderr.includes('LOCATION:') ? 'passed' : `failed: ${stderr}`;
}
