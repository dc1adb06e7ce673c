// The path of a statement, on one screen:
// frame ─► statement ─► facts ─► verdict ─► (hold ─► decision) ─► record intent ─► relay ─► record outcome
// What is allowed goes through synchronously. `async` begins where a hold begins.

import type { Hold } from '../holds/hold.ts';
import type { Verdict } from '../rules/verdict.ts';
import {
  approvalsUnavailable,
  CLIENT_LEFT,
  cancelledByClient,
  DOOMED,
  DURING_COPY,
  deniedByRule,
  endedWithout,
  type Refusal,
  readOtherwise,
  tooMuchBehind,
} from './refusal.ts';
import type { Decision } from './waiting.ts';
import type { Work } from './work.ts';

/** What a session can do with a piece of work. */
export interface Gate {
  /** The strictest verdict on everything that the work would run, as the session stands now. */
  judge(work: Work): Verdict;
  /** Records the intent and lets the very bytes that were judged go to the server. */
  forward(work: Work, verdict: Verdict, hold: Hold | null): void;
  /** Records the refusal and sends what makes the server refuse. */
  refuse(work: Work, verdict: Verdict, refusal: Refusal, hold: Hold | null): void;
  /** No further frame is looked at until `resume`; the client is still listened to. */
  pause(): void;
  resume(): void;
  /**
   * Resolves true once the server has answered everything sent before, or waits for the data of a COPY and will answer
   * nothing; false if the session has ended.
   */
  settled(): Promise<boolean>;
  /** An error before it has already sealed its fate: the server would not run it. */
  doomed(work: Work): boolean;
  /** The server waits for CopyData and would answer nothing else. */
  copying(): boolean;
  /** The same frame with names resolved anew, now that every answer is in; null if the session has ended. */
  again(work: Work): Promise<Work | null>;
  ask(work: Work, verdict: Verdict): Promise<Decision>;
  urlOf(hold: Hold): string;
  /** Ends the session: the client may not do this, the log has failed, or we have a bug. */
  fail(error: unknown): void;
  readonly backlogBytes: number;
}

export function admit(work: Work, gate: Gate): void {
  const verdict = gate.judge(work);
  if (verdict.action === 'allow') gate.forward(work, verdict, null);
  else if (verdict.action === 'deny') gate.refuse(work, verdict, deniedByRule(verdict), null);
  else hold(work, verdict, gate).catch((error: unknown) => gate.fail(error));
}

async function hold(asSent: Work, firstVerdict: Verdict, gate: Gate): Promise<void> {
  if (gate.copying()) return amidCopy(asSent, firstVerdict, gate);
  gate.pause();
  try {
    if (!(await gate.settled())) return gate.refuse(asSent, firstVerdict, CLIENT_LEFT, null);
    if (gate.copying()) return amidCopy(asSent, firstVerdict, gate);
    const work = await gate.again(asSent);
    if (work === null) return gate.refuse(asSent, firstVerdict, CLIENT_LEFT, null);
    const verdict = gate.judge(work);
    // What may run, the server itself may refuse.
    if (verdict.action === 'allow') gate.forward(work, verdict, null);
    else if (gate.doomed(work)) gate.refuse(work, verdict, DOOMED, null);
    else if (verdict.action === 'deny') gate.refuse(work, verdict, deniedByRule(verdict), null);
    else await decide(work, verdict, gate);
  } finally {
    gate.resume();
  }
}

/** Servers differ in what they answer here, if anything; most end the session, and so do we. */
function amidCopy(work: Work, verdict: Verdict, gate: Gate): void {
  gate.refuse(work, verdict, DURING_COPY, null);
  gate.fail(DURING_COPY.error);
}

async function decide(work: Work, verdict: Verdict, gate: Gate): Promise<void> {
  const decision = await gate.ask(work, verdict);
  switch (decision.kind) {
    case 'approved':
      return gate.forward(work, verdict, decision.hold);
    case 'ended':
      return gate.refuse(
        work,
        verdict,
        endedWithout(decision.hold, gate.urlOf(decision.hold)),
        decision.hold,
      );
    case 'interrupted':
      return gate.refuse(work, verdict, interruptedBy(decision, gate), decision.hold);
    case 'unavailable':
      return gate.refuse(work, verdict, approvalsUnavailable(verdict), decision.hold);
    default:
      return decision satisfies never;
  }
}

function interruptedBy({ why, hold }: Extract<Decision, { kind: 'interrupted' }>, gate: Gate): Refusal {
  const url = gate.urlOf(hold);
  if (why === 'backlog') return tooMuchBehind(hold, url, gate.backlogBytes);
  return why === 'read otherwise' ? readOtherwise(hold, url) : cancelledByClient(hold, url);
}
