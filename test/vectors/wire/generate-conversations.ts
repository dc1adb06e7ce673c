// Fills in conversations.json what a real Postgres answers. To be run by hand when a conversation is added or a new
// major version comes out: node --import tsx test/vectors/wire/generate-conversations.ts HOST PORT USER (a server that trusts USER).
// A step is [message, answers, result]. Only the answers are written, those that come before the next message is sent;
// the result, what the message comes to (null where it has none of its own), is reasoned out by a person and stays.
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { serialize } from 'pg-protocol';
import { mustFail } from '../../../src/gate/refusal.ts';
import { BACKEND, parseErrorFields } from '../../../src/wire/backend.ts';
import { FrameReader } from '../../../src/wire/frames.ts';

type Sent = readonly [string, ...(string | number)[]];
interface Conversation {
  what: string;
  steps: [Sent, string[], string | null][];
}

const FILE = new URL('./conversations.json', import.meta.url);
/** Nothing came for so long: the server waits for us. */
const QUIET_MS = 80;

const SETUP = `
  DROP SCHEMA IF EXISTS conversation CASCADE;
  CREATE SCHEMA conversation;
  SET search_path TO conversation;
  CREATE TABLE plain (id int PRIMARY KEY);
  INSERT INTO plain VALUES (1), (2), (3);
  CREATE TABLE parent (id int PRIMARY KEY);
  CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
  CREATE TABLE copied (id int);
  CREATE TABLE barred (id int);
  CREATE FUNCTION bar() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''barred''; END';
  CREATE TRIGGER bar BEFORE INSERT ON barred FOR EACH STATEMENT EXECUTE FUNCTION bar();`;

function encode([kind, first = '', second = '', third = '']: Sent): Buffer {
  const [a, b] = [String(first), String(second)];
  switch (kind) {
    case 'Query':
      return serialize.query(a);
    case 'Parse':
      return serialize.parse({ name: a, text: b });
    case 'Bind':
      return serialize.bind({ portal: a, statement: b, values: [] });
    case 'Describe':
      return serialize.describe({ type: a === 'S' ? 'S' : 'P', name: b });
    case 'Close':
      return serialize.close({ type: a === 'S' ? 'S' : 'P', name: b });
    case 'Execute':
      return serialize.execute({ portal: a, rows: Number(second) });
    case 'Sync':
      return serialize.sync();
    case 'Flush':
      return serialize.flush();
    case 'CopyData':
      return serialize.copyData(Buffer.from(a));
    case 'CopyDone':
      return serialize.copyDone();
    case 'CopyFail':
      return serialize.copyFail(a);
    case 'FunctionCall': // OID and two int4 in binary
      return functionCall(Number(first), Number(second), Number(third));
    case 'refused Execute':
      return mustFail('extended').bytes;
    case 'refused Query':
      return mustFail('simple').bytes;
    case 'refused FunctionCall':
      return mustFail('function call').bytes;
    default:
      throw new Error(`no such message: ${kind}`);
  }
}

function functionCall(oid: number, one: number, other: number): Buffer {
  const frame = Buffer.alloc(33);
  frame.write('F', 0, 'latin1');
  frame.writeInt32BE(32, 1);
  frame.writeInt32BE(oid, 5);
  frame.writeInt16BE(1, 9);
  frame.writeInt16BE(1, 11);
  frame.writeInt16BE(2, 13);
  frame.writeInt32BE(4, 15);
  frame.writeInt32BE(one, 19);
  frame.writeInt32BE(4, 23);
  frame.writeInt32BE(other, 27);
  frame.writeInt16BE(1, 31);
  return frame;
}

/** `E 22012`, `C INSERT 0 1`, `Z I`; of every other message its tag. */
function shown(tag: number, bytes: Buffer): string {
  const letter = String.fromCharCode(tag);
  if (tag === BACKEND.ErrorResponse) {
    const fields = parseErrorFields(bytes);
    return `${fields['V'] === 'ERROR' ? 'E' : fields['V']} ${fields['C']}`;
  }
  if (tag === BACKEND.CommandComplete) return `C ${bytes.toString('utf8', 5, bytes.length - 1)}`;
  return tag === BACKEND.ReadyForQuery ? `Z ${bytes.toString('latin1', 5)}` : letter;
}

async function speak(messages: readonly Buffer[], host: string, port: number): Promise<string[][]> {
  const socket = connect({ host, port });
  const reader = new FrameReader(1 << 24);
  let answers: string[] = [];
  let heard = (): void => {};
  socket.on('data', (chunk: Buffer) => {
    reader.push(chunk);
    for (let frame = reader.next(); frame !== null; frame = reader.next()) {
      answers.push(shown(frame.tag, frame.bytes));
    }
    heard();
  });
  const all: string[][] = [];
  for (const bytes of messages) {
    answers = [];
    socket.write(bytes);
    await new Promise<void>((resolve) => {
      let timer = setTimeout(resolve, QUIET_MS);
      heard = () => {
        clearTimeout(timer);
        timer = setTimeout(resolve, QUIET_MS);
      };
    });
    all.push(answers);
  }
  socket.destroy();
  return all;
}

const [host = '127.0.0.1', port = '5432', user = 'postgres'] = process.argv.slice(2);
const startup = serialize.startup({ user, database: 'postgres' });
const conversations = JSON.parse(readFileSync(FILE, 'utf8')) as Conversation[];
for (const { steps } of conversations) {
  // A Flush behind each, so that the server keeps nothing back.
  const messages = steps.map(([message]) => Buffer.concat([encode(message), serialize.flush()]));
  const heard = await speak([startup, serialize.query(SETUP), ...messages], host, Number(port));
  steps.forEach((step, i) => {
    step[1] = heard[i + 2] ?? [];
  });
}
const lines = conversations.map(({ what, steps }) => {
  const said = steps.map((step) => `    ${JSON.stringify(step)}`).join(',\n');
  return `  { "what": ${JSON.stringify(what)}, "steps": [\n${said}\n  ] }`;
});
writeFileSync(FILE, `[\n${lines.join(',\n')}\n]\n`);
