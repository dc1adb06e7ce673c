// Messages on their way out: in order per hold, retried on a schedule, bounded. Knows nothing of HTTP; `deliver` does.
import type { HoldId } from '../base/ids.ts';
import type { Attempt } from './delivery.ts';
import type { WebhookMessage } from './message.ts';

/** As much of pino as is used here. */
export interface NotifyLogger {
  warn(particulars: object, message: string): void;
  error(particulars: object, message: string): void;
}

/** How long after a failure the next attempt is made. */
export interface RetrySchedule {
  /** Before the first attempt, the second, …, milliseconds. */
  readonly delaysMs: readonly number[];
  /** Before every one after those. */
  readonly everyMs: number;
  /** For `hold.closed`, which nothing else ends. `hold.requested` is tried until the hold is closed. */
  readonly closedAttempts: number;
}

export interface OutboxStatus {
  readonly delivered: number;
  /** Given up: never delivered. */
  readonly dead: number;
  /** Holds of which something is still to be told. */
  readonly waiting: number;
  /** The receiver answered 410: nothing is sent any more. */
  readonly disabled: boolean;
}

/** What is still to be told of one hold, in order. */
interface Lane {
  readonly messages: WebhookMessage[];
  /** Of the first message. */
  attempts: number;
  state: 'queued' | 'sending' | 'sleeping';
  timer: NodeJS.Timeout | undefined;
}

const MAX_SENDING = 8;
/** Of 20 KB each: what a receiver that is down for long may cost us. */
const MAX_LANES = 2_000;

export class Outbox {
  readonly #deliver: (message: WebhookMessage) => Promise<Attempt>;
  readonly #schedule: RetrySchedule;
  readonly #logger: NotifyLogger;
  readonly #lanes = new Map<HoldId, Lane>();
  readonly #queue: HoldId[] = [];
  #sending = 0;
  #delivered = 0;
  #dead = 0;
  #disabled = false;
  #closing = false;
  #whenQuiet: (() => void) | null = null;

  /** `deliver` never rejects. */
  constructor(
    deliver: (message: WebhookMessage) => Promise<Attempt>,
    schedule: RetrySchedule,
    logger: NotifyLogger,
  ) {
    this.#deliver = deliver;
    this.#schedule = schedule;
    this.#logger = logger;
  }

  status(): OutboxStatus {
    const { size: waiting } = this.#lanes;
    return { delivered: this.#delivered, dead: this.#dead, waiting, disabled: this.#disabled };
  }

  /** Returns at once; whatever becomes of the message is in the log. */
  add(id: HoldId, message: WebhookMessage): void {
    if (this.#disabled || this.#closing) return;
    const lane = this.#lanes.get(id);
    if (lane !== undefined) {
      if (lane.messages.some(({ id: earlier }) => earlier === message.id)) return;
      lane.messages.push(message);
      // The hold is closed: what was said of it before is worth no more than the attempt that is under way.
      if (lane.state === 'sleeping') this.#giveUp(id, lane, 'the hold is closed');
    } else if (this.#lanes.size >= MAX_LANES) {
      this.#bury(message, 'too many are waiting');
    } else {
      const opened: Lane = { messages: [message], attempts: 0, state: 'sleeping', timer: undefined };
      this.#lanes.set(id, opened);
      this.#sleep(id, opened, this.#delayMs(0));
    }
  }

  /** Takes no more, gives what can go out now `graceMs` to do so, buries the rest. */
  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    if (this.#sending > 0 || this.#queue.length > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, graceMs);
        this.#whenQuiet = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#discard('shutting down');
  }

  #delayMs(attempts: number): number {
    return this.#schedule.delaysMs[attempts] ?? this.#schedule.everyMs;
  }

  #sleep(id: HoldId, lane: Lane, delayMs: number): void {
    clearTimeout(lane.timer);
    lane.state = 'sleeping';
    if (delayMs === 0) this.#wake(id, lane);
    else lane.timer = setTimeout(() => this.#wake(id, lane), delayMs).unref();
  }

  #wake(id: HoldId, lane: Lane): void {
    lane.state = 'queued';
    this.#queue.push(id);
    this.#pump();
  }

  #pump(): void {
    while (this.#sending < MAX_SENDING) {
      const id = this.#queue.shift();
      if (id === undefined) break;
      const lane = this.#lanes.get(id);
      if (lane !== undefined) void this.#send(id, lane);
    }
    if (this.#sending === 0 && this.#queue.length === 0) this.#whenQuiet?.();
  }

  async #send(id: HoldId, lane: Lane): Promise<void> {
    const message = lane.messages[0];
    if (message === undefined) return;
    lane.state = 'sending';
    this.#sending++;
    const attempt = await this.#deliver(message);
    this.#sending--;
    if (this.#lanes.get(id) === lane) this.#settle(id, lane, message, attempt);
    this.#pump();
  }

  #settle(id: HoldId, lane: Lane, message: WebhookMessage, attempt: Attempt): void {
    lane.attempts++;
    switch (attempt.result) {
      case 'delivered':
        this.#delivered++;
        lane.messages.shift();
        this.#next(id, lane);
        break;

      case 'gone':
        this.#disabled = true;
        this.#logger.error({}, 'webhook: the receiver answered 410 Gone; nothing more is sent');
        this.#discard('the receiver wants no more');
        break;

      case 'failed': {
        const { because, retryAfterMs } = attempt;
        this.#logger.warn({ message: message.id, attempt: lane.attempts, because }, 'webhook: not delivered');
        if (this.#closing || this.#isLast(lane, message)) this.#giveUp(id, lane, because);
        else this.#sleep(id, lane, Math.max(this.#delayMs(lane.attempts), retryAfterMs));
        break;
      }

      default:
        attempt satisfies never;
    }
  }

  #isLast(lane: Lane, message: WebhookMessage): boolean {
    if (message.type === 'hold.closed') return lane.attempts >= this.#schedule.closedAttempts;
    return lane.messages.length > 1;
  }

  #giveUp(id: HoldId, lane: Lane, because: string): void {
    const message = lane.messages.shift();
    if (message !== undefined) this.#bury(message, because);
    this.#next(id, lane);
  }

  #next(id: HoldId, lane: Lane): void {
    lane.attempts = 0;
    if (lane.messages.length > 0) this.#sleep(id, lane, this.#delayMs(0));
    else this.#lanes.delete(id);
  }

  #bury(message: WebhookMessage, because: string): void {
    this.#dead++;
    this.#logger.error({ message: message.id, because }, 'webhook: given up');
  }

  #discard(because: string): void {
    for (const lane of this.#lanes.values()) {
      clearTimeout(lane.timer);
      for (const message of lane.messages) this.#bury(message, because);
    }
    this.#lanes.clear();
    this.#queue.length = 0;
  }
}
