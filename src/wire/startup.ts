// The packets that open a connection, before there are tags: StartupMessage, SSLRequest, GSSENCRequest, CancelRequest
// (manual, "Message Formats"). A reader of its own, because here the phase is known and must not be guessed from bytes.
import { Cursor, decodeUtf8, ShortRead } from '../base/bytes.ts';
import { CountersignError } from '../base/errors.ts';

/** Int32 length (counts itself) and Int32 code. */
const MIN_LENGTH = 8;
/** MAX_STARTUP_PACKET_LENGTH of the server. */
const MAX_LENGTH = 10_000;

const SSL_REQUEST = 80877103;
const GSSENC_REQUEST = 80877104;
const CANCEL_REQUEST = 80877102;

export const PROTOCOL_3_0 = 0x0003_0000;

export type StartupPacket =
  | { readonly kind: 'ssl' }
  | { readonly kind: 'gssenc' }
  | { readonly kind: 'cancel'; readonly processId: number; readonly secretKey: Buffer }
  | {
      readonly kind: 'startup';
      /** Minor protocol version asked for; 0 is ours. */
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
      if (cursor.remaining < 8 || cursor.remaining > 260) throw malformed();
      return { kind: 'cancel', processId: cursor.readInt32(), secretKey: cursor.readBytes(cursor.remaining) };
  }
  const major = code >>> 16;
  if (major !== 3) {
    throw new CountersignError(
      'feature_not_supported',
      `unsupported frontend protocol ${major}.${code & 0xffff}: server supports 3.0`,
    );
  }
  return { kind: 'startup', minor: code & 0xffff, parameters: readParameters(cursor) };
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
