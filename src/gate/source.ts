// Pulls bytes from a socket while a connection is being set up, when each side speaks in turn. What it does not take
// stays in the socket, so whoever listens for `data` afterwards, or upgrades to TLS, misses nothing and gets nothing twice.
import type { Duplex } from 'node:stream';
import { CountersignError } from '../base/errors.ts';
import { Frame, HEADER_LENGTH } from '../wire/frames.ts';

/** Rejects with `protocol_violation` when the stream ends first, or with the socket's own error. */
export function readBytes(socket: Duplex, count: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      socket.off('readable', look);
      socket.off('end', onEnd);
      socket.off('close', onEnd);
      socket.off('error', onError);
      act();
    };
    const look = (): void => {
      const bytes: Buffer | null = socket.read(count);
      if (bytes === null) return;
      settle(() =>
        bytes.length === count
          ? resolve(bytes)
          : reject(new CountersignError('protocol_violation', 'unexpected end of stream')),
      );
    };
    const onEnd = (): void =>
      settle(() =>
        reject(new CountersignError('protocol_violation', 'the connection was closed during start-up')),
      );
    const onError = (error: Error): void => settle(() => reject(error));
    if (socket.destroyed || socket.readableEnded) return onEnd();
    socket.on('readable', look);
    socket.on('end', onEnd);
    socket.on('close', onEnd);
    socket.on('error', onError);
    look();
  });
}

/**
 * Destroys a socket that is about to end, unless it has closed by itself by then. Not `setTimeout` of the socket: that
 * one begins again with every byte, so whoever goes on talking would stay.
 */
export function closeWithin(socket: Duplex, limitMs: number): void {
  const timer = setTimeout(() => socket.destroy(), limitMs);
  socket.once('close', () => clearTimeout(timer));
}

/** One tagged message of at most `maxLength` bytes, header included. */
export async function readFrame(socket: Duplex, maxLength: number): Promise<Frame> {
  const header = await readBytes(socket, HEADER_LENGTH);
  const bodyLength = header.readUInt32BE(1) - 4;
  if (bodyLength < 0 || bodyLength + HEADER_LENGTH > maxLength) {
    throw new CountersignError('protocol_violation', 'invalid message length');
  }
  const body = bodyLength === 0 ? Buffer.alloc(0) : await readBytes(socket, bodyLength);
  return new Frame(Buffer.concat([header, body]));
}
