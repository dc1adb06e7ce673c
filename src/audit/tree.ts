// RFC 6962 Merkle tree hashing, as far as a log that only grows needs it: leaf and node hashes, and the right edge
// (the roots of the perfect subtrees that the leaves so far make up), O(log n) hashes from which the root follows.
import { createHash, hash } from 'node:crypto';

export const HASH_LENGTH = 32;
const EMPTY_ROOT = createHash('sha256').digest();

const LEAF_PREFIX = 0x00;
const NODE_PREFIX = 0x01;

/** Several times faster than a digest asked for as a buffer, which Node makes outside its pool. */
export function sha256(bytes: Buffer): Buffer {
  return Buffer.from(hash('sha256', bytes, 'binary'), 'latin1');
}

/** SHA-256(0x00 ‖ bytes). */
export function leafHash(bytes: Buffer): Buffer {
  const prefixed = Buffer.allocUnsafe(bytes.length + 1);
  prefixed[0] = LEAF_PREFIX;
  bytes.copy(prefixed, 1);
  return sha256(prefixed);
}

// Reused: hashing is synchronous, and an allocation per node would cost as much as the hash.
const pair = Buffer.alloc(1 + 2 * HASH_LENGTH);
pair[0] = NODE_PREFIX;

function nodeHash(left: Buffer, right: Buffer): Buffer {
  left.copy(pair, 1);
  right.copy(pair, 1 + HASH_LENGTH);
  return sha256(pair);
}

export class RightEdge {
  #size = 0;
  /** Roots of perfect subtrees, largest (leftmost) first; one for every 1 bit of the size. */
  readonly #peaks: Buffer[] = [];

  /** The edge of a tree of `size` leaves; null when it has not as many peaks as such a tree. */
  static from(size: number, peaks: readonly Buffer[]): RightEdge | null {
    if (!Number.isSafeInteger(size) || size < 0 || peaks.length !== onesOf(size)) return null;
    const edge = new RightEdge();
    edge.#size = size;
    edge.#peaks.push(...peaks);
    return edge;
  }

  get size(): number {
    return this.#size;
  }

  get peaks(): readonly Buffer[] {
    return this.#peaks;
  }

  append(leaf: Buffer): void {
    let top = leaf;
    // As adding one carries through the low 1 bits of the size, the new leaf joins the subtrees they stand for.
    for (let rest = this.#size; rest % 2 === 1; rest = Math.floor(rest / 2)) {
      const left = this.#peaks.pop();
      if (left === undefined) throw new Error('the right edge does not fit its size');
      top = nodeHash(left, top);
    }
    this.#peaks.push(top);
    this.#size++;
  }

  root(): Buffer {
    let root: Buffer | null = null;
    for (let i = this.#peaks.length - 1; i >= 0; i--) {
      const peak = this.#peaks[i] as Buffer;
      root = root === null ? peak : nodeHash(peak, root);
    }
    return root ?? EMPTY_ROOT;
  }
}

/** 1 bits of a number that may be past 32 bits. */
function onesOf(size: number): number {
  let ones = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) ones += rest % 2;
  return ones;
}
