// Every conversation that ever had a DELETE run that nobody approved (test/vectors/bypass/messages.json, grow-only),
// against a live server. Whatever it answers, and whether the session outlives it: the rows are there afterwards.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { Stage } from '../live/stage.ts';
import type { WireClient } from '../live/wire-client.ts';
import { lines } from '../protocol/script.ts';

interface Step {
  readonly send: readonly string[];
  /** Waits for so many ReadyForQuery. */
  readonly ready?: number;
  /** Waits for an answer that begins so. */
  readonly until?: string;
  /** Lets the server's clock go on. */
  readonly passSeconds?: number;
}

interface Attack {
  readonly id: string;
  readonly why: string;
  readonly steps: readonly Step[];
}

const attacks = JSON.parse(
  readFileSync(new URL('../vectors/bypass/messages.json', import.meta.url), 'utf8'),
) as readonly Attack[];

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open({ holds: { wait: '300ms', waitInTransaction: '300ms' } });
  await stage.look(`
    CREATE TABLE victim (id int); GRANT ALL ON victim TO countersign;
    CREATE TABLE slow (id int); GRANT ALL ON slow TO countersign;
    CREATE FUNCTION fail_late() RETURNS trigger LANGUAGE plpgsql AS
      $$BEGIN PERFORM pg_sleep(0.5); RAISE EXCEPTION 'late'; END$$;
    CREATE TRIGGER fail_late BEFORE INSERT ON slow FOR EACH STATEMENT EXECUTE FUNCTION fail_late()`);
});
beforeEach(() => stage.look('TRUNCATE victim; INSERT INTO victim VALUES (4711)'));
afterAll(() => stage?.close());

test.each(attacks)('$id', async ({ steps }) => {
  const before = await stage.timesRun('DELETE FROM victim');
  const client = await stage.wire();
  for (const { send, ready, until, passSeconds } of steps) {
    // An attacker goes on as long as there is a connection.
    if (client.ended) break;
    client.write(lines(...send));
    if (passSeconds !== undefined) await stage.look('SELECT pg_sleep($1)', [passSeconds]);
    const answers = until === undefined ? client.ready(ready ?? 0) : client.until(until);
    await answers.catch((error: unknown) => ended(client, error));
  }
  expect(await stage.timesRun('DELETE FROM victim')).toBe(before);
  expect(await stage.look('SELECT id FROM victim')).toEqual([{ id: 4711 }]);
});

/** The proxy may end a session that it cannot follow. What it may not do is to leave it without an answer. */
function ended(client: WireClient, error: unknown): void {
  if (!client.ended) throw error;
}
