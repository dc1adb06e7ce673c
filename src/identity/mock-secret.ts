// The SCRAM secret of a user who does not exist, so that asking does not tell who does (PostgreSQL does the same).
// It must look, on every node and after every restart, as a real one would: same salt each time, same iteration count.
import { createHash, createHmac } from 'node:crypto';
import { randomSecret } from '../base/ids.ts';

/** As wire/scram-secret.ts parses it; said again here because identity does not depend on the wire. */
export interface ScramSecret {
  readonly iterations: number;
  readonly salt: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

const DEFAULT_ITERATIONS = 4096;
const SALT_LENGTH = 16;

export interface MockSecrets {
  secretFor(user: string): ScramSecret;
}

/**
 * The key comes from the configured secrets themselves: all nodes have them, they outlive a restart, nobody else knows them.
 * Each mock takes its iteration count and the length of its salt from one of the real ones.
 */
export function mockSecrets(real: readonly ScramSecret[]): MockSecrets {
  const key =
    real.length === 0
      ? randomSecret(32)
      : real
          .reduce(
            (hash, secret) => hash.update(secret.storedKey).update(secret.serverKey),
            createHash('sha256').update('countersign mock secrets\0'),
          )
          .digest();
  const derive = (purpose: string, user: string) =>
    createHmac('sha256', key).update(`${purpose}\0${user}`).digest();
  return {
    secretFor(user) {
      const model = real[derive('model', user).readUInt32BE(0) % Math.max(real.length, 1)];
      const saltLength = model?.salt.length ?? SALT_LENGTH;
      return {
        iterations: model?.iterations ?? DEFAULT_ITERATIONS,
        salt: stretch((part) => derive(`salt ${part}`, user), saltLength),
        // No password leads to these; and the exchange is marked as a mock besides.
        storedKey: derive('stored key', user),
        serverKey: derive('server key', user),
      };
    },
  };
}

function stretch(block: (part: number) => Buffer, length: number): Buffer {
  const blocks: Buffer[] = [];
  for (let made = 0; made < length; made += 32) blocks.push(block(blocks.length));
  return Buffer.concat(blocks).subarray(0, length);
}
