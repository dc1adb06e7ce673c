// A TCP relay in front of the database server that can break in the middle of what the server says, as a network or a
// server that is killed does.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { sharedPostgres } from './shared.ts';

export interface Link {
  readonly port: number;
  /** Every connection breaks once so many more bytes have come from the server; those before still arrive. */
  cutAfter(bytes: number): void;
  close(): void;
}

export async function linkToPostgres(): Promise<Link> {
  const { host, port } = await sharedPostgres();
  let left = Number.POSITIVE_INFINITY;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(port, host);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.pipe(upstream);
    upstream.on('data', (chunk: Buffer) => {
      const passed = chunk.subarray(0, left);
      left -= passed.length;
      if (left > 0) client.write(passed);
      else client.end(passed, () => client.destroy());
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    cutAfter: (bytes) => {
      left = bytes;
    },
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
