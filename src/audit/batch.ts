// The records of one event-loop turn, as the bytes that one write will put into the segment. One buffer for the life
// of the log: a record costs no allocation here beyond its hash.
import { crc32 } from 'node:zlib';
import type { Encoded } from './leaf.ts';
import { encodeCommit, nextChain, sumOf } from './line.ts';
import { sha256 } from './tree.ts';

const LEAF_START = '{"leaf":';
const OPENING_START = ',"opening":';
const LONGEST_SUM = ',"sum":"00000000"}\n'.length;
const INITIAL_BYTES = 256 * 1024;
/** A batch with a giant statement makes the buffer grow; past this it is let go afterwards. */
const KEPT_BYTES = 4 * 1024 * 1024;

export class Batch {
  #buffer = Buffer.allocUnsafe(INITIAL_BYTES);
  #length = 0;
  #hashes: Buffer[] = [];

  get isEmpty(): boolean {
    return this.#hashes.length === 0;
  }

  add(record: Encoded): void {
    // UTF-8 needs at most three bytes for a UTF-16 code unit.
    const chars = record.leaf.length + (record.opening?.length ?? 0);
    this.#reserve(LEAF_START.length + OPENING_START.length + LONGEST_SUM + chars * 3);
    const start = this.#length;
    this.#put(LEAF_START);
    const leafStart = this.#length;
    this.#put(record.leaf);
    this.#hashes.push(this.#leafHash(leafStart, this.#length));
    if (record.opening !== null) {
      this.#put(OPENING_START);
      this.#put(record.opening);
    }
    const crc = crc32(this.#buffer.subarray(start, this.#length));
    this.#put(`,"sum":"${sumOf(crc)}"}\n`);
  }

  /** Ends the batch: its bytes, its leaf hashes and the new chain. The bytes are good until the next `add`. */
  seal(chain: Buffer, size: number): { bytes: Buffer; leafHashes: readonly Buffer[]; chain: Buffer } {
    const leafHashes = this.#hashes;
    const sealed = nextChain(chain, leafHashes);
    const commit = encodeCommit(sealed, size);
    this.#reserve(commit.length);
    this.#put(commit);
    const bytes = this.#buffer.subarray(0, this.#length);
    this.#hashes = [];
    this.#length = 0;
    if (this.#buffer.length > KEPT_BYTES) this.#buffer = Buffer.allocUnsafe(INITIAL_BYTES);
    return { bytes, leafHashes, chain: sealed };
  }

  #put(text: string): void {
    this.#length += this.#buffer.write(text, this.#length);
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }

  /** RFC 6962 hashes 0x00 ‖ leaf. The byte before the leaf is lent for the prefix, which saves a copy per record. */
  #leafHash(start: number, end: number): Buffer {
    const before = this.#buffer[start - 1] as number;
    this.#buffer[start - 1] = 0x00;
    const digest = sha256(this.#buffer.subarray(start - 1, end));
    this.#buffer[start - 1] = before;
    return digest;
  }
}
