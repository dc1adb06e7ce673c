// CancelRequests between nodes. A load balancer may bring one to a node that has not the session; that node asks those
// whose number the key bears, and passes the key on to each that answers, sealed for it alone.
//
//   asking node                                      node with that number
//     ask   ID REPLY-ADDRESS                 ─►
//                                            ◄─        lock  ID PUBLIC-KEY       a key pair for this request only
//     try   PUBLIC-KEY SEALED-KEY            ─►        tries it on its sessions
//                                            ◄─        tried ID yes|no           when the cancel has been delivered
//
// Whoever reads the bus learns that there was a cancel, whoever sends a `try` again finds its lock gone. Whoever may
// write to it can pose as a node and be given keys, to cancel with; but they can give approvals too, and that is worse.
import { randomSecret } from '../base/ids.ts';
import { type CancelKey, type CancelKeys, nodeNumberOf } from './cancel.ts';
import { type Lock, makeLock, seal, unseal } from './sealed-key.ts';
import type { Ignored } from './tally.ts';

/** What carries texts between nodes, to whoever listens at that moment. */
export interface Bus {
  /** Resolves when it listens, or cannot yet and goes on trying. */
  listen(address: string, listener: (text: string) => void): Promise<void>;
  /** How many listen to this very address. Rejects when the bus cannot be reached. */
  listeners(address: string): Promise<number>;
  /** Rejects when the bus cannot be reached. */
  send(address: string, text: string): Promise<void>;
}

export interface CancelRelayOptions {
  readonly keys: CancelKeys;
  /** Of this node, as in its keys. */
  readonly node: number;
  readonly bus: Bus;
  readonly count: (what: Ignored) => void;
}

/** From `ask` to the last `tried`. A client waits meanwhile for its connection to be closed. */
const ANSWER_MS = 5_000;
/** Requests that are under way at once, and locks that wait for a key: nobody has logged in to cause them. */
const MOST = 1_000;

const MESSAGE = {
  ask: /^ask ([0-9a-f]{32}) ([0-9a-f]{32})$/,
  lock: /^lock ([0-9a-f]{32}) ([0-9a-f]{64})$/,
  try: /^try ([0-9a-f]{64}) ([0-9a-f]{112,616})$/,
  tried: /^tried ([0-9a-f]{32}) (yes|no)$/,
} as const;

interface Asked {
  readonly address: string;
  readonly key: CancelKey;
  readonly onTried: (cancelled: boolean) => void;
}

interface Offered {
  readonly lock: Lock;
  readonly id: string;
  readonly replyTo: string;
}

export class CancelRelay {
  readonly #options: CancelRelayOptions;
  /** Where answers to this process go. */
  readonly #self = randomSecret(16).toString('hex');
  readonly #asked = new Map<string, Asked>();
  readonly #offered = new Map<string, Offered>();
  #passing = 0;

  constructor(options: CancelRelayOptions) {
    this.#options = options;
  }

  async listen(): Promise<void> {
    const { bus, node } = this.#options;
    await Promise.all([
      bus.listen(addressOf(node), (text) => this.#onRequest(text)),
      bus.listen(this.#self, (text) => this.#onAnswer(text)),
    ]);
  }

  /** Passes a key on that is not one of this node. Resolves when it has been tried wherever it may belong, or is given up. */
  async pass(key: CancelKey): Promise<void> {
    const { count } = this.#options;
    if (this.#passing >= MOST) return count('cancel request beyond those that can be passed on at once');
    this.#passing++;
    try {
      const outcome = await this.#ask(key);
      if (outcome !== 'cancelled') count(outcome);
    } catch {
      count('cancel request that the other nodes could not be asked about');
    } finally {
      this.#passing--;
    }
  }

  async #ask(key: CancelKey): Promise<'cancelled' | Ignored> {
    const { node, bus } = this.#options;
    const number = nodeNumberOf(key);
    const address = addressOf(number);
    // One of them is ourselves where the number is ours, and we have looked already.
    const nodes = (await bus.listeners(address)) - (number === node ? 1 : 0);
    if (nodes <= 0) return 'cancel request with an unknown key';
    const id = randomSecret(16).toString('hex');
    let late: NodeJS.Timeout | undefined;
    try {
      return await new Promise((resolve, reject) => {
        late = setTimeout(() => resolve('cancel request that its node did not confirm in time'), ANSWER_MS);
        let tried = 0;
        const onTried = (cancelled: boolean): void => {
          tried++;
          if (cancelled) resolve('cancelled');
          else if (tried >= nodes) resolve('cancel request with an unknown key');
        };
        this.#asked.set(id, { address, key, onTried });
        bus.send(address, `ask ${id} ${this.#self}`).catch(reject);
      });
    } finally {
      clearTimeout(late);
      this.#asked.delete(id);
    }
  }

  // — What other nodes ask ——————————————————————————————————————————————————————————————————————————————

  #onRequest(text: string): void {
    const [, id, replyTo] = MESSAGE.ask.exec(text) ?? [];
    if (id !== undefined && replyTo !== undefined) {
      if (replyTo !== this.#self) this.#offerLock(id, replyTo);
      return;
    }
    const [, publicKey, box] = MESSAGE.try.exec(text) ?? [];
    const offered = publicKey === undefined ? undefined : this.#offered.get(publicKey);
    if (publicKey === undefined || box === undefined || offered === undefined) return;
    this.#offered.delete(publicKey);
    void this.#try(offered, Buffer.from(box, 'hex'));
  }

  #offerLock(id: string, replyTo: string): void {
    if (this.#offered.size >= MOST) return;
    const lock = makeLock();
    const publicKey = lock.publicKey.toString('hex');
    this.#offered.set(publicKey, { lock, id, replyTo });
    setTimeout(() => this.#offered.delete(publicKey), ANSWER_MS).unref();
    this.#send(replyTo, `lock ${id} ${publicKey}`);
  }

  async #try({ lock, id, replyTo }: Offered, box: Buffer): Promise<void> {
    const key = unseal(box, lock);
    const cancelled = key !== null && (await this.#options.keys.use(key));
    this.#send(replyTo, `tried ${id} ${cancelled ? 'yes' : 'no'}`);
  }

  // — What they answer ——————————————————————————————————————————————————————————————————————————————————

  #onAnswer(text: string): void {
    const [, lockFor, publicKey] = MESSAGE.lock.exec(text) ?? [];
    if (lockFor !== undefined && publicKey !== undefined) this.#passTo(lockFor, publicKey);
    const [, triedFor, outcome] = MESSAGE.tried.exec(text) ?? [];
    if (triedFor !== undefined) this.#asked.get(triedFor)?.onTried(outcome === 'yes');
  }

  #passTo(id: string, publicKey: string): void {
    const asked = this.#asked.get(id);
    if (asked === undefined) return;
    let box: Buffer;
    try {
      box = seal(asked.key, Buffer.from(publicKey, 'hex'));
    } catch {
      return; // no key of any node
    }
    this.#send(asked.address, `try ${publicKey} ${box.toString('hex')}`);
  }

  /** What gets lost here is noticed by whoever waits for it. */
  #send(address: string, text: string): void {
    this.#options.bus.send(address, text).catch(() => {});
  }
}

function addressOf(node: number): string {
  return `node-${node}`;
}
