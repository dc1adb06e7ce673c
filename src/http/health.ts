// Two questions of a supervisor: is the process up, and can it do its work now. No credential, so no particulars either.
import type { FastifyInstance } from 'fastify';
import { PROBLEM_TYPE, problem } from './problem.ts';

/** Each true when that part can do its work. One that throws cannot. */
export type ReadyChecks = Readonly<Record<string, () => boolean>>;

export function healthRoutes(app: FastifyInstance, checks: ReadyChecks): void {
  app.get('/healthz', async () => ({ status: 'up' }));

  app.get('/readyz', async (_request, reply) => {
    const results = Object.fromEntries(Object.entries(checks).map(([name, check]) => [name, passes(check)]));
    if (Object.values(results).every(Boolean)) return { status: 'ready', checks: results };
    const { status, body } = problem('not_ready', 'not ready to hold and decide', { checks: results });
    return reply.code(status).type(PROBLEM_TYPE).send(body);
  });
}

function passes(check: () => boolean): boolean {
  try {
    return check();
  } catch {
    return false;
  }
}
