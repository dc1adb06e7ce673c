// A TCP relay between a store and its Redis, which loses what a network loses: a reply, or everything from now on.
import { connect, createServer, type Socket } from 'node:net';

export interface Link {
  readonly url: string;
  /** The next reply after a command whose bytes contain `text` is not passed on; the connection breaks instead. */
  loseReplyTo(text: string): void;
  /** How many replies were lost. */
  lost(): number;
  /** Connections that have sent `text` hear nothing any more, and are not closed; how many. New ones are sound. */
  goSilent(text: string): number;
  close(): Promise<void>;
}

export async function openLink(port: number): Promise<Link> {
  const sockets = new Map<Socket, { sent: string; silent: boolean }>();
  let losing: string | null = null;
  let lost = 0;
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    const state = { sent: '', silent: false };
    let cut = false;
    sockets.set(client, state);
    client.on('data', (bytes) => {
      const text = bytes.toString('latin1');
      state.sent += text;
      if (losing !== null && text.includes(losing)) {
        losing = null;
        cut = true;
      }
      upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      if (state.silent) return;
      if (!cut) {
        client.write(bytes);
        return;
      }
      lost++;
      client.destroy();
    });
    for (const [one, two] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on('error', () => {});
      one.on('close', () => {
        sockets.delete(client);
        two.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no TCP address');
  return {
    url: `redis://127.0.0.1:${address.port}`,
    loseReplyTo: (text) => {
      losing = text;
    },
    lost: () => lost,
    goSilent: (text) => {
      const silenced = [...sockets.values()].filter((state) => state.sent.includes(text));
      for (const state of silenced) state.silent = true;
      return silenced.length;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const client of sockets.keys()) client.destroy();
      }),
  };
}
