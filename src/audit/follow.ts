// Follows the log's lines in order and says what does not fit: sequence numbers, batches, the chain, the tree. Pure;
// recovery (recover.ts) stops at the first thing wrong, the verifier (verify.ts) notes it and goes on.
import type { Line, SegmentHeader } from './line.ts';
import { firstChain, nextChain } from './line.ts';
import { RightEdge } from './tree.ts';

export class Follower {
  /** Records up to the last good commit mark. */
  size = 0;
  chain: Buffer | null = null;
  origin: string | null = null;
  /** The tree over `size` records; says nothing once `damaged`. */
  readonly edge: RightEdge;
  damaged = false;
  /** The number that the next record must have. */
  next = 0;
  #hashes: Buffer[] = [];
  /** Something in this batch has been complained of: its mark cannot fit, and need not be complained of again. */
  #batchDamaged = false;
  /** Unreadable lines since the last readable one: each may have been a record, and has been complained of. */
  #unread = 0;
  #expectHeader = false;
  #fileFirst = 0;

  constructor(edge: RightEdge = new RightEdge()) {
    this.edge = edge;
  }

  /**
   * From the segment of this header on, taking its word for what was before: only a root that comes out right at the end
   * bears it out. null when it cannot be so.
   */
  static from(header: SegmentHeader): Follower | null {
    const edge = RightEdge.from(header.first, header.edge);
    if (edge === null) return null;
    const follower = new Follower(edge);
    follower.size = header.first;
    follower.next = header.first;
    follower.chain = header.chain;
    follower.origin = header.origin;
    return follower;
  }

  get pending(): number {
    return this.#hashes.length;
  }

  /** A new file begins, named after its first record. */
  startSegment(first: number): string | null {
    const unfinished = this.#hashes.length > 0 || this.#batchDamaged;
    const reported = this.#batchDamaged;
    const empty = this.#expectHeader;
    this.#dropBatch();
    this.#expectHeader = true;
    this.#fileFirst = first;
    if (!unfinished && !empty) return null;
    this.damaged = true;
    if (empty) return 'the segment before it is empty';
    return reported ? null : 'the segment before it ends within a batch';
  }

  /** What is wrong with the line, or null. */
  take(line: Line): string | null {
    const problem = this.#take(line);
    if (problem !== null) {
      this.damaged = true;
      if (line.kind !== 'commit') this.#batchDamaged = true;
    }
    return problem;
  }

  #take(line: Line): string | null {
    if (line.kind === 'segment') return this.#header(line);
    if (this.#expectHeader) {
      this.#expectHeader = false;
      // Take what follows by the file's name, or every line of it would be reported.
      if (this.chain === null || this.next !== this.#fileFirst) this.next = this.#fileFirst;
      if (line.kind === 'bad') return `the segment's first line ${line.what}`;
      this.damaged = true;
      this.#batchDamaged = true;
      const after = this.#take(line);
      return `the segment does not begin with its header${after === null ? '' : `; ${after}`}`;
    }
    if (line.kind === 'bad') {
      this.#unread++;
      return `the line ${line.what}`;
    }
    if (line.kind === 'commit') return this.#commit(line.chain, line.size);
    const seq = line.leaf['seq'];
    this.#hashes.push(line.hash);
    const expected = this.next;
    const unread = this.#unread;
    this.#unread = 0;
    if (typeof seq === 'number' && seq >= expected && seq <= expected + unread) {
      this.next = seq + 1;
      return null;
    }
    if (typeof seq !== 'number') return `record ${expected} is expected here, and this one has no number`;
    this.next = seq + 1;
    return `record ${expected} is expected here, and this is record ${seq}`;
  }

  #header(header: SegmentHeader): string | null {
    if (!this.#expectHeader) return 'a segment begins in the middle of a file';
    this.#expectHeader = false;
    const expected = this.next;
    const chain = this.chain ?? firstChain(header.origin);
    const origin = this.origin ?? header.origin;
    const wasDamaged = this.damaged;
    this.next = header.first;
    this.size = header.first;
    this.chain = header.chain;
    this.origin = header.origin;
    if (header.first !== this.#fileFirst)
      return `the file is named after record ${this.#fileFirst} and begins at ${header.first}`;
    if (header.first !== expected) {
      return header.first > expected
        ? `records ${expected} to ${header.first - 1} are missing before this segment`
        : `record ${expected} is expected here, and the segment begins at ${header.first}`;
    }
    if (header.origin !== origin) return `the segment is of another log, ${header.origin}`;
    if (wasDamaged) return null;
    if (!header.chain.equals(chain)) return 'the segment does not continue the one before it';
    const { peaks } = this.edge;
    const sameEdge =
      header.edge.length === peaks.length && header.edge.every((peak, i) => peak.equals(peaks[i] as Buffer));
    return sameEdge ? null : 'the tree that the segment says it continues is not the one before it';
  }

  #commit(chain: Buffer, size: number): string | null {
    const { next } = this;
    const reported = this.#batchDamaged;
    const fits =
      size === next &&
      this.#hashes.length > 0 &&
      this.chain !== null &&
      chain.equals(nextChain(this.chain, this.#hashes));
    const from = next - this.#hashes.length;
    if (fits && !reported) for (const hash of this.#hashes) this.edge.append(hash);
    const empty = this.#hashes.length === 0;
    this.#dropBatch();
    this.chain = chain;
    this.size = size;
    this.next = size;
    if (fits || (reported && size >= next)) return null;
    if (size > next) return `records ${next} to ${size - 1} are missing before this commit mark`;
    if (size < next) return `this commit mark is of ${size} records, and ${next} stand before it`;
    if (empty) return 'this commit mark ends no batch';
    const range = from === next - 1 ? `record ${from}` : `records ${from} to ${next - 1}`;
    return `${range}, or a commit mark among them, changed since being written: the chain does not come out`;
  }

  #dropBatch(): void {
    this.#hashes = [];
    this.#batchDamaged = false;
    this.#unread = 0;
  }
}
