// A statement whose next row would pass a budget: the server is not read any further, a person is asked whether the rest
// may go out, and then it flows on or is cancelled. What has been sent before that stays sent.
import type { Verdict } from '../rules/verdict.ts';
import type { Asking } from './asking.ts';
import type { Exceeded } from './budget.ts';
import type { Following } from './following.ts';
import type { Gatekeeper } from './gatekeeper.ts';
import type { Node } from './node.ts';
import type { Run } from './pipeline.ts';
import { stopped } from './refusal.ts';
import type { Interruption } from './waiting.ts';

export interface OverrunOptions {
  readonly node: Node;
  readonly following: Following;
  readonly gatekeeper: Gatekeeper;
  /** Its own, so that it neither interrupts nor is interrupted by what is asked about another statement. */
  readonly asking: Asking;
  /** Has the server cancel what it runs; resolves when it has been told, never rejects. */
  readonly cancel: () => Promise<void>;
  /** Takes up what the server sends where it was stopped. */
  readonly goOn: () => void;
}

export class Overrun {
  readonly #options: OverrunOptions;
  #waits = false;

  constructor(options: OverrunOptions) {
    this.#options = options;
  }

  /** A person is asked, and nothing is read from the server. */
  get waits(): boolean {
    return this.#waits;
  }

  interrupt(why: Interruption): void {
    if (this.#waits) this.#options.asking.interrupt(why);
  }

  begin(run: Run, exceeded: Exceeded): void {
    this.#waits = true;
    this.#decide(run, exceeded).catch((error: unknown) => this.#options.gatekeeper.fail(error));
  }

  async #decide(run: Run, exceeded: Exceeded): Promise<void> {
    const { node, following, gatekeeper, asking, cancel, goOn } = this.#options;
    const resume = gatekeeper.holdBack();
    asking.begin();
    const { variables, searchPath } = following;
    const decision = await asking.ask(run.work, verdictOn(run, exceeded), variables, searchPath);
    if (decision.kind === 'approved') {
      following.budget.forgive(exceeded, run.work.spends);
      run.most = null;
      run.hold = decision.hold.request.id;
    } else {
      run.denial = stopped(decision, node.urlOf);
      await cancel();
    }
    this.#waits = false;
    goOn();
    // What is sent next must not come between the statement and the error that it is to end with.
    if (resume !== null && (run.denial === null || (await gatekeeper.answeredAll()))) resume();
  }
}

/** By the rule that let it through: whoever may allow that may allow more of it. */
function verdictOn(run: Run, { of, unit, limit }: Exceeded): Verdict {
  const whose =
    of === 'statement' ? 'This statement' : `Together with what its ${of} was sent before, this statement`;
  const sent = `${shown(run.rows)} rows, ${shown(run.bytes)} bytes`;
  return {
    ...run.verdict,
    action: 'hold',
    rule: `budget-${of}`,
    message: `${whose} would send more than the ${shown(limit)} ${unit} that may go out unasked; ${sent} of it have been sent. Approve to send the rest, deny to cancel it.`,
  };
}

const shown = (count: number): string => count.toLocaleString('en');
