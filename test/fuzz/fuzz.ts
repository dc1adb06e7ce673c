// The fuzzer's run: cases in several lanes at once, and from time to time a pause in which everything must be as it was
// before anybody came.
import { verifyLog } from '../../src/audit/verify.ts';
import { startApprover } from './approver.ts';
import { caseOf, KINDS, type Kind, playCase } from './cases.ts';
import { startControl } from './control.ts';
import type { Ground, Lane } from './ground.ts';
import { faultsIn, type Health, healthOf, leaks, noSessions } from './health.ts';
import { Random } from './random.ts';

export interface Plan {
  readonly seed: string;
  /** At least so many are sent… */
  readonly messages: number;
  /** …or only this case is played. */
  readonly only: number | null;
  readonly kinds?: readonly Kind[];
  /** Messages between two checks. */
  readonly checkEvery?: number;
  readonly say?: (state: Summary) => void;
}

export interface Finding {
  /** Null: found in a check, so it was one of the cases before. */
  readonly case: number | null;
  readonly kind: Kind | 'check';
  readonly what: string;
}

export interface Summary {
  readonly cases: Readonly<Record<Kind, number>>;
  readonly messages: number;
  /** Statements that the server ran for us, up to the last check. */
  readonly ran: number;
  readonly approved: number;
  readonly denied: number;
  readonly controlRounds: number;
  /** A difference that was not there again when the case was played once more: a matter of time, as of a time-out. */
  readonly passing: number;
  readonly memory: readonly Health[];
  readonly findings: readonly Finding[];
}

/** Enough to look at. */
const FINDINGS_MAX = 20;
/** A difference counts when it is there each time. */
const CONFIRMATIONS = 2;

export async function fuzz(ground: Ground, plan: Plan): Promise<Summary> {
  return await new Run(ground, plan).run();
}

class Run {
  readonly #ground: Ground;
  readonly #plan: Plan;
  readonly #kinds: readonly Kind[];
  readonly #findings: Finding[] = [];
  readonly #cases: Record<Kind, number> = { hostile: 0, observed: 0, refused: 0, startup: 0 };
  readonly #memory: Health[] = [];
  readonly #before = new Map<string, Health>();
  readonly #stderrRead = new Map<string, number>();
  #next = 0;
  #played = 0;
  #messages = 0;
  #passing = 0;
  #approved = 0;
  #denied = 0;
  #controlRounds = 0;

  constructor(ground: Ground, plan: Plan) {
    this.#ground = ground;
    this.#plan = plan;
    this.#kinds = plan.kinds ?? KINDS;
  }

  async run(): Promise<Summary> {
    const { messages, only, checkEvery = 25_000 } = this.#plan;
    if (only !== null) {
      await this.#stretch(async (lanes) => await this.#case(lanes[0] as Lane, only));
      return this.#summary();
    }
    while (this.#messages < messages && this.#findings.length < FINDINGS_MAX) {
      const until = Math.min(messages, this.#messages + checkEvery);
      await this.#stretch(async (lanes) => {
        await Promise.all(
          lanes.map(async (lane) => {
            while (this.#messages < until && this.#findings.length < FINDINGS_MAX) {
              await this.#case(lane, this.#next++);
              this.#plan.say?.(this.#summary());
            }
          }),
        );
      });
    }
    return this.#summary();
  }

  /** Some cases, beside a client that behaves and an approver; then everybody leaves, and everything is looked at. */
  async #stretch(work: (lanes: readonly Lane[]) => Promise<void>): Promise<void> {
    const ground = this.#ground;
    const control = await startControl(ground.arena, `control ${this.#played} ${process.pid}`);
    const approver = startApprover(ground, this.#plan.seed);
    await work(ground.lanes);
    await approver.stop();
    const fault = await control.stop();
    if (fault !== null) this.#find(null, 'check', fault);
    this.#approved += approver.approved;
    this.#denied += approver.denied;
    this.#controlRounds += control.rounds;
    await this.#check();
  }

  async #case(lane: Lane, number: number): Promise<void> {
    const { seed } = this.#plan;
    const made = caseOf(seed, number, this.#kinds);
    this.#cases[made.kind]++;
    for (let times = 0; ; times++) {
      const marker = `fuzz ${number} ${this.#played++}`;
      let what: string | null;
      try {
        const random = new Random(seed, number, 'play');
        const played = await playCase(made, { ground: this.#ground, lane, marker, random });
        this.#messages += played.messages;
        what = played.finding;
      } catch (error) {
        what = error instanceof Error ? error.message : String(error);
      }
      if (what === null) {
        if (times > 0) this.#passing++;
        return;
      }
      const repeatable = made.kind === 'observed' || made.kind === 'refused';
      if (!repeatable || times === CONFIRMATIONS) return this.#find(number, made.kind, what);
    }
  }

  async #check(): Promise<void> {
    const ground = this.#ground;
    const check = async (work: () => Promise<readonly string[]>): Promise<void> => {
      try {
        for (const what of await work()) this.#find(null, 'check', what);
      } catch (error) {
        const cause =
          error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : '';
        this.#find(null, 'check', `${error instanceof Error ? error.message : String(error)}${cause}`);
      }
    };
    await check(async () => {
      await noSessions(ground);
      return [];
    });
    await check(() => ground.witness.check());
    await check(() => untouched(ground));
    for (const [name, proxy] of Object.entries(ground.proxies)) {
      await check(async () => this.#faults(name, proxy.running.stderr()));
      await check(async () => {
        const now = await healthOf(proxy);
        if (name === 'default') this.#memory.push(now);
        const before = this.#before.get(name);
        // The first stretch fills the caches.
        if (before === undefined) this.#before.set(name, now);
        return before === undefined ? [] : leaks(name, before, now);
      });
      await check(async () =>
        verifyLog(proxy.auditDir, { verifier: null, known: [] }).violations.map(
          (violation) => `the log of the proxy with ${name} rules: ${JSON.stringify(violation)}`,
        ),
      );
    }
  }

  /** What a proxy has said of itself since the last check. */
  #faults(name: string, stderr: string): string[] {
    const said = stderr.slice(this.#stderrRead.get(name) ?? 0);
    this.#stderrRead.set(name, stderr.length);
    return faultsIn(said).map((line) => `the proxy with ${name} rules says ${line}`);
  }

  #find(number: number | null, kind: Finding['kind'], what: string): void {
    this.#findings.push({ case: number, kind, what });
  }

  #summary(): Summary {
    return {
      cases: { ...this.#cases },
      messages: this.#messages,
      ran: this.#ground.witness.ran,
      approved: this.#approved,
      denied: this.#denied,
      controlRounds: this.#controlRounds,
      passing: this.#passing,
      memory: this.#memory,
      findings: this.#findings,
    };
  }
}

/** What only held statements, which nobody approved, could have changed. */
async function untouched(ground: Ground): Promise<string[]> {
  const found: string[] = [];
  const never = await ground.look<{ name: string }>(
    `SELECT relname AS name FROM pg_class WHERE relname LIKE '%never%'
     UNION ALL SELECT attname FROM pg_attribute WHERE attname LIKE '%never%'
     UNION ALL SELECT rolname FROM pg_roles WHERE rolname LIKE '%never%'
     UNION ALL SELECT grantee FROM information_schema.role_table_grants WHERE table_name = 'canary' AND grantee <> 'countersign'`,
  );
  for (const { name } of never) found.push(`${name} is there, which only a held statement makes`);
  const canary = await ground.look<{ alive: number }>(
    'SELECT count(*) FILTER (WHERE alive)::int AS alive FROM canary',
  );
  if (canary[0]?.alive !== 10) found.push(`the canary table has ${canary[0]?.alive} of 10 rows`);
  return found;
}
