// The packets that open a connection, before there are tags: StartupMessage, SSLRequest, GSSENCRequest, CancelRequest
// (manual, "Message Formats"). A reader of its own, because here the phase is known and must not be guessed from bytes.
import { Cursor, decodeUtf8, ShortRead } from '../base/bytes.ts';
import { CountersignError } from '../base/errors.ts';

/** Int32 length (counts itself) and Int32 code. */
const MIN_LENGTH = 8;
/** MAX_STARTUP_PACKET_LENGTH of the server, which does not count the length's own four bytes; we do. */
const MAX_LENGTH = 10_000;

const SSL_REQUEST = 80877103;
const GSSENC_REQUEST = 80877104;
const CANCEL_REQUEST = 80877102;

const MAJOR = 3;
/** The newest that we speak. 3.1 was never given out; the server takes it all the same, and speaks it like 3.0. */
const NEWEST_MINOR = 2;

/** Of a CancelRequest. 3.0 has 4 bytes; 3.2 lets the server choose, and clients must take up to 256. */
const CANCEL_KEY = { minLength: 4, maxLength: 256 } as const;

export type StartupPacket =
  | { readonly kind: 'ssl' }
  | { readonly kind: 'gssenc' }
  | { readonly kind: 'cancel'; readonly processId: number; readonly secretKey: Buffer }
  /** A CancelRequest that can be for nobody. Like every CancelRequest it has no answer, so it is no error either. */
  | { readonly kind: 'malformed cancel' }
  | {
      readonly kind: 'startup';
      /** Minor protocol version asked for. */
      readonly minor: number;
      readonly parameters: ReadonlyMap<string, string>;
    };

/** Length of the packet that starts `bytes`, or null until its four bytes are there. Throws on one that cannot be. */
export function startupLength(bytes: Buffer): number | null {
  if (bytes.length < 4) return null;
  const length = bytes.readUInt32BE(0);
  if (length < MIN_LENGTH || length > MAX_LENGTH) {
    throw new CountersignError('protocol_violation', 'invalid length of startup packet');
  }
  return length;
}

/** `packet`: exactly one whole packet, its length included. */
export function parseStartupPacket(packet: Buffer): StartupPacket {
  const cursor = new Cursor(packet, 4);
  const code = cursor.readUint32();
  switch (code) {
    case SSL_REQUEST:
    case GSSENC_REQUEST:
      if (cursor.remaining > 0) throw malformed();
      return { kind: code === SSL_REQUEST ? 'ssl' : 'gssenc' };
    case CANCEL_REQUEST:
      return readCancel(cursor);
  }
  if (code >>> 16 !== MAJOR) throw unsupported(code);
  return { kind: 'startup', minor: code & 0xffff, parameters: readParameters(cursor) };
}

/** What the server says to a code that it does not take, such as a second request for encryption. */
export function unsupportedRequest(kind: 'ssl' | 'gssenc'): CountersignError {
  return unsupported(kind === 'ssl' ? SSL_REQUEST : GSSENC_REQUEST);
}

/** The version that is spoken with a client that asks for 3.`minor`. */
export function spokenMinor(minor: number): number {
  return Math.min(minor, NEWEST_MINOR);
}

/** 3.`minor` as StartupMessage and NegotiateProtocolVersion have it. */
export function protocolVersion(minor: number): number {
  return (MAJOR << 16) | minor;
}

function readCancel(cursor: Cursor): StartupPacket {
  const keyLength = cursor.remaining - 4;
  if (keyLength < CANCEL_KEY.minLength || keyLength > CANCEL_KEY.maxLength) {
    return { kind: 'malformed cancel' };
  }
  return { kind: 'cancel', processId: cursor.readInt32(), secretKey: cursor.readBytes(keyLength) };
}

function unsupported(code: number): CountersignError {
  return new CountersignError(
    'feature_not_supported',
    `unsupported frontend protocol ${code >>> 16}.${code & 0xffff}: server supports ${MAJOR}.0 to ${MAJOR}.${NEWEST_MINOR}`,
  );
}

function readParameters(cursor: Cursor): Map<string, string> {
  const parameters = new Map<string, string>();
  try {
    for (;;) {
      const name = cursor.readCStringBytes();
      if (name.length === 0) break;
      const nameText = decodeUtf8(name);
      const value = decodeUtf8(cursor.readCStringBytes());
      if (nameText === null || value === null) {
        throw new CountersignError('invalid_parameter', 'startup parameters must be UTF-8');
      }
      // The server would take the last of two; whoever sends two is looking for a difference between readers.
      if (parameters.has(nameText)) throw malformed();
      parameters.set(nameText, value);
    }
  } catch (error) {
    if (error instanceof ShortRead) throw malformed();
    throw error;
  }
  if (cursor.remaining > 0) throw malformed();
  return parameters;
}

function malformed(): CountersignError {
  return new CountersignError('protocol_violation', 'invalid startup packet layout');
}
