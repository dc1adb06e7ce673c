// A cancel key closed to everybody but the node that made the lock: X25519 with a key pair for this one use on either
// side, HKDF-SHA-256, AES-256-GCM. Four bytes of a key are guessed in seconds from a mere hash, so no hash will do.
import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';
import { Cursor, int32 } from '../base/bytes.ts';
import { randomSecret } from '../base/ids.ts';
import type { CancelKey } from './cancel.ts';

/** What stands before the 32 bytes of an X25519 key in PKCS #8 and in SubjectPublicKeyInfo (RFC 8410). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex');
const SPKI_PREFIX = Buffer.from('302a300506032b656e032100', 'hex');
const KEY_LENGTH = 32;
const TAG_LENGTH = 16;
/** Each key of the cipher is used for one message only. */
const NONCE = Buffer.alloc(12);
const PURPOSE = 'countersign cancel request, 1';

/** One use: who opens with it a second time opens what somebody has sent again. */
export interface Lock {
  readonly publicKey: Buffer;
  readonly privateKey: KeyObject;
}

export function makeLock(): Lock {
  // Any 32 bytes are a private key (RFC 7748).
  const der = Buffer.concat([PKCS8_PREFIX, randomSecret(KEY_LENGTH)]);
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const publicKey = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return { privateKey, publicKey: publicKey.subarray(SPKI_PREFIX.length) };
}

/** Throws where `publicKey` is none. */
export function seal({ processId, secretKey }: CancelKey, publicKey: Buffer): Buffer {
  const own = makeLock();
  const shared = sharedKey(own.privateKey, publicKey, { sender: own.publicKey, recipient: publicKey });
  const cipher = createCipheriv('aes-256-gcm', shared, NONCE);
  const sealed = Buffer.concat([cipher.update(Buffer.concat([int32(processId), secretKey])), cipher.final()]);
  return Buffer.concat([own.publicKey, sealed, cipher.getAuthTag()]);
}

/** null for what was not sealed for this lock, or changed on its way. */
export function unseal(box: Buffer, { privateKey, publicKey }: Lock): CancelKey | null {
  if (box.length < KEY_LENGTH + 4 + TAG_LENGTH) return null;
  const sender = box.subarray(0, KEY_LENGTH);
  try {
    const shared = sharedKey(privateKey, sender, { sender, recipient: publicKey });
    const decipher = createDecipheriv('aes-256-gcm', shared, NONCE);
    decipher.setAuthTag(box.subarray(-TAG_LENGTH));
    const opened = Buffer.concat([decipher.update(box.subarray(KEY_LENGTH, -TAG_LENGTH)), decipher.final()]);
    const cursor = new Cursor(opened);
    return { processId: cursor.readInt32(), secretKey: cursor.readBytes(cursor.remaining) };
  } catch {
    return null;
  }
}

function sharedKey(
  own: KeyObject,
  other: Buffer,
  { sender, recipient }: { readonly sender: Buffer; readonly recipient: Buffer },
): Buffer {
  const der = Buffer.concat([SPKI_PREFIX, other]);
  const publicKey = createPublicKey({ key: der, format: 'der', type: 'spki' });
  const secret = diffieHellman({ privateKey: own, publicKey });
  return Buffer.from(hkdfSync('sha256', secret, Buffer.concat([sender, recipient]), PURPOSE, 32));
}
