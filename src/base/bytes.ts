// A cursor over untrusted bytes and a builder for our own: big-endian integers and NUL-terminated strings,
// as the frontend/backend protocol has them.

import { isUtf8 } from 'node:buffer';

/** Thrown by a cursor that was asked for more than there is. Callers turn it into a protocol violation. */
export class ShortRead extends Error {}

/** Names and most values: looking at each byte costs less than a call that does it. */
const SHORT_LENGTH = 32;

/** Strict UTF-8, or null. A byte order mark is a character like any other. */
export function decodeUtf8(bytes: Buffer): string | null {
  if (bytes.length <= SHORT_LENGTH && isAscii(bytes)) return bytes.toString('latin1');
  return isUtf8(bytes) ? bytes.toString('utf8') : null;
}

function isAscii(bytes: Buffer): boolean {
  for (let i = 0; i < bytes.length; i++) if ((bytes[i] as number) > 127) return false;
  return true;
}

const EMPTY: Buffer = Buffer.alloc(0);

export class Cursor {
  readonly #bytes: Buffer;
  #at: number;

  readonly #end: number;

  constructor(bytes: Buffer, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  readUint8(): number {
    return this.#bytes.readUInt8(this.#take(1));
  }

  readInt16(): number {
    return this.#bytes.readInt16BE(this.#take(2));
  }

  readUint16(): number {
    return this.#bytes.readUInt16BE(this.#take(2));
  }

  readInt32(): number {
    return this.#bytes.readInt32BE(this.#take(4));
  }

  readUint32(): number {
    return this.#bytes.readUInt32BE(this.#take(4));
  }

  /** A view of the next `length` bytes; not a copy. */
  readBytes(length: number): Buffer {
    if (length < 0) throw new ShortRead();
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** The bytes before the next NUL, which is consumed; not a copy. */
  readCStringBytes(): Buffer {
    if (this.#at < this.#end && this.#bytes[this.#at] === 0) {
      this.#at++;
      return EMPTY;
    }
    const end = this.#bytes.indexOf(0, this.#at);
    if (end < 0 || end >= this.#end) throw new ShortRead();
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end + 1;
    return bytes;
  }

  #take(length: number): number {
    const start = this.#at;
    if (length > this.#end - start) throw new ShortRead();
    this.#at = start + length;
    return start;
  }
}

/** One big-endian Int32 as four bytes. */
export function int32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32BE(value);
  return bytes;
}

/** UTF-8 bytes and a NUL. Throws on a NUL inside: it would end the string early and shift what follows. */
export function cstring(text: string): Buffer {
  if (text.includes('\0')) throw new RangeError('a protocol string cannot hold a NUL');
  return Buffer.from(`${text}\0`, 'utf8');
}
