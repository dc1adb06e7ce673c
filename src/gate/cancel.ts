// Our own cancel keys. The server's real key never leaves us: a CancelRequest that carries ours withdraws a statement
// that waits, or is passed on, with the real key, for one that runs.
import { timingSafeEqual } from 'node:crypto';
import { randomSecret } from '../base/ids.ts';

/** As long as protocol 3.0 has it. */
const SECRET_LENGTH = 4;

export interface CancelKey {
  readonly processId: number;
  readonly secretKey: Buffer;
}

export class CancelKeys {
  readonly #sessions = new Map<number, { secretKey: Buffer; cancel: () => Promise<void> }>();

  /** A key that calls `cancel` when it comes back in a CancelRequest. */
  issue(cancel: () => Promise<void>): CancelKey {
    for (;;) {
      // Positive, as a process id is: some clients print it.
      const processId = randomSecret(4).readUInt32BE(0) & 0x7fff_ffff;
      if (processId === 0 || this.#sessions.has(processId)) continue;
      const secretKey = randomSecret(SECRET_LENGTH);
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
  async use(processId: number, secretKey: Buffer): Promise<boolean> {
    const session = this.#sessions.get(processId);
    if (session === undefined || session.secretKey.length !== secretKey.length) return false;
    if (!timingSafeEqual(session.secretKey, secretKey)) return false;
    await session.cancel();
    return true;
  }
}
