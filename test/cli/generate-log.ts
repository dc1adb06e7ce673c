// Writes a log of many statements, as a few agents would leave it in some weeks, to measure what reads logs:
//   node --import tsx test/cli/generate-log.ts FOLDER [STATEMENTS]
// Three in four are prepared or repeated texts, one in four has its values in the text and is like no other.
import { openLog } from '../../src/audit/open.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { SessionId } from '../../src/base/ids.ts';
import { loadParser, understand } from '../../src/sql/understand.ts';
import { intent, open, outcome, SESSION, WHO } from '../audit/drafts.ts';

const BATCH = 500;
const AGENTS = 20;
const REPEATED = [
  'SELECT id, name, email FROM users WHERE id = $1',
  'INSERT INTO orders (user_id, total, status) VALUES ($1, $2, $3) RETURNING id',
  'UPDATE orders SET status = $1 WHERE id = $2',
  'BEGIN',
  'COMMIT',
  'DELETE FROM notes WHERE id = $1',
  'SELECT o.id, u.name FROM orders o JOIN users u ON u.id = o.user_id WHERE o.created_at > $1 ORDER BY 1 LIMIT 50',
  'CREATE INDEX CONCURRENTLY ON orders (user_id)',
];
const UNLIKE = [
  (i: number) => `SELECT * FROM orders WHERE id = ${i} AND status = 'paid'`,
  (i: number) => `UPDATE users SET name = 'user ${i}' WHERE id = ${i}`,
  (i: number) => `SELECT count(*) FROM events WHERE created_at > now() - interval '${i} seconds' LIMIT ${i}`,
  (i: number) => `DELETE FROM notes WHERE body LIKE '%${i}%'`,
];

const [dir = '', count = '1000000'] = process.argv.slice(2);
await loadParser();
const { log } = await openLog({
  dir,
  node: 'node1',
  version: '0.1.0',
  signer: null,
  durability: 'standard',
  clock: systemClock,
  onFailure: (error) => {
    throw error;
  },
});
const who = Array.from({ length: AGENTS }, (_, i) => ({ ...WHO, agent: `agent-${i}` }));
const sessions = who.map((each, i) => {
  const session = `${SESSION.slice(0, -4)}${String(1000 + i)}` as SessionId;
  log.append({ ...open, session, who: each });
  return session;
});
for (let i = 0; i < Number(count); i++) {
  const pick = i % 4 === 3 ? UNLIKE : null;
  const sql =
    pick === null
      ? (REPEATED[(i >> 2) % REPEATED.length] ?? '')
      : (pick[(i >> 2) % pick.length] ?? String)(i);
  const understood = understand(sql);
  const facts = understood.known ? understood.statements : [];
  const speaker = { session: sessions[i % AGENTS] as SessionId, who: who[i % AGENTS] ?? WHO };
  const seq = log.append(
    intent({
      ...speaker,
      sql,
      parameters: sql.includes('$') ? [String(i)] : null,
      tags: facts.flatMap(({ tags }) => tags),
      classes: facts.flatMap(({ classes }) => classes),
      relations: facts.flatMap(({ relations }) => relations),
      functions: facts.flatMap(({ functions }) => functions),
      rule: 'ordinary',
    }),
  );
  log.append(outcome(seq, speaker));
  if (i % BATCH === 0) await new Promise((resolve) => log.when('written', resolve));
}
await log.close();
