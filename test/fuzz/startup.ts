// Connections that never become a session, or only if everything about them is right: packets, TLS and the SASL exchange
// bent before anybody has proved anything.
import { connect as connectTls, TLSSocket } from 'node:tls';
import { serialize } from 'pg-protocol';
import { int32 } from '../../src/base/bytes.ts';
import { BACKEND } from '../../src/wire/backend.ts';
import { HEADER_LENGTH } from '../../src/wire/frames.ts';
import { clientFinal, startClientExchange } from '../../src/wire/scram-client.ts';
import { startupPacket } from '../live/wire-client.ts';
import { AGENT, CA } from './ground.ts';
import { Line, type Place } from './line.ts';
import { query } from './messages.ts';
import { play } from './play.ts';
import type { Random } from './random.ts';

/** limits.startup and limits.authentication, the slowest answer to a failed login, and a busy machine. */
const CLOSED_MS = 30_000;
const NONCE_LENGTH = 18;

export interface Attempt {
  readonly messages: number;
  /** What must not be, or null. */
  readonly fault: string | null;
}

const SSL_REQUEST = serialize.requestSsl();
const GSSENC_REQUEST = Buffer.concat([int32(8), int32(80877104)]);

const packets = (marker: string): readonly (readonly [number, Buffer])[] => {
  const own = { user: AGENT.user, database: 'arena', application_name: marker };
  return [
    [10, startupPacket(own)],
    [2, startupPacket(own, 0x0003_0002)],
    [1, startupPacket({ ...own, '_pq_.later': '1' }, 0x0003_0002)],
    [1, startupPacket(own, 0x0002_0000)],
    [1, startupPacket({ ...own, replication: 'database' })],
    [1, startupPacket({ ...own, options: '-c standard_conforming_strings=off' })],
    [1, startupPacket({ ...own, options: '-c work_mem=4MB --TimeZone=UTC' })],
    [1, startupPacket({ ...own, client_encoding: 'SJIS' })],
    [1, startupPacket({ ...own, user: 'nobody' })],
    [1, startupPacket({ ...own, database: 'twin_99' })],
    [1, Buffer.concat([int32(16), int32(80877102), int32(1234), int32(5678)])],
    [1, SSL_REQUEST],
    [1, GSSENC_REQUEST],
    [1, query('SELECT 1')],
    [1, Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    [1, Buffer.from([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3])],
  ];
};

function bent(bytes: Buffer, random: Random): Buffer {
  const copy = Buffer.from(bytes);
  switch (random.below(6)) {
    case 0:
      return copy.subarray(0, random.below(copy.length));
    case 1:
      return Buffer.concat([copy, random.bytes(random.between(1, 20))]);
    case 2:
      return Buffer.concat([copy, copy]);
    case 3:
      return random.bytes(random.between(1, 40));
    default: {
      const at = random.below(copy.length);
      copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8));
      return copy;
    }
  }
}

/** One connection, from its first byte to its end. */
export async function attempt(place: Place, marker: string, random: Random): Promise<Attempt> {
  const line = await Line.dial(random.chance(25) ? { ...place, ca: CA } : place);
  const plan = {
    packet: random.chance(40),
    first: random.chance(20),
    final: random.chance(20),
    password: random.chance(15),
    vanish: random.chance(10) ? random.below(3) : null,
  };
  let messages = 1;
  let ready = false;
  let altered = false;
  /** Bytes behind the last right message: a session, once there is one, reads them as its first. */
  let trailing = false;
  let answering = Promise.resolve();
  const say = (right: Buffer, bend: boolean): void => {
    messages++;
    const bytes = bend ? bent(right, random) : right;
    if (!bytes.subarray(0, right.length).equals(right)) altered = true;
    else if (bytes.length > right.length) trailing = true;
    line.socket.write(bytes);
  };
  // Of the script, so that the bytes are the same every time.
  const exchange = startClientExchange(random.bytes(NONCE_LENGTH));
  line.onFrame = ({ tag, bytes }) => {
    if (tag === BACKEND.ReadyForQuery) ready = true;
    if (tag !== BACKEND.Authentication) return;
    const code = bytes.readInt32BE(HEADER_LENGTH);
    const data = Buffer.from(bytes.subarray(HEADER_LENGTH + 4));
    if (code === 10) {
      say(serialize.sendSASLInitialResponseMessage('SCRAM-SHA-256', exchange.message), plan.first);
      if (plan.vanish === 1) line.socket.destroy();
    }
    if (code === 11) {
      const password = plan.password ? 'not the password' : AGENT.password;
      if (plan.password) altered = true;
      answering = clientFinal(exchange, password, data).then(
        ({ message }) => {
          say(serialize.sendSCRAMClientFinalMessage(message), plan.final);
          if (plan.vanish === 2) line.socket.destroy();
        },
        // The proxy answered a bent message with something that makes no sense. So be it.
        () => void line.socket.destroy(),
      );
    }
  };
  try {
    for (let times = random.chance(20) ? random.between(1, 2) : 0; times > 0; times--) {
      line.bare++;
      line.socket.write(random.pick([SSL_REQUEST, GSSENC_REQUEST]));
      messages++;
      await line.quiet(5);
    }
    const packet = random.weighted(packets(marker));
    const sent = plan.packet ? bent(packet, random) : packet;
    const cut = random.below(sent.length + 1);
    if (random.chance(20)) {
      line.socket.write(sent.subarray(0, cut));
      await line.quiet(2);
      line.socket.write(sent.subarray(cut));
    } else line.socket.write(sent);
    if (random.chance(5)) hello(line);
    if (plan.vanish === 0) line.socket.destroy();
    // A packet that was begun and never ended is ended by the time limit, or by us.
    if (random.chance(50)) {
      await line.quiet(50);
      if (!ready) line.socket.end();
    }
    await line.until(() => ready || line.closed, CLOSED_MS, 'the end of a connection that did not log in');
    await answering;
    if (!ready) return { messages, fault: null };
    if (altered) return { messages, fault: 'a bent exchange, or a wrong password, was let in' };
    await play(line, trailing ? [{ do: 'half-close' }] : [], { place });
    return { messages, fault: null };
  } finally {
    line.socket.destroy();
  }
}

/** The header of a record with a ClientHello, and nothing in it (RFC 8446, 5.1). */
const HANDSHAKE_RECORD = Buffer.from('16030100050100000100', 'hex');

/** A TLS handshake where none may stand. */
function hello(line: Line): void {
  // Node itself dies of a handshake within TLS that has a write under way: the beginning of one must do there.
  if (line.socket instanceof TLSSocket || line.socket.writableLength > 0) {
    line.socket.write(HANDSHAKE_RECORD);
    return;
  }
  const secured = connectTls({ socket: line.socket, host: '127.0.0.1', rejectUnauthorized: false });
  secured.on('error', () => {});
}
