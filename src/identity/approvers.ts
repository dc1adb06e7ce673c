// The people who may decide, and how a bearer token finds one. Whether this person may decide *this* hold is the hold's affair.
import { timingSafeEqual } from 'node:crypto';
import { CountersignError } from '../base/errors.ts';
import { isName } from './agent-identity.ts';
import { hashToken, isBearerToken, parseTokenHash } from './bearer-token.ts';

export interface ApproverOptions {
  readonly name: string;
  readonly groups: readonly string[];
  /** `sha256:` and hex, as `countersign token` prints it. */
  readonly token: string;
}

export interface Approver {
  readonly name: string;
  readonly groups: readonly string[];
  /** How a vote came in that does not say. */
  readonly channelDefault: string;
}

interface Entry {
  readonly approver: Approver;
  readonly hash: Buffer;
}

export class Approvers {
  readonly #entries: readonly Entry[];

  private constructor(entries: readonly Entry[]) {
    this.#entries = entries;
  }

  /** Throws CountersignError `config`. One person may have several tokens: several entries of one name. */
  static fromOptions(options: readonly ApproverOptions[]): Approvers {
    const entries: Entry[] = [];
    for (const { name, groups, token } of options) {
      if (!isName(name)) throw new CountersignError('config', 'an approver needs a name');
      const hash = parseTokenHash(token);
      if (hash === null) {
        throw new CountersignError(
          'config',
          `the token of approver ${name} is not "sha256:" and 64 hex digits`,
          {
            hint: '`countersign token` makes one. The token itself does not belong in the config.',
          },
        );
      }
      if (entries.some((entry) => entry.hash.equals(hash))) {
        throw new CountersignError('config', `approver ${name} has the token of another entry`);
      }
      const sameName = entries.find((entry) => entry.approver.name === name);
      if (sameName !== undefined && !sameMembers(sameName.approver.groups, groups)) {
        throw new CountersignError('config', `approver ${name} is there twice, with other groups`);
      }
      entries.push({ approver: { name, groups, channelDefault: 'api' }, hash });
    }
    return new Approvers(entries);
  }

  /** Whose token this is; null: nobody's. Looks at every entry, so that the time taken tells nothing. */
  authenticate(bearer: string): Approver | null {
    if (!isBearerToken(bearer)) return null;
    const hash = hashToken(bearer);
    let found: Approver | null = null;
    for (const entry of this.#entries) {
      if (timingSafeEqual(entry.hash, hash)) found = entry.approver;
    }
    return found;
  }
}

function sameMembers(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((name) => other.includes(name));
}
