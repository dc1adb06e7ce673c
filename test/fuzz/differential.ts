// The same script played on the server itself and through the proxy: what a client hears must be the same, byte for byte,
// but for the cancel key and the one error of each frame that the proxy has refused. Which frames those are its log says.
import { DURING_COPY, mustFail } from '../../src/gate/refusal.ts';
import { BACKEND, parseErrorFields } from '../../src/wire/backend.ts';
import { type Frame, HEADER_LENGTH } from '../../src/wire/frames.ts';
import { FRONTEND } from '../../src/wire/frontend.ts';
import { Line, type Login, type Place } from './line.ts';
import { type Played, type PlayOptions, play } from './play.ts';
import { framesIn, type Step, send } from './step.ts';
import type { Logged } from './witness.ts';

/** Where to connect, and as whom. */
export interface Side {
  readonly is: 'server' | 'proxy';
  readonly place: Place;
  readonly login: Login;
}

export interface Heard extends Played {
  /** Frames since the login, as they are compared. */
  readonly frames: readonly string[];
}

/** Plays it there and remembers what was answered. `marker`: the session's application_name. */
export async function hear(
  { is, place, login }: Side,
  steps: readonly Step[],
  marker: string,
  settleAt?: PlayOptions['settleAt'],
): Promise<Heard> {
  const frames: string[] = [];
  const line = await Line.open(place, login, { application_name: marker }, (frame) => {
    const text = shown(frame, is);
    if (text !== null) frames.push(text);
  });
  const played = await play(line, steps, { place, ...(settleAt === undefined ? {} : { settleAt }) });
  return { ...played, frames };
}

/** The script as the server got it: in place of each frame that was refused, the one that must fail. */
export function asForwarded(steps: readonly Step[], fates: Logged['fates']): Step[] {
  let next = 0;
  return steps.map((step) => {
    if (step.do !== 'send') return step;
    return send(
      ...framesIn(step.bytes).map((frame) => {
        const protocol = RUNS.get(frame[0] ?? 0);
        if (protocol === undefined) return frame;
        return fates[next++] === 'refuse' ? mustFail(protocol).bytes : frame;
      }),
    );
  });
}

const RUNS: ReadonlyMap<number, Parameters<typeof mustFail>[0]> = new Map([
  [FRONTEND.Query, 'simple'],
  [FRONTEND.Execute, 'extended'],
  [FRONTEND.FunctionCall, 'function call'],
]);

const REFUSED = 'an error for the refused frame';
/** How the server refuses any FunctionCall in a failed transaction, also the one that stands for another. */
const REFUSED_CALL = /^E .*\0C25P02\0.*\0Ffastpath\.c\0/s;
const ENDED = 'a statement that had to be held amid a COPY';

/** A frame as it is compared: whole, but for what must differ. Null: nothing of the server's. */
function shown({ tag, bytes }: Frame, side: Side['is']): string | null {
  const text = `${String.fromCharCode(tag)} ${bytes.toString('latin1', HEADER_LENGTH)}`;
  switch (tag) {
    case BACKEND.Authentication:
      return null;
    case BACKEND.BackendKeyData:
      return 'the cancel key';
    case BACKEND.NotificationResponse:
      // Begins with the process id of whoever notified.
      return `A ${bytes.toString('latin1', HEADER_LENGTH + 4)}`;
    case BACKEND.NoticeResponse:
      return parseErrorFields(bytes)['M']?.startsWith('held for approval') ? null : text;
    case BACKEND.ErrorResponse: {
      const { F: file, V: severity, M: message = '' } = parseErrorFields(bytes);
      // What the proxy cannot follow it ends: a message amid a COPY, whose answers only the server could tell apart.
      if (message === DURING_COPY.error.message || message.startsWith(UNTOLD)) return ENDED;
      const refused =
        side === 'server'
          ? /"countersign_refused"|function with OID 0 /.test(message)
          : // The server names the place in its source, the proxy has none to name.
            file === undefined && severity === 'ERROR';
      return refused ? REFUSED : text;
    }
    default:
      return text;
  }
}

const READY = 'Z I';
const timedOut = (frames: readonly string[], i: number): boolean =>
  frames[i] === READY && /^E .*\0C57014\0/s.test(frames[i - 1] ?? '');
/** ParseComplete, BindComplete, CloseComplete. */
const ACKNOWLEDGED: ReadonlySet<string> = new Set(['1 ', '2 ', '3 ']);

const UNTOLD = 'the answers cannot be told apart any more';

/** Null: they heard the same. */
export function firstDifference(direct: readonly string[], through: readonly string[]): string | null {
  const length = Math.max(direct.length, through.length);
  for (let i = 0; i < length; i++) {
    const [one, other] = [direct[i], through[i]];
    if (one === other) continue;
    if (other === REFUSED && REFUSED_CALL.test(one ?? '')) continue;
    // Servers differ in what they make of it; the proxy ends the session, in words of its own.
    if (other === ENDED) return null;
    // Nothing is sent to the server for a CopyDone or CopyFail without a COPY. The server may notice at one that the time
    // of a statement is over, and then says it is ready once for that and once for the Sync behind it.
    if (one === READY && timedOut(direct, i - 1)) {
      return firstDifference([...direct.slice(0, i), ...direct.slice(i + 1)], through);
    }
    // The server keeps these to itself until a Flush, and to the end where a Terminate comes first; the proxy has flushed.
    if (one === undefined && ACKNOWLEDGED.has(other ?? '')) return null;
    return `frame ${i}: the server says ${JSON.stringify(one ?? 'nothing')}, the proxy ${JSON.stringify(other ?? 'nothing')}`;
  }
  return null;
}

/** What the log says of the session's statements, held against what the client was told of them. Null: it fits. */
export function misremembered(frames: readonly string[], { outcomes }: Logged): string | null {
  const tags = frames.flatMap(
    (frame) => /^C (.*)\0$/s.exec(frame)?.[1]?.replace(/^(INSERT) 0 /, '$1 ') ?? [],
  );
  const logged = outcomes.flatMap((outcome) => outcome.tags);
  if (JSON.stringify(tags) !== JSON.stringify(logged)) {
    return `the client was told ${JSON.stringify(tags)}, the log has ${JSON.stringify(logged)}`;
  }
  const rows = frames.filter((frame) => /^[Dd] /.test(frame)).length;
  const loggedRows = outcomes.reduce((sum, outcome) => sum + outcome.rows, 0);
  if (rows !== loggedRows) return `the client was told ${rows} rows, the log has ${loggedRows}`;
  const suspended = frames.filter((frame) => frame.startsWith('s ')).length;
  const loggedSuspended = outcomes.filter(({ result }) => result === 'suspended').length;
  if (suspended !== loggedSuspended) {
    return `the client was told ${suspended} times of a suspended portal, the log ${loggedSuspended} times`;
  }
  return null;
}
