// A raw client on each way to a database: they say the same, and must hear the same bytes.
import { expect } from 'vitest';
import { type Answer, frame, type WireClient } from '../live/wire-client.ts';
import { exchange, shown } from './exchange.ts';
import { type Pair, WAYS } from './observed.ts';

export class Both {
  readonly direct: WireClient;
  readonly through: WireClient;

  private constructor(direct: WireClient, through: WireClient) {
    this.direct = direct;
    this.through = through;
  }

  static async connect(pair: Pair): Promise<Both> {
    const [direct, through] = await Promise.all(WAYS.map((way) => pair.wire(way)));
    return new Both(direct!, through!);
  }

  /** The answers, which are the same both ways. */
  async same(frames: readonly Buffer[], count = 1): Promise<readonly Answer[]> {
    const [direct, through] = await Promise.all([
      exchange(this.direct, frames, count),
      exchange(this.through, frames, count),
    ]);
    expectSame(through, direct);
    return through;
  }

  query(sql: string): Promise<readonly Answer[]> {
    return this.same([frame.query(sql)]);
  }
}

export function expectSame(through: readonly Answer[], direct: readonly Answer[]): void {
  expect(shown(through.map(comparable))).toEqual(shown(direct.map(comparable)));
}

/** Who notified is a process of the server, and there are two of them. */
function comparable({ name, bytes }: Answer): Answer {
  if (name !== 'NotificationResponse') return { name, bytes };
  return { name, bytes: Buffer.concat([bytes.subarray(0, 5), bytes.subarray(9)]) };
}

export const names = (answers: readonly Answer[]): string[] => answers.map(({ name }) => name);

/** SQLSTATEs of the errors among these. */
export const sqlstates = (answers: readonly Answer[]): string[] =>
  answers
    .filter(({ name }) => name === 'ErrorResponse')
    .map(({ bytes }) => /\0C(\w{5})\0/.exec(bytes.toString('latin1'))?.[1] ?? '');
