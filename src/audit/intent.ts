// An intent as the log writes it. Most of it is the same for every run of one prepared statement, so it is encoded once
// and kept with the object that says it: what differs from run to run is the moment and the bound values.
import { openingOf, type Sealed, sealed } from './commitment.ts';
import {
  type Common,
  count,
  type Encoded,
  LEAF_MAX_BYTES,
  RECORD_VERSION,
  textOf,
  timeOf,
  voteOf,
  whoText,
  withinBounds,
} from './fields.ts';
import type { IntentFields } from './record.ts';

/** Canonical JSON around `mono`, the commitment to the parameters, `seq` and `time`. */
interface Pieces {
  readonly toMono: Buffer;
  readonly toParameters: Buffer;
  readonly toSeq: Buffer;
  readonly toTime: Buffer;
  readonly toEnd: Buffer;
  /** Bytes of them all. */
  readonly length: number;
}

/** More than what stands between the pieces. */
const BETWEEN_BYTES = 256;

export class Intent {
  readonly fields: IntentFields;
  #pieces: Pieces | null = null;
  // One salt for every run: equal commitments then say that it is the same text again, which the statement's name and
  // session say anyway. Whoever erases the text erases it in all of them.
  readonly #sql: Sealed;
  readonly #statementSha256: Sealed | null;

  constructor(fields: IntentFields) {
    this.fields = fields;
    this.#sql = sealed(fields.sql) as Sealed;
    this.#statementSha256 = sealed(fields.statementSha256);
  }

  /** `parameters`: as in IntentDraft. Throws CountersignError `internal` for what no leaf can say. */
  encode(common: Common, parameters: readonly (string | null)[] | null): Encoded {
    this.#pieces ??= this.#encodePieces(common);
    const { toMono, toParameters, toSeq, toTime, toEnd, length } = this.#pieces;
    const values = sealed(parameters);
    const commitment = values === null ? 'null' : `"${values.commitment}"`;
    const time = timeOf(common.timeMs);
    const leaf = [toMono, common.monoUs, toParameters, commitment, toSeq, common.seq, toTime, time, toEnd];
    return {
      leaf: length + BETWEEN_BYTES <= LEAF_MAX_BYTES ? leaf : withinBounds(textOf(leaf)),
      opening: this.fields.record === 'full' ? openingOf(values, this.#sql, this.#statementSha256) : null,
    };
  }

  /** The log's node and epoch never change, so they belong to what is the same. */
  #encodePieces({ epoch, node }: Common): Pieces {
    const { fields } = this;
    fields.parameterTypes.forEach(count);
    const { wouldHave } = fields;
    const head = JSON.stringify({
      classes: fields.classes,
      epoch,
      fate: fields.fate,
      functions: fields.functions.map((f) => ({ name: f.name, schema: f.schema })),
      hold: fields.hold,
      in_transaction: fields.inTransaction,
    });
    const afterMono = JSON.stringify({ node, parameter_types: fields.parameterTypes });
    const afterParameters = JSON.stringify({
      portal: fields.portal,
      protocol: fields.protocol,
      record: fields.record,
      refusal: fields.refusal,
      relations: fields.relations.map((r) => ({ name: r.name, schema: r.schema, use: r.use })),
      rule: fields.rule,
      rules: fields.rules,
    });
    const afterSeq = JSON.stringify({
      session: fields.session,
      sql_commitment: this.#sql.commitment,
      statement_name: fields.statementName,
      statement_sha256_commitment: this.#statementSha256?.commitment ?? null,
      tags: fields.tags,
    });
    const afterTime = JSON.stringify({
      type: 'statement.intent',
      v: RECORD_VERSION,
      verdict: fields.verdict,
      votes: fields.votes.map(voteOf),
    });
    const would = wouldHave === null ? null : { action: wouldHave.action, rule: wouldHave.rule };
    const pieces = {
      toMono: Buffer.from(`${open(head)},"mono":`),
      toParameters: Buffer.from(`,${members(afterMono)},"parameters_commitment":`),
      toSeq: Buffer.from(`,${members(afterParameters)},"seq":`),
      toTime: Buffer.from(`,${members(afterSeq)},"time":"`),
      toEnd: Buffer.from(
        `",${members(afterTime)},"who":${whoText(fields.who)},"would_have":${JSON.stringify(would)}}`,
      ),
    };
    const length = Object.values(pieces).reduce((sum, piece) => sum + piece.length, 0);
    return { ...pieces, length };
  }
}

const open = (object: string): string => object.slice(0, -1);
const members = (object: string): string => object.slice(1, -1);
