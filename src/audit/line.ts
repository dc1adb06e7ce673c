// The lines of a segment: canonical JSON objects of three kinds, each ending in a CRC-32 over all of it before.
//   {"format":…,"segment":{"chain","edge","first","origin"},"sum"}  the first line of a file: where it takes up chain and tree
//   {"leaf":{…},"opening":{…},"sum"}                         one record; `opening` only where there is one
//   {"commit":{"chain","size"},"sum"}                        the end of a batch; before it nothing counts as written
// The chain is SHA-256(0x03 ‖ the chain before ‖ the batch's leaf hashes). It costs one hash per batch, against ten or
// more for the tree's root at every batch; the root stands in the checkpoint.
import { isUtf8 } from 'node:buffer';
import { crc32 } from 'node:zlib';
import { canonicalAgain, isObject, type Json, type JsonObject } from './canonical.ts';
import { HASH_LENGTH, leafHash, sha256 } from './tree.ts';

const FORMAT = 'countersign-log/1';
const CHAIN_PREFIX = Buffer.from([0x03]);

export interface SegmentHeader {
  readonly chain: Buffer;
  /** Peaks of the tree over all records before it (tree.ts): with them, the newest file alone is enough to go on. */
  readonly edge: readonly Buffer[];
  /** Sequence number of its first record. */
  readonly first: number;
  readonly origin: string;
}

export type Line =
  | ({ readonly kind: 'segment' } & SegmentHeader)
  | {
      readonly kind: 'record';
      readonly leaf: JsonObject;
      readonly opening: JsonObject | null;
      readonly hash: Buffer;
    }
  | { readonly kind: 'commit'; readonly chain: Buffer; readonly size: number }
  | { readonly kind: 'bad'; readonly what: string };

/** The chain before the first batch of a log. It carries the origin, so that batches fit no other log. */
export function firstChain(origin: string): Buffer {
  return sha256(Buffer.concat([CHAIN_PREFIX, Buffer.from(origin)]));
}

export function nextChain(chain: Buffer, leafHashes: readonly Buffer[]): Buffer {
  return sha256(Buffer.concat([CHAIN_PREFIX, chain, ...leafHashes]));
}

export function encodeHeader(header: SegmentHeader): string {
  const { first, origin } = header;
  const edge = header.edge.map((peak) => `"${peak.toString('base64')}"`).join(',');
  const chain = header.chain.toString('base64');
  const segment = `{"chain":"${chain}","edge":[${edge}],"first":${first},"origin":${JSON.stringify(origin)}}`;
  return `${summed(`{"format":"${FORMAT}","segment":${segment}`)}\n`;
}

export function encodeCommit(chain: Buffer, size: number): string {
  return `${summed(`{"commit":{"chain":"${chain.toString('base64')}","size":${size}}`)}\n`;
}

function summed(text: string): string {
  return `${text},"sum":"${sumOf(crc32(text))}"}`;
}

function sumOf(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}

const LEAF_START = '{"leaf":';
const SUM_LENGTH = ',"sum":"00000000"}'.length;

/** Reads one line without its newline. Says what is wrong with a bad one; never throws. */
export function parseLine(bytes: Buffer): Line {
  const bodyLength = bytes.length - SUM_LENGTH;
  if (bodyLength < 1 || !isUtf8(bytes)) return bad('is not a line of the log');
  const text = bytes.toString('utf8');
  if (!text.endsWith(`,"sum":"${sumOf(crc32(bytes.subarray(0, bodyLength)))}"}`)) {
    return bad('does not have the checksum that it was written with');
  }
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    return bad('is not JSON');
  }
  if (!isObject(value)) return bad('is not a line of the log');
  const leaf = value['leaf'];
  if (isObject(leaf)) return parseRecord(value, leaf, text, bytes);
  if (canonicalAgain(value) !== text) return bad('is not in canonical form');
  const commit = value['commit'];
  const segment = value['segment'];
  if (isObject(commit) && hasKeys(value, 'commit', 'sum') && hasKeys(commit, 'chain', 'size')) {
    const chain = parseHash(commit['chain']);
    const size = commit['size'];
    if (chain !== null && typeof size === 'number') return { kind: 'commit', chain, size };
  }
  if (isObject(segment) && hasKeys(value, 'format', 'segment', 'sum') && value['format'] === FORMAT) {
    const chain = parseHash(segment['chain']);
    const edge = parseHashes(segment['edge']);
    const first = segment['first'];
    const origin = segment['origin'];
    if (hasKeys(segment, 'chain', 'edge', 'first', 'origin') && chain !== null && edge !== null) {
      if (typeof first === 'number' && typeof origin === 'string')
        return { kind: 'segment', chain, edge, first, origin };
    }
  }
  return bad('is not a line of the log');
}

function parseRecord(value: JsonObject, leaf: JsonObject, text: string, bytes: Buffer): Line {
  const leafText = canonicalAgain(leaf);
  const opening = value['opening'];
  const middle = isObject(opening) ? `,"opening":${canonicalAgain(opening)}` : '';
  const leafEnd = LEAF_START.length + leafText.length;
  const isCanonical =
    text.length === leafEnd + middle.length + SUM_LENGTH &&
    text.startsWith(LEAF_START) &&
    text.startsWith(leafText, LEAF_START.length) &&
    text.startsWith(middle, leafEnd);
  if (!isCanonical) return bad('is not in canonical form');
  return {
    kind: 'record',
    leaf,
    opening: isObject(opening) ? opening : null,
    hash: leafHash(bytes.subarray(LEAF_START.length, LEAF_START.length + Buffer.byteLength(leafText))),
  };
}

function bad(what: string): Line {
  return { kind: 'bad', what };
}

function hasKeys(value: JsonObject, ...names: readonly string[]): boolean {
  return Object.keys(value).length === names.length && names.every((name) => Object.hasOwn(value, name));
}

function parseHash(value: Json | undefined): Buffer | null {
  if (typeof value !== 'string') return null;
  const bytes = Buffer.from(value, 'base64');
  return bytes.length === HASH_LENGTH && bytes.toString('base64') === value ? bytes : null;
}

function parseHashes(value: Json | undefined): readonly Buffer[] | null {
  if (!Array.isArray(value)) return null;
  const hashes = value.map((item: Json) => parseHash(item));
  return hashes.every((item) => item !== null) ? hashes : null;
}
