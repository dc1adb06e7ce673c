// Chance that can be had again: everything that a case is made of comes from here, so a seed and a number name a case.
import { createHash } from 'node:crypto';

/** sfc32 (Chris Doty-Humphrey, PractRand): small, fast, and without a pattern that a fuzzer would notice. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter: number;

  /** Equal for equal names: `new Random(seed, 17)` is always case 17 of that seed. */
  constructor(...names: readonly (string | number)[]) {
    const hash = createHash('sha256').update(names.join('/')).digest();
    this.#a = hash.readInt32BE(0);
    this.#b = hash.readInt32BE(4);
    this.#c = hash.readInt32BE(8);
    this.#counter = hash.readInt32BE(12);
  }

  /** 0 ≤ n < 2³². */
  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return sum >>> 0;
  }

  /** A whole number below `end`. */
  below(end: number): number {
    return Math.floor((this.uint32() / 2 ** 32) * end);
  }

  /** A whole number, both ends included. */
  between(first: number, last: number): number {
    return first + this.below(last - first + 1);
  }

  /** True `percent` times in a hundred. */
  chance(percent: number): boolean {
    return this.uint32() / 2 ** 32 < percent / 100;
  }

  pick<Value>(values: readonly Value[]): Value {
    if (values.length === 0) throw new Error('nothing to pick from');
    return values[this.below(values.length)] as Value;
  }

  /** By weight: `[3, a], [1, b]` gives a three times as often as b. */
  weighted<Value>(values: readonly (readonly [weight: number, value: Value])[]): Value {
    let left = this.below(values.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, value] of values) {
      if (left < weight) return value;
      left -= weight;
    }
    throw new Error('nothing to pick from');
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.alloc(length);
    for (let i = 0; i < length; i++) bytes[i] = this.uint32() & 0xff;
    return bytes;
  }
}
