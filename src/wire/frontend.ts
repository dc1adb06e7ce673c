// The messages a client may send once its session is up, and what is in those that matter to us.
// Bytes in, values out, no I/O. Each parser reads its message to the last byte: what is left over is a violation,
// because the server might read it otherwise than we did.
import { Cursor, ShortRead } from '../base/bytes.ts';
import { CountersignError } from '../base/errors.ts';
import { HEADER_LENGTH } from './frames.ts';

/** Frontend message tags (manual, "Message Formats", F). */
export const FRONTEND = {
  Bind: 0x42, // B
  Close: 0x43, // C
  CopyData: 0x64, // d
  CopyDone: 0x63, // c
  CopyFail: 0x66, // f
  Describe: 0x44, // D
  Execute: 0x45, // E
  Flush: 0x48, // H
  FunctionCall: 0x46, // F
  Parse: 0x50, // P
  Query: 0x51, // Q
  Sync: 0x53, // S
  Terminate: 0x58, // X
  /** PasswordMessage, SASLInitialResponse, SASLResponse, GSSResponse: only while authenticating. */
  Password: 0x70, // p
} as const;

export const FRONTEND_TAGS: ReadonlySet<number> = new Set(Object.values(FRONTEND));

export interface Parse {
  readonly name: string;
  readonly sql: Buffer;
  readonly parameterTypes: readonly number[];
}

export interface Bind {
  readonly portal: string;
  readonly statement: string;
  /** 0 text, 1 binary, one per value as the server expands them. */
  readonly formats: readonly number[];
  readonly values: readonly (Buffer | null)[];
}

export interface Execute {
  readonly portal: string;
  /** 0: no limit. */
  readonly maxRows: number;
}

/** Of Close and Describe: S names a prepared statement, P a portal. */
export interface Target {
  readonly kind: 'statement' | 'portal';
  readonly name: string;
}

export interface FunctionCall {
  readonly oid: number;
  readonly formats: readonly number[];
  readonly values: readonly (Buffer | null)[];
}

/** The SQL text of a Query, without its NUL. */
export const parseQuery = reader((cursor): Buffer => cursor.readCStringBytes());

export const parseParse = reader((cursor): Parse => {
  const name = readName(cursor);
  const sql = cursor.readCStringBytes();
  const parameterTypes: number[] = [];
  for (let count = cursor.readUint16(); count > 0; count--) parameterTypes.push(cursor.readUint32());
  return { name, sql, parameterTypes };
});

export const parseBind = reader((cursor): Bind => {
  const portal = readName(cursor);
  const statement = readName(cursor);
  const { formats, values } = readValues(cursor);
  for (let count = cursor.readUint16(); count > 0; count--) readFormat(cursor); // result formats
  return { portal, statement, formats, values };
});

export const parseExecute = reader(
  (cursor): Execute => ({ portal: readName(cursor), maxRows: cursor.readInt32() }),
);

export const parseTarget = reader((cursor): Target => {
  const kind = cursor.readUint8();
  if (kind !== 0x53 && kind !== 0x50) throw new ShortRead();
  return { kind: kind === 0x53 ? 'statement' : 'portal', name: readName(cursor) };
});

export const parseFunctionCall = reader((cursor): FunctionCall => {
  const oid = cursor.readUint32();
  const { formats, values } = readValues(cursor);
  readFormat(cursor); // result format
  return { oid, formats, values };
});

/** Sync, Flush, CopyDone and Terminate carry nothing. */
export const parseEmpty = reader((): null => null);

/** NAMEDATALEN - 1: the server's tables of statements and portals compare no more bytes than these. */
const NAME_MAX_LENGTH = 63;
/** A database whose own encoding is not UTF-8 cuts a name after converting it, which may at most double its length. */
const CONVERTED_NAME_MAX_LENGTH = 31;

/**
 * The key of a statement's or portal's name: its first 63 bytes, one character a byte. Two names that the server
 * takes for one must be one here too, and two that it tells apart must be two, or a statement could be run under the
 * name of another. Where that depends on the database's encoding the name is refused (`feature_not_supported`).
 */
export function nameKey(name: string | Buffer): string {
  if (name.length === 0) return '';
  const bytes = typeof name === 'string' ? Buffer.from(name, 'utf8') : name;
  if (bytes.length > CONVERTED_NAME_MAX_LENGTH && bytes.some((byte) => byte > 127)) {
    throw new CountersignError(
      'feature_not_supported',
      `a name of more than ${CONVERTED_NAME_MAX_LENGTH} bytes for a prepared statement or cursor must be ASCII`,
    );
  }
  return bytes.toString('latin1', 0, NAME_MAX_LENGTH);
}

const readName = (cursor: Cursor): string => nameKey(cursor.readCStringBytes());

function readFormat(cursor: Cursor): number {
  const format = cursor.readUint16();
  if (format > 1) throw new ShortRead();
  return format;
}

/** Int16 count and formats (none: all text; one: for all), then Int16 count and length-prefixed values (-1: NULL). */
function readValues(cursor: Cursor): { formats: number[]; values: (Buffer | null)[] } {
  const given: number[] = [];
  for (let count = cursor.readUint16(); count > 0; count--) given.push(readFormat(cursor));
  const count = cursor.readUint16();
  const values: (Buffer | null)[] = [];
  for (let i = 0; i < count; i++) {
    const length = cursor.readInt32();
    values.push(length === -1 ? null : cursor.readBytes(length));
  }
  if (given.length > 1 && given.length !== count) throw new ShortRead();
  const formats = values.map((_, i) => (given.length === 1 ? given[0] : given[i]) ?? 0);
  return { formats, values };
}

/** Reads the frame that stands in `bytes` from `start` to `end`. */
type Reader<Message> = (bytes: Buffer, start?: number, end?: number) => Message;

function reader<Message>(read: (cursor: Cursor) => Message): Reader<Message> {
  return (bytes, start = 0, end = bytes.length) => {
    const cursor = new Cursor(bytes, start + HEADER_LENGTH, end);
    let message: Message;
    try {
      message = read(cursor);
    } catch (error) {
      if (!(error instanceof ShortRead)) throw error;
      throw new CountersignError(
        'protocol_violation',
        `malformed '${String.fromCharCode(bytes[start] ?? 0)}' message`,
      );
    }
    if (cursor.remaining > 0) {
      throw new CountersignError(
        'protocol_violation',
        `'${String.fromCharCode(bytes[start] ?? 0)}' message with ${cursor.remaining} bytes after its end`,
      );
    }
    return message;
  };
}
