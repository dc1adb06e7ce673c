// C2SP signed notes (https://c2sp.org/signed-note) with Ed25519, and keys in the text form of Go's sumdb/note, so
// that public tools check what we sign. A note is text, an empty line, and signature lines.
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { CountersignError } from '../base/errors.ts';

const ALGORITHM_ED25519 = 1;
const KEY_LENGTH = 32;
const SIGNATURE_LENGTH = 64;
const KEY_HASH_LENGTH = 4;
const SIGNATURE_LINE = /^— (\S+) ([A-Za-z0-9+/]+={0,2})$/;
const KEY_NAME = /^[^\s+]{1,200}$/;
// DER around a raw Ed25519 key (RFC 8410): Node imports no raw keys.
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

export interface NoteVerifier {
  readonly name: string;
  /** First four bytes of SHA-256(name ‖ "\n" ‖ algorithm ‖ public key): tells keys of one name apart. */
  readonly keyHash: Buffer;
  readonly publicKey: KeyObject;
}

export interface NoteSigner extends NoteVerifier {
  readonly privateKey: KeyObject;
}

export interface Note {
  /** Ends in a newline; what the signatures are over. */
  readonly text: string;
  readonly signatures: readonly {
    readonly name: string;
    readonly keyHash: Buffer;
    readonly signature: Buffer;
  }[];
}

function invalid(what: string): CountersignError {
  return new CountersignError('config', what);
}

/** A signer's two key texts from a 32-byte seed. `name` may hold neither white space nor `+`. */
export function encodeKeys(
  name: string,
  seed: Buffer,
): { readonly signer: string; readonly verifier: string } {
  if (!KEY_NAME.test(name))
    throw invalid(`a key's name has no spaces and no "+", as in example.com/log: ${name}`);
  const publicKey = rawPublicKey(createPublicKey(privateKeyOf(seed)));
  const hash = keyHashOf(name, publicKey).toString('hex');
  const algorithm = Buffer.from([ALGORITHM_ED25519]);
  return {
    signer: `PRIVATE+KEY+${name}+${hash}+${Buffer.concat([algorithm, seed]).toString('base64')}`,
    verifier: `${name}+${hash}+${Buffer.concat([algorithm, publicKey]).toString('base64')}`,
  };
}

/** Reads `PRIVATE+KEY+name+hash+base64`. Never puts the key into an error's text. */
export function parseSigner(text: string): NoteSigner {
  const match = /^PRIVATE\+KEY\+([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/.exec(text.trim());
  const body = Buffer.from(match?.[3] ?? '', 'base64');
  if (match === null || body.length !== 1 + KEY_LENGTH || body[0] !== ALGORITHM_ED25519) {
    throw invalid('not a log signing key; `countersign keygen` makes one');
  }
  const privateKey = privateKeyOf(body.subarray(1));
  const publicKey = createPublicKey(privateKey);
  const name = match[1] as string;
  const keyHash = keyHashOf(name, rawPublicKey(publicKey));
  if (keyHash.toString('hex') !== match[2]) throw invalid(`the log signing key ${name} is damaged`);
  return { name, keyHash, publicKey, privateKey };
}

/** Reads `name+hash+base64`. */
export function parseVerifier(text: string): NoteVerifier {
  const match = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/.exec(text.trim());
  const body = Buffer.from(match?.[3] ?? '', 'base64');
  if (match === null || body.length !== 1 + KEY_LENGTH || body[0] !== ALGORITHM_ED25519) {
    throw invalid('not a verifier key: it reads name+hash+base64, as `countersign keygen` prints it');
  }
  const name = match[1] as string;
  const keyHash = keyHashOf(name, body.subarray(1));
  if (keyHash.toString('hex') !== match[2]) throw invalid(`the verifier key ${name} is damaged`);
  const der = Buffer.concat([SPKI_PREFIX, body.subarray(1)]);
  return { name, keyHash, publicKey: createPublicKey({ key: der, format: 'der', type: 'spki' }) };
}

/** `text` must end in a newline. Without a signer, the note has no signature lines. */
export function encodeNote(text: string, signer: NoteSigner | null): string {
  if (signer === null) return `${text}\n`;
  const signature = sign(null, Buffer.from(text), signer.privateKey);
  return `${text}\n— ${signer.name} ${Buffer.concat([signer.keyHash, signature]).toString('base64')}\n`;
}

/** null when it has not the form of a note. Checks no signature. */
export function parseNote(encoded: string): Note | null {
  const split = encoded.lastIndexOf('\n\n');
  if (split < 0 || !encoded.endsWith('\n')) return null;
  const signatures: { name: string; keyHash: Buffer; signature: Buffer }[] = [];
  for (const line of encoded
    .slice(split + 2)
    .split('\n')
    .slice(0, -1)) {
    const match = SIGNATURE_LINE.exec(line);
    const bytes = Buffer.from(match?.[2] ?? '', 'base64');
    // Base64 has several spellings of some bytes; only one is let through.
    if (match === null || bytes.toString('base64') !== match[2] || bytes.length <= KEY_HASH_LENGTH)
      return null;
    signatures.push({
      name: match[1] as string,
      keyHash: bytes.subarray(0, KEY_HASH_LENGTH),
      signature: bytes.subarray(KEY_HASH_LENGTH),
    });
  }
  return { text: encoded.slice(0, split + 1), signatures };
}

/** Whether `verifier`'s key signed the note. Signatures by keys we do not know say nothing. */
export function isSignedBy(note: Note, verifier: NoteVerifier): boolean {
  const own = note.signatures.filter((s) => s.name === verifier.name && s.keyHash.equals(verifier.keyHash));
  return (
    own.length > 0 &&
    own.every(
      (s) =>
        s.signature.length === SIGNATURE_LENGTH &&
        verify(null, Buffer.from(note.text), verifier.publicKey, s.signature),
    )
  );
}

function privateKeyOf(seed: Buffer): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' });
}

function rawPublicKey(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'spki' }).subarray(SPKI_PREFIX.length);
}

function keyHashOf(name: string, publicKey: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(`${name}\n`), Buffer.from([ALGORITHM_ED25519]), publicKey]);
  return createHash('sha256').update(body).digest().subarray(0, KEY_HASH_LENGTH);
}
