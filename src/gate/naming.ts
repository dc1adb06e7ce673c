// The messages that make and drop names: Parse, Bind and Close. What a statement is kept for is judged when it runs; here it
// is read, must find room, and a Bind must not run by planning what nobody has looked at.
import type { Verdict } from '../rules/verdict.ts';
import { understand } from '../sql/understand.ts';
import type { Frame } from '../wire/frames.ts';
import { parseBind, parseParse, parseTarget } from '../wire/frontend.ts';
import { nothingSpent } from './budget.ts';
import type { Following } from './following.ts';
import { recordLimit } from './limit-record.ts';
import type { LookingUp } from './looking-up.ts';
import { type NameChange, type Portal, preparedOf } from './names.ts';
import type { Node } from './node.ts';
import type { Outbox } from './outbox.ts';
import type { Expected } from './pipeline.ts';
import type { Speaker } from './recording.ts';
import { IN_PLANNING, mustFail, type Refusal, tooManyNames } from './refusal.ts';
import { type ReadSql, sqlText, statementsOf, type Work, workOfBind } from './work.ts';

export interface NamingOptions {
  readonly node: Node;
  readonly speaker: Speaker;
  readonly following: Following;
  readonly lookingUp: LookingUp;
  readonly outbox: Outbox;
  readonly judge: (work: Work) => Verdict;
  readonly refuse: (work: Work, verdict: Verdict, refusal: Refusal) => void;
  readonly send: (frame: Frame, expected: Expected) => void;
  /** Does this once everything that was sent is answered, and with the catalog read for these statements. */
  readonly later: (statements: Work['statements'], work: () => void) => void;
}

export class Naming {
  readonly #options: NamingOptions;
  readonly #following: Following;

  constructor(options: NamingOptions) {
    this.#options = options;
    this.#following = options.following;
  }

  /** The facts of a text that the server will read as it stands now. */
  readonly read: ReadSql = (sql) => {
    const unread = this.#following.unread(sql);
    return unread === null
      ? statementsOf(understand(sql, { statementsMax: this.#options.node.limits.statements }))
      : [unread];
  };

  parse(frame: Frame): void {
    // What it is kept for is judged by how it is read now, and that may be about to be known.
    if (this.#following.settingsDoubtful && !this.#following.pipeline.settled) {
      return this.#options.later([], () => this.parse(frame));
    }
    const { name, sql, parameterTypes } = parseParse(frame.chunk, frame.start, frame.end);
    const prepared = preparedOf(sqlText(sql), this.read(sql), parameterTypes);
    this.#send(frame, 'parse', { kind: 'statement', name, prepared });
  }

  bind(frame: Frame): void {
    const { portal: name, statement, formats, values } = parseBind(frame.chunk, frame.start, frame.end);
    const portal: Portal = {
      name,
      statementName: statement,
      prepared: this.#following.names.statements.get(statement),
      formats,
      values: name === '' ? values : values.map(detached),
      hold: false,
      spent: nothingSpent(),
      suspended: false,
    };
    const { judge, refuse, lookingUp, later } = this.#options;
    const planned = lookingUp.plannedBy(portal);
    if (planned === null) {
      const statements = portal.prepared.flatMap((prepared) => prepared.statements);
      return later(statements, () => this.bind(frame));
    }
    if (planned.length > 0) {
      // What could not be read here, the server may have refused: then there is nothing that this would plan.
      if (!this.#following.pipeline.settled && planned.some((one) => !one.known)) {
        return later([], () => this.bind(frame));
      }
      const work = workOfBind(frame, portal, planned);
      const verdict = judge(work);
      if (verdict.action !== 'allow') return refuse(work, verdict, IN_PLANNING);
    }
    this.#send(frame, 'bind', { kind: 'portal', name, portal });
  }

  close(frame: Frame): void {
    const { kind, name } = parseTarget(frame.chunk, frame.start, frame.end);
    this.#send(frame, 'close', { kind: kind === 'statement' ? 'drop statement' : 'drop portal', name });
  }

  /** Why there is no room for all that this would make; null where there is. */
  noRoomFor(changes: Work['changes']): Refusal | null {
    for (const ofOne of changes) {
      for (const change of ofOne) {
        const full = this.#noRoomFor(change);
        if (full !== null) return full;
      }
    }
    return null;
  }

  #noRoomFor(change: NameChange): Refusal | null {
    const { names, pipeline } = this.#following;
    const { names: most, preparedBytes } = this.#options.node.limits;
    const limit = names.exceededBy(change, most, preparedBytes);
    // What the server will ignore is not kept either.
    return limit === null || pipeline.skipping ? null : tooManyNames(most, preparedBytes, limit);
  }

  #send(frame: Frame, kind: 'parse' | 'bind' | 'close', change: NameChange): void {
    const { node, speaker, outbox, send, later } = this.#options;
    const { names, mayCopyIn, pipeline } = this.#following;
    const full = this.#noRoomFor(change);
    if (full !== null) {
      // Answers that are still to come may make room: a Bind replaces its portal when it is answered, not before.
      if (!pipeline.settled) return later([], () => this[kind](frame));
      this.#following.expect({ kind: 'refused execute', error: full.error });
      outbox.push(mustFail('extended'), 'none');
      if (full.error.limit !== undefined) recordLimit(node, speaker, full.error.limit);
      return;
    }
    // Amid the COPY of a Query, a server before 14 takes a Parse for an error and skips nothing of what comes behind it.
    names.expect(change, mayCopyIn ? 'SQL' : 'message');
    send(frame, { kind, change });
  }
}

/** A view would keep the client's whole chunk alive for as long as the portal lives; the unnamed one soon has a successor. */
function detached(value: Buffer | null): Buffer | null {
  return value === null ? null : Buffer.from(value);
}
