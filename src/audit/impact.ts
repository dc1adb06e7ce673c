// What a person was told that a statement would do, as it stands in `hold.requested`: names and numbers, and none of the
// server's or the statement's own words, which a rule may have redacted.
import type { Impact } from '../sql/impact.ts';
import type { JsonObject } from './canonical.ts';
import { count } from './fields.ts';

/** An estimate may be past what a whole number holds. */
const estimate = (value: number): number => count(Math.min(Math.round(value), Number.MAX_SAFE_INTEGER));

export function impactOf({
  tag,
  rows,
  relations,
  locks,
  cascades,
  triggers,
  dependents,
  unknown,
}: Impact): JsonObject {
  return {
    cascades: cascades.map(({ constraint, relation, action }) => ({ action, constraint, relation })),
    dependents: dependents.length,
    locks: locks.map(({ relation, mode, blockers }) => ({
      blockers: blockers === null ? null : estimate(blockers),
      mode,
      relation,
    })),
    relations: relations.map(({ relation, bytes, rows: all }) => ({
      bytes: estimate(bytes),
      relation,
      rows: all === null ? null : estimate(all),
    })),
    rows: rows?.known
      ? {
          gathers: estimate(rows.gathers),
          returns: estimate(rows.returns),
          writes: rows.writes.map(({ kind, relation, rows: written }) => ({
            kind,
            relation,
            rows: estimate(written),
          })),
        }
      : null,
    tag,
    triggers: triggers.length,
    unknown: unknown.length + (rows?.known === false ? 1 : 0),
  };
}
