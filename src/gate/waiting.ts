// One statement waits for a person. Starts when a hold is asked for, ends with the hold's last word: approved and
// consumed by this call alone, or ended without. Whatever happens to client, server, store or clock meanwhile ends it.
import type { AuditLog } from '../audit/log.ts';
import { CountersignError } from '../base/errors.ts';
import type { HoldId } from '../base/ids.ts';
import type { Hold, HoldChange, HoldEvent, HoldRequest, HoldStore } from '../holds/hold.ts';
import { recordHoldChange } from './recording.ts';

/** What can end a wait from outside. */
export type Interruption =
  | 'client cancelled'
  | 'client disconnected'
  | 'upstream lost'
  | 'backlog'
  | 'read otherwise'
  | 'shutdown';

export interface WaitingOptions {
  readonly store: HoldStore;
  readonly log: AuditLog;
  /** Between two notices to the client, milliseconds. */
  readonly noticeMs: number;
  /** Tells the client that its statement is (still) held, and for how long at most. */
  readonly notice: (hold: Hold, remainingMs: number) => void;
  /** Called once, at the start; whoever gets `interrupt` may call it at any time. */
  readonly interruptible: (interrupt: (why: Interruption) => void) => void;
  /** How long to wait, milliseconds, from the moment the store has the hold. Not a time of day: clocks differ. */
  readonly waitMs: number;
}

export type Decision =
  /** Approved, and consumed by this very wait: the statement may run, once. */
  | { readonly kind: 'approved'; readonly hold: Hold }
  | { readonly kind: 'ended'; readonly hold: Hold }
  | { readonly kind: 'interrupted'; readonly hold: Hold; readonly why: Interruption }
  /** The store or the log cannot be reached: nobody can have approved it as far as we can prove. */
  | { readonly kind: 'unavailable'; readonly hold: Hold | null; readonly error: unknown };

type Ending =
  | { readonly decided: Hold }
  | { readonly interrupted: Interruption }
  | { readonly lost: Error }
  | 'deadline';

/** Never rejects. */
export async function waitForDecision(request: HoldRequest, options: WaitingOptions): Promise<Decision> {
  let hold: Hold | null = null;
  try {
    hold = await options.store.create(request);
    await recordHoldChange(options.log, { hold, event: null });
    const ending = await firstEnding(hold, options);
    if (ending === 'deadline') return await conclude(hold, { type: 'expire' }, options);
    if ('lost' in ending) return await unavailable(hold, ending.lost, options);
    if ('interrupted' in ending) {
      const ended = await end(hold, withdrawal(ending.interrupted), options);
      return { kind: 'interrupted', hold: ended, why: ending.interrupted };
    }
    if (ending.decided.state !== 'approved') return { kind: 'ended', hold: ending.decided };
    return await conclude(ending.decided, { type: 'consume', binding: request.binding }, options);
  } catch (error) {
    return await unavailable(hold, error, options);
  }
}

/** Tells the store, and the log, how a consumed hold's statement ended. Best effort: the intent and outcome records stand. */
export async function reportOutcome(
  id: HoldId,
  state: 'executed' | 'failed' | 'unknown',
  options: Pick<WaitingOptions, 'store' | 'log'>,
): Promise<void> {
  await apply(id, { type: 'outcome', state }, options);
}

function firstEnding(hold: Hold, options: WaitingOptions): Promise<Ending> {
  const { id } = hold.request;
  return new Promise((resolve) => {
    const finish = (ending: Ending): void => {
      clearTimeout(deadline);
      clearInterval(notices);
      unwatch();
      resolve(ending);
    };
    const deadline = setTimeout(() => finish('deadline'), options.waitMs);
    let remainingMs = options.waitMs;
    const notices = setInterval(() => {
      remainingMs -= options.noticeMs;
      options.notice(hold, remainingMs);
    }, options.noticeMs);
    const unwatch = options.store.watch(
      id,
      (now) => {
        if (now.state !== 'pending') finish({ decided: now });
      },
      (error) => finish({ lost: error }),
    );
    options.interruptible((why) => finish({ interrupted: why }));
    options.notice(hold, remainingMs);
  });
}

/** Applies what should end the wait; where a decision came first, the decision counts. */
async function conclude(hold: Hold, event: HoldEvent, options: WaitingOptions): Promise<Decision> {
  const change = await apply(hold.request.id, event, options);
  if (change.hold.state === 'consumed' && change.event?.type === 'consume')
    return { kind: 'approved', hold: change.hold };
  if (change.hold.state === 'approved' && event.type !== 'consume') {
    // Approved at the last moment, while we were giving up.
    return await conclude(change.hold, { type: 'consume', binding: hold.request.binding }, options);
  }
  if (change.hold.state === 'pending') {
    // By the store's clock the deadline is still to come. The client has waited long enough all the same.
    return {
      kind: 'ended',
      hold: await end(change.hold, { type: 'withdraw', because: 'requester' }, options),
    };
  }
  return { kind: 'ended', hold: change.hold };
}

async function end(hold: Hold, event: HoldEvent, options: WaitingOptions): Promise<Hold> {
  return (await apply(hold.request.id, event, options)).hold;
}

/** The change that was made, or, when it was refused, the hold as it is with no event of ours. */
async function apply(
  id: HoldId,
  event: HoldEvent,
  { store, log }: Pick<WaitingOptions, 'store' | 'log'>,
): Promise<{ hold: Hold; event: HoldEvent | null }> {
  const result = await store.apply(id, event);
  if (result.ok) {
    const change: HoldChange = { hold: result.hold, event: result.event };
    await recordHoldChange(log, change);
    return { hold: result.hold, event: result.event };
  }
  const now = result.hold ?? (await store.get(id));
  if (now === null) throw new CountersignError('approvals_unavailable', 'the hold is gone from the store');
  return { hold: now, event: null };
}

async function unavailable(hold: Hold | null, error: unknown, options: WaitingOptions): Promise<Decision> {
  // Nobody waits any more, so nobody should be asked. Where even this fails, the deadline ends it.
  if (hold !== null) {
    await apply(hold.request.id, { type: 'withdraw', because: 'requester' }, options).catch(() => {});
  }
  return { kind: 'unavailable', hold, error };
}

function withdrawal(why: Interruption): HoldEvent {
  return { type: 'withdraw', because: why === 'backlog' || why === 'read otherwise' ? 'requester' : why };
}
