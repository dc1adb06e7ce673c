// The log's checkpoint (https://c2sp.org/tlog-checkpoint): how many records there are and the tree's root over them, as
// a signed note in one small file. It is never ahead of what the disk holds, so a log shorter than it has been cut.
import { CountersignError } from '../base/errors.ts';
import { encodeNote, isSignedBy, type Note, type NoteSigner, type NoteVerifier, parseNote } from './note.ts';
import { HASH_LENGTH } from './tree.ts';

export interface Checkpoint {
  /** Names the log for ever. With a key it is the key's name. */
  readonly origin: string;
  readonly size: number;
  readonly root: Buffer;
  readonly note: Note;
}

export function encodeCheckpoint(
  origin: string,
  size: number,
  root: Buffer,
  signer: NoteSigner | null,
): string {
  return encodeNote(`${origin}\n${size}\n${root.toString('base64')}\n`, signer);
}

/** Throws CountersignError `log_invalid` when it is not one checkpoint in its one spelling. */
export function parseCheckpoint(encoded: string): Checkpoint {
  const note = parseNote(encoded);
  const match = /^([^\n]+)\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/]{43}=)\n$/.exec(note?.text ?? '');
  const root = Buffer.from(match?.[3] ?? '', 'base64');
  const size = Number(match?.[2]);
  if (
    note === null ||
    match === null ||
    root.length !== HASH_LENGTH ||
    root.toString('base64') !== match[3] ||
    !Number.isSafeInteger(size)
  ) {
    throw new CountersignError('log_invalid', 'the checkpoint is damaged: it does not read as one');
  }
  return { origin: match[1] as string, size, root, note };
}

/** What is wrong with a checkpoint's signature, or null. `null` for the verifier: the log is kept without a key. */
export function signatureProblem(checkpoint: Checkpoint, verifier: NoteVerifier | null): string | null {
  if (verifier === null) {
    return checkpoint.note.signatures.length === 0
      ? null
      : `the checkpoint is signed by ${checkpoint.note.signatures[0]?.name}, and no key is configured`;
  }
  if (checkpoint.origin !== verifier.name) {
    return `the checkpoint is of the log ${checkpoint.origin}, and the key is of ${verifier.name}`;
  }
  if (checkpoint.note.signatures.length === 0) return `the checkpoint is not signed by ${verifier.name}`;
  return isSignedBy(checkpoint.note, verifier)
    ? null
    : `the checkpoint's signature is not that of ${verifier.name}`;
}
