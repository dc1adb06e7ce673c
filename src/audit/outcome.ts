// What came of a statement, as the log writes it. One stands in the log for every statement, so what is the same for all
// of a session is encoded once and kept with its identity.
import {
  type Common,
  count,
  RECORD_VERSION,
  type Text,
  textOf,
  timeOf,
  whoText,
  withinBounds,
} from './fields.ts';
import type { Identity, OutcomeDraft } from './record.ts';

/** Canonical JSON of what follows `seq` and of what follows `time`. */
interface Pieces {
  readonly session: string;
  readonly toSqlstate: Buffer;
  readonly toEnd: Buffer;
}

/** Tags no longer than this in all cannot make a record too long for an entry. */
const SHORT_TAGS = 4096;

const pieces = new WeakMap<Identity, Pieces>();

function piecesOf({ session, who }: OutcomeDraft): Pieces {
  const known = pieces.get(who);
  if (known !== undefined && known.session === session) return known;
  const made = {
    session,
    toSqlstate: Buffer.from(`,"session":${JSON.stringify(session)},"sqlstate":`),
    toEnd: Buffer.from(`","type":"statement.outcome","v":${RECORD_VERSION},"who":${whoText(who)}}`),
  };
  pieces.set(who, made);
  return made;
}

/** Throws CountersignError `internal` for a number that is no count. */
export function encodeOutcome(draft: OutcomeDraft, common: Common): Text {
  const { toSqlstate, toEnd } = piecesOf(draft);
  const toSession =
    `{"bytes":${count(draft.bytes)},"duration_us":${count(draft.durationUs)},"epoch":${common.epoch}` +
    `,"intent":${count(draft.intent)},"mono":${common.monoUs},"node":${JSON.stringify(common.node)}` +
    `,"result":"${draft.result}","rows":${count(draft.rows)},"seq":${common.seq}`;
  const toTime = `${JSON.stringify(draft.sqlstate)},"tags":${JSON.stringify(draft.tags)},"time":"`;
  const leaf = [toSession, toSqlstate, toTime, timeOf(common.timeMs), toEnd];
  return toTime.length <= SHORT_TAGS ? leaf : withinBounds(textOf(leaf));
}
