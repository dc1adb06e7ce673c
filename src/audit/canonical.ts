// Canonical JSON: RFC 8785 (JCS) narrowed to what the log writes: keys sorted by UTF-16 code unit, no white space,
// integers only. One value has one encoding, so a verifier can refuse every line that is not byte-equal to it.
import { CountersignError } from '../base/errors.ts';

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Throws CountersignError `internal` for a number that is not a safe integer. */
export function canonicalJson(value: Json): string {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw new CountersignError('internal', `the log cannot write the number ${value}`);
  }
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const object = value as JsonObject;
  const members = Object.keys(object)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(object[key] ?? null)}`);
  return `{${members.join(',')}}`;
}

/**
 * The canonical text of a value that JSON.parse made. JSON.parse keeps the order of keys, so when that order is sorted,
 * JSON.stringify gives the same text several times faster. (Keys that look like integers are moved to the front by
 * the language: the slow way puts them right.)
 */
export function canonicalAgain(value: Json): string {
  return isInOrder(value) ? JSON.stringify(value) : canonicalJson(value);
}

function isInOrder(value: Json): boolean {
  if (typeof value === 'number') return Number.isSafeInteger(value);
  if (value === null || typeof value !== 'object') return true;
  if (Array.isArray(value)) return value.every(isInOrder);
  const object = value as JsonObject;
  let previous: string | null = null;
  for (const key of Object.keys(object)) {
    if (previous !== null && key <= previous) return false;
    const member = object[key];
    if (member !== undefined && member !== null && !isInOrder(member)) return false;
    previous = key;
  }
  return true;
}
