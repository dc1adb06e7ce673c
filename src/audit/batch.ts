// The records of one event-loop turn, as the bytes that one write will put into the segment. One buffer for the life
// of the log: a record costs no allocation here beyond its hash.
import { crc32 } from 'node:zlib';
import type { Encoded, Text } from './fields.ts';
import { encodeCommit, nextChain } from './line.ts';
import { sha256 } from './tree.ts';

const INITIAL_BYTES = 256 * 1024;
/** A batch with a giant statement makes the buffer grow; past this it is let go afterwards. */
const KEPT_BYTES = 4 * 1024 * 1024;
/** Of numbers: the digits of Number.MAX_SAFE_INTEGER. */
const MOST_DIGITS = 16;
/** Shorter texts are copied here, where the loop costs less than a call. */
const SHORT_TEXT = 64;

const LEAF_START = Buffer.from('{"leaf":');
const OPENING_START = Buffer.from(',"opening":');
const SUM_START = Buffer.from(',"sum":"');
const LINE_END = Buffer.from('"}\n');
/** Everything of a line but its leaf and its opening. */
const LINE_BYTES = LEAF_START.length + OPENING_START.length + SUM_START.length + 8 + LINE_END.length;
const HEX = Buffer.from('0123456789abcdef');

export class Batch {
  #buffer = Buffer.allocUnsafe(INITIAL_BYTES);
  #length = 0;
  #hashes: Buffer[] = [];

  get isEmpty(): boolean {
    return this.#hashes.length === 0;
  }

  add({ leaf, opening }: Encoded): void {
    this.#reserve(LINE_BYTES + mostBytes(leaf) + (opening === null ? 0 : mostBytes(opening)));
    const start = this.#length;
    this.#putBytes(LEAF_START);
    const leafStart = this.#length;
    this.#put(leaf);
    this.#hashes.push(this.#leafHash(leafStart, this.#length));
    if (opening !== null) {
      this.#putBytes(OPENING_START);
      this.#put(opening);
    }
    const crc = crc32(this.#buffer.subarray(start, this.#length));
    this.#putBytes(SUM_START);
    for (let shift = 28; shift >= 0; shift -= 4) {
      this.#buffer[this.#length++] = HEX[(crc >>> shift) & 15] as number;
    }
    this.#putBytes(LINE_END);
  }

  /** Ends the batch: its bytes, its leaf hashes and the new chain. The bytes are good until the next `add`. */
  seal(chain: Buffer, size: number): { bytes: Buffer; leafHashes: readonly Buffer[]; chain: Buffer } {
    const leafHashes = this.#hashes;
    const sealed = nextChain(chain, leafHashes);
    const commit = encodeCommit(sealed, size);
    this.#reserve(commit.length);
    this.#putText(commit);
    const bytes = this.#buffer.subarray(0, this.#length);
    this.#hashes = [];
    this.#length = 0;
    if (this.#buffer.length > KEPT_BYTES) this.#buffer = Buffer.allocUnsafe(INITIAL_BYTES);
    return { bytes, leafHashes, chain: sealed };
  }

  #put(text: Text): void {
    if (typeof text === 'string') return this.#putText(text);
    for (const piece of text) {
      if (typeof piece === 'string') this.#putText(piece);
      else if (typeof piece === 'number') this.#putNumber(piece);
      else this.#putBytes(piece);
    }
  }

  #putText(text: string): void {
    const buffer = this.#buffer;
    let at = this.#length;
    if (text.length <= SHORT_TEXT) {
      let i = 0;
      for (; i < text.length; i++) {
        const code = text.charCodeAt(i);
        if (code > 127) break;
        buffer[at + i] = code;
      }
      if (i === text.length) {
        this.#length = at + i;
        return;
      }
    }
    at += buffer.write(text, at);
    this.#length = at;
  }

  /** A whole number, 0 or more. */
  #putNumber(value: number): void {
    const buffer = this.#buffer;
    let digits = 1;
    for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits++;
    let at = this.#length + digits;
    this.#length = at;
    let rest = value;
    do {
      const tens = Math.floor(rest / 10);
      buffer[--at] = 0x30 + (rest - tens * 10);
      rest = tens;
    } while (rest > 0);
  }

  #putBytes(bytes: Buffer): void {
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
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

/** UTF-8 needs at most three bytes for a UTF-16 code unit. */
function mostBytes(text: Text): number {
  if (typeof text === 'string') return text.length * 3;
  let most = 0;
  for (const piece of text) {
    if (typeof piece === 'string') most += piece.length * 3;
    else if (typeof piece === 'number') most += MOST_DIGITS;
    else most += piece.length;
  }
  return most;
}
