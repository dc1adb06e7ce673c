// What a client says of itself under names of ours, `countersign.*`: at connection start, or by SET in the session. Shown
// to the approver and to rules as claimed; the server need not know of it.
import { CountersignError } from '../base/errors.ts';
import { parseDurationMs } from '../base/quantity.ts';
import type { Facts } from '../sql/facts.ts';

export interface Claims {
  readonly purpose: string;
  /** The longest that it wants to wait for a person, milliseconds; null: as long as the configuration allows. */
  readonly maxWaitMs: number | null;
}

/** `value` null: back to what was claimed at connection start. `name` null: all of them. */
export interface ClaimChange {
  readonly kind: 'claim';
  readonly name: string | null;
  readonly value: string | null;
}

/** Claimed texts go to approvers and into rules: one line, not a page. */
const PURPOSE_MAX_LENGTH = 500;

/** `given`: settings whose names begin with `countersign.`, in lower case. Throws CountersignError `invalid_parameter`. */
export function readClaims(given: ReadonlyMap<string, string>): Claims {
  let purpose = '';
  let maxWaitMs: number | null = null;
  for (const [name, value] of given) {
    if (name === 'countersign.purpose') purpose = value.slice(0, PURPOSE_MAX_LENGTH);
    else if (name === 'countersign.max_wait') maxWaitMs = parseMaxWait(value);
    else {
      // A misspelt purpose that was silently dropped would be missed by the approver only.
      throw new CountersignError('invalid_parameter', `unrecognized configuration parameter "${name}"`, {
        hint: 'There are countersign.purpose and countersign.max_wait.',
      });
    }
  }
  return { purpose, maxWaitMs };
}

/** What a SET or RESET of a session claims once the server has completed it. A value that is not constant claims nothing. */
export function claimChanges({ settings }: Facts): ClaimChange[] {
  return settings.flatMap(({ name, value, how, dynamic }): ClaimChange[] => {
    if (how === 'reset' && name === '*') return [{ kind: 'claim', name: null, value: null }];
    if (!name.startsWith('countersign.') || dynamic) return [];
    return [{ kind: 'claim', name, value: how === 'reset' ? null : value }];
  });
}

/** `claims` after `change`. The server takes any value under any name with a dot; what means nothing to us changes nothing. */
export function changedClaims(claims: Claims, { name, value }: ClaimChange, atStart: Claims): Claims {
  try {
    const changed = value === null || name === null ? atStart : readClaims(new Map([[name, value]]));
    return {
      purpose: name === null || name === 'countersign.purpose' ? changed.purpose : claims.purpose,
      maxWaitMs: name === null || name === 'countersign.max_wait' ? changed.maxWaitMs : claims.maxWaitMs,
    };
  } catch (error) {
    if (!(error instanceof CountersignError)) throw error;
    return claims;
  }
}

/**
 * A duration as in the configuration, with Postgres's `min` beside `m` and its blanks; a bare number is milliseconds, and 0
 * no limit, as for Postgres's own time-outs. At most 24 days, as everywhere.
 */
function parseMaxWait(text: string): number | null {
  const [, digits = '', unit = ''] = /^\s*(\d{1,15})\s*([a-z]*)\s*$/.exec(text) ?? [];
  const named = unit === '' ? 'ms' : unit === 'min' ? 'm' : unit;
  if (digits !== '' && Number(digits) === 0 && parseDurationMs(`1${named}`) !== null) return null;
  const ms = parseDurationMs(`${digits}${named}`);
  if (ms !== null) return ms;
  throw new CountersignError(
    'invalid_parameter',
    `invalid value for parameter "countersign.max_wait": "${text}"`,
    { hint: 'Write a number of milliseconds, or a duration such as 500ms, 30s, 5m or 1h; 0 is no limit.' },
  );
}
