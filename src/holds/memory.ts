// The hold store of a single process: the same contract as redis.ts, nothing shared, nothing kept over a restart.
// After a restart its clients are gone too, so a lost pending hold harms nobody; the log has what was decided.
import type { Clock } from '../base/clock.ts';
import { CountersignError } from '../base/errors.ts';
import type { HoldId } from '../base/ids.ts';
import type { Hold, HoldChange, HoldEvent, HoldRequest, HoldStore, StepResult } from './hold.ts';
import { Listeners } from './listeners.ts';
import { dueMs, isOpen, newHold, step } from './machine.ts';

/** How long a hold that is no longer open can still be looked up. The log keeps them for ever. */
const KEEP_MS = 24 * 60 * 60 * 1000;
/** How many of those at most, oldest forgotten first… */
const KEEP_COUNT = 1_000;
/** …and how many characters of SQL they may keep alive together: one frame may be 64 MiB. */
const KEEP_CHARACTERS = 32 * 1024 * 1024;
/** Ended by one sweep at most, so that a sweep never stalls the process. */
const SWEEP_COUNT = 1_000;

export interface MemoryHoldStoreOptions {
  readonly clock: Clock;
  /** What a listener threw: a bug of ours, for the operator's log. */
  readonly onProblem?: (error: unknown) => void;
}

export class MemoryHoldStore implements HoldStore {
  readonly #clock: Clock;
  readonly #listeners: Listeners;
  /** In the order they were requested. */
  readonly #holds = new Map<HoldId, Hold>();
  /** No longer open, in the order they stopped to be, with when that was. */
  readonly #ended = new Map<HoldId, number>();
  #endedCharacters = 0;
  #closed = false;

  constructor(options: MemoryHoldStoreOptions) {
    this.#clock = options.clock;
    this.#listeners = new Listeners(options.onProblem ?? (() => {}));
  }

  async create(request: HoldRequest): Promise<Hold> {
    this.#refuseWhenClosed();
    if (this.#holds.has(request.id))
      throw new CountersignError('internal', 'a hold of that id exists already');
    // A copy: what an approver was shown must not change with the caller's object.
    const hold = newHold(structuredClone(request));
    this.#holds.set(request.id, hold);
    this.#tell({ hold, event: null });
    return hold;
  }

  async get(id: HoldId): Promise<Hold | null> {
    this.#refuseWhenClosed();
    return this.#holds.get(id) ?? null;
  }

  async list(which: 'open' | 'all'): Promise<readonly Hold[]> {
    this.#refuseWhenClosed();
    const holds = [...this.#holds.values()];
    return which === 'all' ? holds : holds.filter((hold) => isOpen(hold.state));
  }

  async apply(id: HoldId, event: HoldEvent): Promise<StepResult> {
    this.#refuseWhenClosed();
    const hold = this.#holds.get(id);
    if (hold === undefined) return { ok: false, refusal: 'not_found', message: 'no such hold', hold: null };
    return this.#take(step(hold, event, this.#clock.nowMs()));
  }

  watch(id: HoldId, listener: (hold: Hold) => void, lost: (error: Error) => void): () => void {
    const stop = this.#listeners.watch(id, listener, lost);
    const hold = this.#holds.get(id);
    if (hold === undefined) this.#listeners.lose([id], gone());
    else this.#listeners.seen(hold);
    return stop;
  }

  onChange(listener: (change: HoldChange) => void): () => void {
    return this.#listeners.onChange(listener);
  }

  async sweep(): Promise<readonly HoldChange[]> {
    this.#refuseWhenClosed();
    const nowMs = this.#clock.nowMs();
    const changes: HoldChange[] = [];
    for (const hold of this.#holds.values()) {
      if (changes.length === SWEEP_COUNT) break;
      const due = dueMs(hold);
      if (due === null || nowMs < due) continue;
      const result = this.#take(step(hold, { type: hold.state === 'pending' ? 'expire' : 'lapse' }, nowMs));
      if (result.ok) changes.push({ hold: result.hold, event: result.event });
    }
    this.#forget(nowMs);
    return changes;
  }

  ready(): boolean {
    return !this.#closed;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#listeners.clear();
    this.#holds.clear();
    this.#ended.clear();
  }

  #take(result: StepResult): StepResult {
    if (!result.ok) return result;
    const { id } = result.hold.request;
    this.#holds.set(id, result.hold);
    if (!isOpen(result.hold.state) && !this.#ended.has(id)) {
      this.#ended.set(id, this.#clock.nowMs());
      this.#endedCharacters += charactersOf(result.hold);
      this.#forget(this.#clock.nowMs());
    }
    this.#tell({ hold: result.hold, event: result.event });
    return result;
  }

  #tell(change: HoldChange): void {
    this.#listeners.seen(change.hold);
    this.#listeners.changed(change);
  }

  #forget(nowMs: number): void {
    for (const [id, endedAtMs] of this.#ended) {
      const room = this.#ended.size <= KEEP_COUNT && this.#endedCharacters <= KEEP_CHARACTERS;
      if (room && nowMs - endedAtMs < KEEP_MS) return;
      const hold = this.#holds.get(id);
      // Its client still runs it: its outcome has to find it.
      if (hold?.state === 'consumed') continue;
      if (hold !== undefined) this.#endedCharacters -= charactersOf(hold);
      this.#ended.delete(id);
      this.#holds.delete(id);
    }
  }

  #refuseWhenClosed(): void {
    if (this.#closed)
      throw new CountersignError('approvals_unavailable', 'approvals are unavailable: shutting down');
  }
}

function charactersOf({ request: { statement } }: Hold): number {
  const values = statement.parameters?.reduce((sum, value) => sum + (value?.length ?? 0), 0) ?? 0;
  return statement.text.length + values;
}

function gone(): CountersignError {
  return new CountersignError('approvals_unavailable', 'the hold is not there');
}
