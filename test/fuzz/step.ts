// What a client of the fuzzer does, step by step; and the same as JSON, for vectors that a person can read.
import { HEADER_LENGTH } from '../../src/wire/frames.ts';

export type Step =
  /** One write. */
  | { readonly do: 'send'; readonly bytes: Buffer }
  /** Waits until the other side has said what it has to say so far. */
  | { readonly do: 'settle' }
  /** Lets a statement_timeout of IMPATIENT_MS pass. */
  | { readonly do: 'rest' }
  /** A CancelRequest with this session's key. */
  | { readonly do: 'cancel' }
  /** Reads nothing more until the last step is done. */
  | { readonly do: 'stop reading' }
  | { readonly do: 'half-close' }
  | { readonly do: 'vanish' };

/** The statement_timeout of scripts that have one. Far above what a statement of theirs takes on a busy machine. */
export const IMPATIENT_MS = 150;

export const send = (...frames: readonly Buffer[]): Step => ({ do: 'send', bytes: Buffer.concat(frames) });

/** Bytes as Latin-1, one character each: SQL and names can be read, the rest is escaped. */
export type StepText = string | { readonly send: string };

export function stepToText(step: Step): StepText {
  return step.do === 'send' ? { send: step.bytes.toString('latin1') } : step.do;
}

const WORDS = ['settle', 'rest', 'cancel', 'stop reading', 'half-close', 'vanish'] as const;

export function stepFromText(text: StepText): Step {
  if (typeof text !== 'string') return { do: 'send', bytes: Buffer.from(text.send, 'latin1') };
  const word = WORDS.find((known) => known === text);
  if (word === undefined) throw new Error(`no such step: ${text}`);
  return { do: word };
}

/** The frames of a stream as far as it can be read as frames, and then the rest of it. */
export function framesIn(bytes: Buffer): Buffer[] {
  const frames: Buffer[] = [];
  let at = 0;
  while (bytes.length - at >= HEADER_LENGTH) {
    const length = bytes.readInt32BE(at + 1);
    if (length < 4 || at + 1 + length > bytes.length) break;
    frames.push(bytes.subarray(at, at + 1 + length));
    at += 1 + length;
  }
  if (at < bytes.length) frames.push(bytes.subarray(at));
  return frames;
}
