// The messages a server sends: encoders for those that we make ourselves, readers for the few that we look into.
// Bytes in, values out, no I/O.
import { Cursor, cstring, int32, ShortRead } from '../base/bytes.ts';
import { CountersignError, meaningOf } from '../base/errors.ts';
import { HEADER_LENGTH } from './frames.ts';

/** Backend message tags (manual, "Message Formats", B). */
export const BACKEND = {
  Authentication: 0x52, // R
  BackendKeyData: 0x4b, // K
  BindComplete: 0x32, // 2
  CloseComplete: 0x33, // 3
  CommandComplete: 0x43, // C
  CopyBothResponse: 0x57, // W
  CopyData: 0x64, // d
  CopyDone: 0x63, // c
  CopyInResponse: 0x47, // G
  CopyOutResponse: 0x48, // H
  DataRow: 0x44, // D
  EmptyQueryResponse: 0x49, // I
  ErrorResponse: 0x45, // E
  FunctionCallResponse: 0x56, // V
  NegotiateProtocolVersion: 0x76, // v
  NoData: 0x6e, // n
  NoticeResponse: 0x4e, // N
  NotificationResponse: 0x41, // A
  ParameterDescription: 0x74, // t
  ParameterStatus: 0x53, // S
  ParseComplete: 0x31, // 1
  PortalSuspended: 0x73, // s
  ReadyForQuery: 0x5a, // Z
  RowDescription: 0x54, // T
} as const;

/** Idle, in a transaction block, in a failed transaction block. */
export type TransactionStatus = 'I' | 'T' | 'E';

/** Fields of ErrorResponse and NoticeResponse by their one-letter type (manual, "Error and Notice Message Fields"). */
export type ErrorFields = Readonly<Record<string, string>>;

function encode(tag: number, ...parts: readonly Buffer[]): Buffer {
  let length = 4;
  for (const part of parts) length += part.length;
  const header = Buffer.allocUnsafe(HEADER_LENGTH);
  header[0] = tag;
  header.writeInt32BE(length, 1);
  return Buffer.concat([header, ...parts], length + 1);
}

export const encodeAuthenticationOk = (): Buffer => encode(BACKEND.Authentication, int32(0));
export const encodeAuthenticationCleartextPassword = (): Buffer => encode(BACKEND.Authentication, int32(3));
export const encodeAuthenticationSasl = (mechanisms: readonly string[]): Buffer =>
  encode(BACKEND.Authentication, int32(10), ...mechanisms.map(cstring), Buffer.from([0]));
export const encodeAuthenticationSaslContinue = (data: string): Buffer =>
  encode(BACKEND.Authentication, int32(11), Buffer.from(data, 'utf8'));
export const encodeAuthenticationSaslFinal = (data: string): Buffer =>
  encode(BACKEND.Authentication, int32(12), Buffer.from(data, 'utf8'));
export const encodeBackendKeyData = (processId: number, secretKey: Buffer): Buffer =>
  encode(BACKEND.BackendKeyData, int32(processId), secretKey);
export const encodeParameterStatus = (name: string, value: string): Buffer =>
  encode(BACKEND.ParameterStatus, cstring(name), cstring(value));
export const encodeReadyForQuery = (status: TransactionStatus): Buffer =>
  encode(BACKEND.ReadyForQuery, Buffer.from(status, 'latin1'));
/** `version`: as in StartupMessage, 0x00030000 for 3.0. */
export const encodeNegotiateProtocolVersion = (version: number, unknownOptions: readonly string[]): Buffer =>
  encode(
    BACKEND.NegotiateProtocolVersion,
    int32(version),
    int32(unknownOptions.length),
    ...unknownOptions.map(cstring),
  );

/** Text from people, rules and statements reaches terminals through these fields: control characters become spaces. */
export function encodeErrorFields(tag: number, fields: ErrorFields): Buffer {
  const parts: Buffer[] = [];
  for (const [type, value] of Object.entries(fields)) {
    // biome's rule against control characters does not apply: they are what is being removed.
    const clean = value.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, ' ');
    parts.push(Buffer.from(type, 'latin1'), cstring(clean));
  }
  return encode(tag, ...parts, Buffer.from([0]));
}

/** An ErrorResponse for one of our own errors. */
export function encodeError(error: CountersignError, severity: 'ERROR' | 'FATAL'): Buffer {
  return encodeErrorFields(BACKEND.ErrorResponse, {
    S: severity,
    V: severity,
    C: meaningOf(error.code).sqlstate,
    M: error.message,
    ...(error.detail === undefined ? {} : { D: error.detail }),
    ...(error.hint === undefined ? {} : { H: error.hint }),
  });
}

export function encodeNotice(message: string, detail: string, hint: string): Buffer {
  return encodeErrorFields(BACKEND.NoticeResponse, {
    S: 'NOTICE',
    V: 'NOTICE',
    C: '00000',
    M: message,
    D: detail,
    H: hint,
  });
}

/** Reads a frame of the server's. Throws CountersignError `upstream_unavailable` on a malformed one. */
function reader<Message>(read: (cursor: Cursor) => Message): (frame: Buffer) => Message {
  return (frame) => {
    try {
      return read(new Cursor(frame, HEADER_LENGTH));
    } catch (error) {
      if (!(error instanceof ShortRead)) throw error;
      throw new CountersignError('upstream_unavailable', 'the database server sent a malformed message');
    }
  };
}

/** Of an ErrorResponse or NoticeResponse frame. */
export const parseErrorFields = reader((cursor): ErrorFields => {
  const fields: Record<string, string> = {};
  for (let type = cursor.readUint8(); type !== 0; type = cursor.readUint8()) {
    fields[String.fromCharCode(type)] = cursor.readCStringBytes().toString('utf8');
  }
  return fields;
});

export const parseReadyForQuery = reader((cursor): TransactionStatus => {
  const status = String.fromCharCode(cursor.readUint8());
  return status === 'T' || status === 'E' ? status : 'I';
});

export const parseParameterStatus = reader((cursor): { name: string; value: string } => ({
  name: cursor.readCStringBytes().toString('utf8'),
  value: cursor.readCStringBytes().toString('utf8'),
}));

/** `INSERT 0 5` → tag `INSERT`, rows 5; `DROP TABLE` → rows null. */
export const parseCommandTag = reader((cursor): { tag: string; rows: number | null } => {
  const text = cursor.readCStringBytes().toString('latin1');
  const counted = withoutNumber(text);
  if (counted === null) return { tag: text, rows: null };
  return { tag: withoutNumber(counted) ?? counted, rows: Number(text.slice(counted.length + 1)) };
});

/** The words before a last word of digits; null where there is none. Without a pattern: it comes with every statement. */
function withoutNumber(text: string): string | null {
  const space = text.lastIndexOf(' ');
  if (space < 0 || space === text.length - 1) return null;
  for (let i = space + 1; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x30 || code > 0x39) return null;
  }
  return text.slice(0, space);
}
