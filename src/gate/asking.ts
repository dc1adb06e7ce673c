// A session's questions to people: one at a time, each with notices to the client while it waits, and each open to
// interruption from the moment the session pauses until the answer is used.
import { randomSecret } from '../base/ids.ts';
import type { Hold } from '../holds/hold.ts';
import type { Verdict } from '../rules/verdict.ts';
import type { Impact } from '../sql/impact.ts';
import { encodeNotice } from '../wire/backend.ts';
import type { StatedVariables } from './following.ts';
import type { Node } from './node.ts';
import type { Speaker } from './recording.ts';
import { holdRequest } from './request.ts';
import { type Decision, type Interruption, reportOutcome, waitForDecision } from './waiting.ts';
import { textValues, type Work } from './work.ts';

export interface AskingOptions {
  readonly node: Node;
  readonly speaker: Speaker;
  /** Everyone who stands behind the agent, and so may not decide. */
  readonly requesters: readonly string[];
  /** Process ID of the session's server process. */
  readonly backend: number | null;
  /** Shows the client a NoticeResponse. */
  readonly tell: (notice: Buffer) => void;
}

export class Asking {
  readonly #options: AskingOptions;
  /** Held in this process's memory only: an approval of another session's statement cannot be for this one. */
  readonly #nonce = randomSecret(32);
  #interrupt: ((why: Interruption) => void) | null = null;
  #interrupted: Interruption | null = null;
  /** A person is asked, or about to be: by the facts as they were when this began. */
  #underWay = false;

  constructor(options: AskingOptions) {
    this.#options = options;
  }

  /** The session has paused for a statement; what interrupted an earlier one is over. */
  begin(): void {
    this.#interrupt = null;
    this.#interrupted = null;
  }

  /** Ends the wait, or keeps it from beginning. The first reason counts. */
  interrupt(why: Interruption): void {
    this.#interrupted ??= why;
    this.#interrupt?.(why);
  }

  /** The server reads texts otherwise from now on. What is not asked yet will be judged by that. */
  readOtherwise(): void {
    if (this.#underWay) this.interrupt('read otherwise');
  }

  /** Never rejects. `approved` is for the caller alone, and once. */
  async ask(
    work: Work,
    verdict: Verdict,
    variables: StatedVariables,
    searchPath: string | null,
  ): Promise<Decision> {
    const { node, speaker, requesters } = this.#options;
    const { times } = node;
    this.#underWay = true;
    const impact = await this.#impact(work, verdict, searchPath);
    const allowedMs = variables.inTransaction ? times.waitInTransactionMs : times.waitMs;
    const waitMs = Math.min(allowedMs, variables.maxWaitMs ?? allowedMs);
    const request = holdRequest(work, verdict, {
      node: node.name,
      ...speaker,
      requesters,
      variables,
      impact,
      searchPath,
      rulesHash: node.rules().hash,
      bindingKey: node.bindingKey,
      nonce: this.#nonce,
      nowMs: node.clock.nowMs(),
      waitMs,
      grantMs: times.grantMs,
    });
    const decision = await waitForDecision(request, {
      store: node.store,
      log: node.log,
      noticeMs: times.noticeMs,
      waitMs,
      notice: (hold, remainingMs) => this.#notice(hold, remainingMs),
      interruptible: (interrupt) => {
        this.#interrupt = interrupt;
        if (this.#interrupted !== null) interrupt(this.#interrupted);
      },
    });
    this.#underWay = false;
    if (decision.kind === 'unavailable') node.problem(decision.error, 'approval');
    // Whoever cancelled between the approval and this line must not find that it ran after all.
    if (decision.kind === 'approved' && this.#interrupted !== null) {
      this.report(decision.hold.request.id, 'failed');
      return { kind: 'interrupted', hold: decision.hold, why: this.#interrupted };
    }
    return decision;
  }

  /** What the approver is told of it. Whatever ends the wait ends this as well. */
  #impact(work: Work, verdict: Verdict, searchPath: string | null): Promise<readonly Impact[]> {
    const { node, speaker, backend } = this.#options;
    const { statements, parameterTypes } = work;
    const giveUp = new Promise<void>((resolve) => {
      this.#interrupt = () => resolve();
      if (this.#interrupted !== null) resolve();
    });
    return node.impact(
      speaker.who.database,
      // An error of the server's would show a value that the rule has redacted.
      {
        statements,
        parameterTypes,
        values: verdict.record === 'digest' ? null : textValues(work),
        searchPath,
        backend,
      },
      giveUp,
    );
  }

  /** Says how an approved statement ended. The session does not wait for it. */
  report(id: Hold['request']['id'], state: 'executed' | 'failed' | 'unknown'): void {
    const { node } = this.#options;
    node.background(reportOutcome(id, state, node), 'hold outcome');
  }

  #notice(hold: Hold, remainingMs: number): void {
    const { node, tell } = this.#options;
    const { rule, id, statement } = hold.request;
    const seconds = Math.max(0, Math.round(remainingMs / 1000));
    const what = statement.tags.length > 0 ? statement.tags.join(', ') : 'statement';
    tell(
      encodeNotice(
        `held for approval (${id}): ${what}, by rule "${rule.name}"`,
        JSON.stringify({ hold: id, status: hold.state, rule: rule.name, url: node.urlOf(hold), seconds }),
        `Waiting up to ${seconds} s more for a person: countersign approve ${id}`,
      ),
    );
  }
}
