// A hold as the outside sees it: the one JSON form for the HTTP API, webhooks and the command line.
// Left out on purpose: the binding, the node and the session, which no approver needs and a forger would like.
import { formatTime } from '../base/clock.ts';
import type { HoldId } from '../base/ids.ts';
import type { RelationUse, StatementClass } from '../sql/facts.ts';
import type { Impact } from '../sql/impact.ts';
import type { Hold, HoldState } from './hold.ts';

/** Times are RFC 3339 in UTC. Absent knowledge is null, so that every document has every name. */
export interface HoldDocument {
  readonly id: HoldId;
  readonly version: number;
  readonly state: HoldState;
  readonly agent: string;
  readonly owner: string;
  readonly on_behalf_of: readonly string[];
  readonly authenticated_by: string;
  readonly client_address: string;
  readonly claimed: { readonly application_name: string; readonly purpose: string };
  readonly database: string;
  readonly role: string;
  readonly in_transaction: boolean;
  readonly statement: {
    readonly text: string;
    readonly sha256: string;
    readonly tags: readonly string[];
    readonly classes: readonly StatementClass[];
    readonly relations: readonly RelationUse[];
    readonly reasons: readonly string[];
    readonly parameters: readonly (string | null)[] | null;
    /** Something of the statement was cut to keep the document short; the whole is at the API. */
    readonly truncated: boolean;
  };
  /** Of each statement of the text, in their order. */
  readonly impact: readonly Impact[];
  /** Some of the impact was left out to keep the document short; the whole is at the API. */
  readonly impact_truncated: boolean;
  readonly rule: { readonly name: string; readonly message: string | null; readonly contact: string | null };
  readonly approvals: {
    readonly count: number;
    readonly groups: readonly string[];
    readonly reason_required: boolean;
  };
  readonly votes: readonly {
    readonly voter: string;
    readonly decision: 'approve' | 'deny';
    readonly reason: string | null;
    readonly at: string;
    readonly channel: string;
  }[];
  readonly requested_at: string;
  readonly deadline: string;
  readonly grant_until: string | null;
  readonly closed_at: string | null;
  readonly closed_because: string | null;
}

/** How many relations and reasons a shortened document names. */
const SHORT_LIST = 20;

/**
 * `statementBytes`: room for the statement's text and parameters together, in UTF-8 bytes, for channels with a size
 * limit. What does not fit is cut (text) or left out (parameters), and `truncated` says so.
 */
export function holdDocument(hold: Hold, limits: { readonly statementBytes?: number } = {}): HoldDocument {
  const { request } = hold;
  return {
    id: request.id,
    version: hold.version,
    state: hold.state,
    agent: request.agent,
    owner: request.owner,
    on_behalf_of: request.onBehalfOf,
    authenticated_by: request.authenticatedBy,
    client_address: request.clientAddress,
    claimed: { application_name: request.claimed.applicationName, purpose: request.claimed.purpose },
    database: request.database,
    role: request.role,
    in_transaction: request.inTransaction,
    statement: statementDocument(request.statement, limits.statementBytes ?? Number.POSITIVE_INFINITY),
    ...impactDocument(request.impact, limits.statementBytes !== undefined),
    rule: { name: request.rule.name, message: request.rule.message, contact: request.rule.contact },
    approvals: {
      count: request.approvals.count,
      groups: request.approvals.groups,
      reason_required: request.approvals.reasonRequired,
    },
    votes: hold.votes.map((vote) => ({
      voter: vote.voter,
      decision: vote.decision,
      reason: vote.reason,
      at: formatTime(vote.atMs),
      channel: vote.channel,
    })),
    requested_at: formatTime(request.requestedAtMs),
    deadline: formatTime(request.deadlineMs),
    grant_until: timeOrNull(hold.grantUntilMs),
    closed_at: timeOrNull(hold.closedAtMs),
    closed_because: hold.closedBecause,
  };
}

function statementDocument(
  statement: Hold['request']['statement'],
  roomBytes: number,
): HoldDocument['statement'] {
  const { sha256, tags, classes } = statement;
  if (roomBytes === Number.POSITIVE_INFINITY) {
    const { text, relations, reasons, parameters } = statement;
    return { text, sha256, tags, classes, relations, reasons, parameters, truncated: false };
  }
  const text = cutToBytes(statement.text, roomBytes);
  const left = roomBytes - Buffer.byteLength(text);
  const parameters =
    Buffer.byteLength(JSON.stringify(statement.parameters)) <= left ? statement.parameters : null;
  const relations = statement.relations.slice(0, SHORT_LIST);
  const reasons = statement.reasons.slice(0, SHORT_LIST);
  const truncated =
    text !== statement.text ||
    parameters !== statement.parameters ||
    relations.length < statement.relations.length ||
    reasons.length < statement.reasons.length ||
    tags.length > SHORT_LIST;
  return {
    text,
    sha256,
    tags: tags.slice(0, SHORT_LIST),
    classes,
    relations,
    reasons,
    parameters,
    truncated,
  };
}

/** Of how many statements a shortened document tells the impact, and how much of each. */
const SHORT_IMPACTS = 3;
const SHORT_IMPACT = 5;

function impactDocument(
  impact: readonly Impact[],
  short: boolean,
): Pick<HoldDocument, 'impact' | 'impact_truncated'> {
  if (!short) return { impact, impact_truncated: false };
  const cut = impact.slice(0, SHORT_IMPACTS).map(shortImpact);
  return { impact: cut, impact_truncated: JSON.stringify(cut) !== JSON.stringify(impact) };
}

function shortImpact({ tag, rows, body, ...lists }: Impact): Impact {
  const few = <T>(list: readonly T[]): readonly T[] => list.slice(0, SHORT_IMPACT);
  return {
    tag,
    rows: rows?.known ? { ...rows, writes: few(rows.writes), scans: few(rows.scans) } : rows,
    relations: few(lists.relations),
    locks: few(lists.locks),
    cascades: few(lists.cascades),
    triggers: few(lists.triggers),
    dependents: few(lists.dependents),
    body: body && {
      ...body,
      statements: few(body.statements),
      cut: body.cut || body.statements.length > SHORT_IMPACT,
    },
    unknown: few(lists.unknown),
  };
}

/** The longest prefix of `text` of at most `limitBytes` UTF-8 bytes that splits no character. */
function cutToBytes(text: string, limitBytes: number): string {
  if (Buffer.byteLength(text) <= limitBytes) return text;
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(Math.max(0, limitBytes)));
  return text.slice(0, read);
}

function timeOrNull(epochMs: number | null): string | null {
  return epochMs === null ? null : formatTime(epochMs);
}
