// Our own cancel keys. The server's real key never leaves us: a CancelRequest that carries ours withdraws a statement
// that waits, or is passed on, with the real key, for one that runs. Which node a key belongs to stands in its process id.
import { createHash, timingSafeEqual } from 'node:crypto';
import { randomSecret } from '../base/ids.ts';

/** Bytes of the secret: as protocol 3.0 has it, and as the server has it since 3.2, where it cannot be guessed. */
const SECRET_LENGTH = { upTo31: 4, since32: 32 } as const;

/**
 * A process id is positive, so it has 31 bits: the node's, so that every node knows whom to pass a request to, and then
 * the session's. Two nodes may have the same bits; a request is passed to both then, and one of them has the key.
 */
const SESSION_BITS = 19;
const NODE_BITS = 31 - SESSION_BITS;

export interface CancelKey {
  readonly processId: number;
  readonly secretKey: Buffer;
}

/** The bits of a node in its keys; the same for every process of that name. */
export function nodeNumber(name: string): number {
  return createHash('sha256').update(name).digest().readUInt32BE(0) >>> (32 - NODE_BITS);
}

export function nodeNumberOf({ processId }: Pick<CancelKey, 'processId'>): number {
  return processId >>> SESSION_BITS;
}

export class CancelKeys {
  readonly #node: number;
  readonly #sessions = new Map<number, { secretKey: Buffer; cancel: () => Promise<void> }>();

  /** `node`: as nodeNumber gives it. */
  constructor(node: number) {
    this.#node = node;
  }

  /** A key that calls `cancel` when it comes back in a CancelRequest. `minor`: of the protocol that is spoken. */
  issue(minor: number, cancel: () => Promise<void>): CancelKey {
    for (;;) {
      const session = randomSecret(4).readUInt32BE(0) >>> (32 - SESSION_BITS);
      const processId = this.#node * 2 ** SESSION_BITS + session;
      if (processId === 0 || this.#sessions.has(processId)) continue;
      const secretKey = randomSecret(minor >= 2 ? SECRET_LENGTH.since32 : SECRET_LENGTH.upTo31);
      this.#sessions.set(processId, { secretKey, cancel });
      return { processId, secretKey };
    }
  }

  revoke(key: CancelKey): void {
    this.#sessions.delete(key.processId);
  }

  /**
   * Resolves once the cancel has been delivered: a client takes the end of its connection for that, and may then send
   * its next statement. False, and silent, for a key that is not ours.
   */
  async use({ processId, secretKey }: CancelKey): Promise<boolean> {
    const session = this.#sessions.get(processId);
    if (session === undefined || session.secretKey.length !== secretKey.length) return false;
    if (!timingSafeEqual(session.secretKey, secretKey)) return false;
    await session.cancel();
    return true;
  }
}
