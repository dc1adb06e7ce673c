// A client that speaks the protocol frame by frame: what drivers hide, such as pipelines, statuses and the order of
// answers, is what these tests are about. Logs in with our own SCRAM, then sends whatever it is told to.
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { serialize } from 'pg-protocol';
import { cstring, int32 } from '../../src/base/bytes.ts';
import { randomSecret } from '../../src/base/ids.ts';
import { BACKEND, type ErrorFields, parseErrorFields } from '../../src/wire/backend.ts';
import { FrameReader, HEADER_LENGTH } from '../../src/wire/frames.ts';
import { NONCE_LENGTH } from '../../src/wire/scram.ts';
import { clientFinal, startClientExchange, verifyServerFinal } from '../../src/wire/scram-client.ts';
import type { Connection } from '../services/psql.ts';

const WAIT_MS = 15_000;
const LARGEST_ANSWER = 1024 * 1024 * 1024;

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(BACKEND).map(([name, tag]): [number, string] => [tag, name]),
);

export interface Answer {
  readonly name: string;
  readonly bytes: Buffer;
}

/** The frames of a client, from the library that also drivers use. */
export const frame = serialize;
const { parse, bind, execute, sync } = serialize;

/** Parse, Bind and Execute of one text under the unnamed names, without a Sync. */
export const extended = (text: string, values: (string | Buffer | null)[] = []): Buffer =>
  Buffer.concat([parse({ text }), bind({ values }), execute()]);

/** A pipeline: each text by its own Parse, Bind and Execute, and one Sync behind them all. */
export const pipeline = (...texts: string[]): Buffer =>
  Buffer.concat([...texts.map((text) => extended(text)), sync()]);

/** A StartupMessage, or any packet of that form. */
export function startupPacket(parameters: Readonly<Record<string, string>>, version = 0x0003_0000): Buffer {
  const texts = Object.entries(parameters).flatMap(([name, value]) => [cstring(name), cstring(value)]);
  const body = Buffer.concat([int32(version), ...texts, Buffer.from([0])]);
  return Buffer.concat([int32(body.length + 4), body]);
}

export interface WireOptions {
  /** Startup parameters besides user and database. */
  readonly parameters?: Readonly<Record<string, string>>;
  readonly version?: number;
  /** PEM of the authority: TLS after an SSLRequest. */
  readonly ca?: Buffer;
  /** TLS without one. */
  readonly direct?: boolean;
  /** PEM of the client's own certificate and key. */
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

export class WireClient {
  readonly socket: Socket;
  /** Answers up to the first ReadyForQuery. */
  greeting: readonly string[] = [];
  /** NegotiateProtocolVersion, where there was one. */
  negotiation: Buffer | null = null;
  key: { readonly processId: number; readonly secretKey: Buffer } | null = null;
  readonly parameters = new Map<string, string>();
  /** Notices that say that a statement is held; they come between the answers, and are kept apart from them. */
  readonly heldNotices: ErrorFields[] = [];
  /** Every error since the start. */
  readonly errors: ErrorFields[] = [];
  readonly #reader = new FrameReader(LARGEST_ANSWER);
  readonly #inbox: Answer[] = [];
  readonly #seen: string[] = [];
  #ended = false;
  #wake: () => void = () => {};

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#reader.push(chunk);
      for (let next = this.#reader.next(); next !== null; next = this.#reader.next()) {
        this.#receive({ name: NAMES.get(next.tag) ?? `unknown ${next.tag}`, bytes: next.bytes });
      }
      this.#wake();
    });
    socket.on('error', () => {});
    for (const event of ['end', 'close']) {
      socket.on(event, () => {
        this.#ended = true;
        this.#wake();
      });
    }
  }

  /** Logs in and waits for ReadyForQuery; an ErrorResponse instead is thrown as `Refused`. */
  static async connect(target: Connection, options: WireOptions = {}): Promise<WireClient> {
    const client = await WireClient.dial(target, options);
    client.socket.write(
      startupPacket(
        { user: target.user, database: target.database, ...options.parameters },
        options.version ?? 0x0003_0000,
      ),
    );
    await client.#logIn(target.password);
    return client;
  }

  /** The fields of the ErrorResponse that it is refused with. */
  static async refusal(target: Connection, options: WireOptions = {}): Promise<ErrorFields> {
    try {
      (await WireClient.connect(target, options)).socket.destroy();
    } catch (error) {
      if (error instanceof Refused) return error.fields;
      throw error;
    }
    throw new Error('it was let in');
  }

  /** A connection on which nothing has been said but, where asked for, TLS. */
  static async dial(
    { host, port }: Pick<Connection, 'host' | 'port'>,
    options: WireOptions = {},
  ): Promise<WireClient> {
    const { ca, direct = false, cert, key } = options;
    const plain = connect({ host, port, noDelay: true });
    await new Promise<void>((resolve, reject) => {
      plain.once('connect', resolve);
      plain.once('error', reject);
    });
    if (ca === undefined) return new WireClient(plain);
    if (!direct) {
      plain.write(serialize.requestSsl());
      const answer = await new Promise<Buffer>((resolve) => plain.once('data', resolve));
      if (answer.toString('latin1') !== 'S')
        throw new Error(`SSLRequest answered ${answer.toString('latin1')}`);
    }
    const secured = connectTls({
      socket: plain,
      host,
      ca,
      ALPNProtocols: ['postgresql'],
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    });
    await new Promise<void>((resolve, reject) => {
      secured.once('secureConnect', resolve);
      secured.once('error', reject);
      plain.once('close', () => reject(new Error('closed during the TLS handshake')));
    });
    return new WireClient(secured);
  }

  write(...frames: Buffer[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** Sends, and returns all answers up to the next ReadyForQuery. */
  run(...frames: Buffer[]): Promise<string[]> {
    this.write(...frames);
    return this.ready();
  }

  /** One simple query. */
  query(sql: string): Promise<string[]> {
    return this.run(serialize.query(sql));
  }

  /** Answers up to and with the `count`th ReadyForQuery. */
  async ready(count = 1): Promise<string[]> {
    const answers: string[] = [];
    for (let i = 0; i < count; i++) answers.push(...(await this.until('ReadyForQuery')));
    return answers;
  }

  /** Answers up to and with the first whose text starts so. */
  async until(start: string): Promise<string[]> {
    const answers: string[] = [];
    for (;;) {
      const text = textOf(await this.next());
      answers.push(text);
      if (text.startsWith(start)) return answers;
    }
  }

  async next(): Promise<Answer> {
    await this.#when(() => this.#inbox.length > 0, 'an answer');
    return this.#inbox.shift() as Answer;
  }

  /** The other side has closed the connection. */
  get ended(): boolean {
    return this.#ended;
  }

  /** What has arrived and was not asked for yet. */
  get unread(): readonly string[] {
    return this.#inbox.map(textOf);
  }

  /** Waits for the `count`th notice of a held statement since the start. */
  async noticed(count = 1): Promise<ErrorFields> {
    await this.#when(() => this.heldNotices.length >= count, 'a notice');
    return this.heldNotices[count - 1] as ErrorFields;
  }

  /** Waits for the other side to close. */
  async closed(): Promise<string[]> {
    const answers: string[] = [];
    while (!this.#ended || this.#inbox.length > 0) {
      const next = this.#inbox.shift();
      if (next !== undefined) answers.push(textOf(next));
      else await this.#pause('the end of the connection');
    }
    return answers;
  }

  /** Says Terminate. */
  async end(): Promise<void> {
    this.write(serialize.end());
    await this.closed();
    this.socket.destroy();
  }

  async #logIn(password: string): Promise<void> {
    const started = startClientExchange(randomSecret(NONCE_LENGTH));
    let proved: Awaited<ReturnType<typeof clientFinal>> | null = null;
    const greeting: string[] = [];
    for (;;) {
      const answer = await this.next();
      greeting.push(textOf(answer));
      if (answer.name === 'ReadyForQuery') break;
      if (answer.name === 'ErrorResponse') throw new Refused(parseErrorFields(answer.bytes));
      if (answer.name !== 'Authentication') continue;
      const code = answer.bytes.readInt32BE(HEADER_LENGTH);
      const data = answer.bytes.subarray(HEADER_LENGTH + 4);
      if (code === 10) {
        this.write(serialize.sendSASLInitialResponseMessage('SCRAM-SHA-256', started.message));
      } else if (code === 11) {
        proved = await clientFinal(started, password, data);
        this.write(serialize.sendSCRAMClientFinalMessage(proved.message));
      } else if (code === 12 && proved !== null) verifyServerFinal(proved, data);
      else if (code !== 0) throw new Error(`unexpected authentication request ${code}`);
    }
    this.greeting = greeting;
  }

  #receive(answer: Answer): void {
    const { name, bytes } = answer;
    const text = textOf(answer);
    this.#seen.push(text.slice(0, 200));
    if (this.#seen.length > 50) this.#seen.shift();
    if (name === 'BackendKeyData') {
      const secretKey = Buffer.from(bytes.subarray(HEADER_LENGTH + 4));
      this.key = { processId: bytes.readInt32BE(HEADER_LENGTH), secretKey };
    }
    if (name === 'NegotiateProtocolVersion') this.negotiation = bytes;
    if (name === 'ParameterStatus') {
      const [parameter, value] = bytes.toString('utf8', HEADER_LENGTH).split('\0');
      this.parameters.set(parameter as string, value as string);
    }
    if (name === 'ErrorResponse') this.errors.push(parseErrorFields(bytes));
    if (name === 'NoticeResponse') {
      const fields = parseErrorFields(bytes);
      if (fields['M']?.startsWith('held for approval')) {
        this.heldNotices.push(fields);
        return;
      }
    }
    this.#inbox.push(answer);
  }

  async #when(condition: () => boolean, what: string): Promise<void> {
    while (!condition()) {
      if (this.#ended) throw new Error(`the connection ended before ${what}; it had said:\n${this.#heard()}`);
      await this.#pause(what);
    }
  }

  /** Until something happens on the connection. */
  #pause(what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`waited ${WAIT_MS} ms for ${what}; the server had said:\n${this.#heard()}`));
      }, WAIT_MS);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #heard(): string {
    return this.#seen.join('\n');
  }
}

/** The server's answer to a startup that it refuses. */
export class Refused extends Error {
  readonly fields: ErrorFields;

  constructor(fields: ErrorFields) {
    super(`${fields['S']} ${fields['C']}: ${fields['M']}`);
    this.fields = fields;
  }
}

/** A CancelRequest on a connection of its own; resolves when the other side has closed it. */
export async function cancelRequest(
  target: Pick<Connection, 'host' | 'port'>,
  { processId, secretKey }: { readonly processId: number; readonly secretKey: Buffer },
  options: WireOptions = {},
): Promise<void> {
  const client = await WireClient.dial(target, options);
  client.write(int32(12 + secretKey.length), int32(80877102), int32(processId), secretKey);
  await client.closed();
  client.socket.destroy();
}

/** An answer in one line: its name and what tests look at. */
function textOf({ name, bytes }: Answer): string {
  const body = bytes.subarray(HEADER_LENGTH);
  switch (name) {
    case 'ReadyForQuery':
      return `${name} ${body.toString('latin1')}`;
    case 'CommandComplete':
      return `${name} ${body.toString('utf8', 0, body.length - 1)}`;
    case 'ErrorResponse':
    case 'NoticeResponse': {
      const fields = parseErrorFields(bytes);
      return `${name} ${fields['C']} ${fields['M']}`;
    }
    case 'DataRow':
      return `${name} ${columnsOf(body).join('|')}`;
    case 'ParameterStatus':
      return `${name} ${body.toString('utf8', 0, body.length - 1).replace('\0', '=')}`;
    case 'CopyData':
      return `${name} ${body.toString('utf8').trimEnd()}`;
    default:
      return name;
  }
}

/** Text columns as they are; what is not text shows as whatever it is in UTF-8. */
function columnsOf(body: Buffer): string[] {
  const columns: string[] = [];
  let at = 2;
  for (let left = body.readInt16BE(0); left > 0; left--) {
    const length = body.readInt32BE(at);
    at += 4;
    columns.push(length < 0 ? 'NULL' : body.toString('utf8', at, at + Math.min(length, 100)));
    at += Math.max(length, 0);
  }
  return columns;
}
