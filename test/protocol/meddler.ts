// A relay between the proxy and its server that can say something in the server's name, or lose the server: what a real
// one does seldom and at no time that a test could choose.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

interface Line {
  /** To the proxy. */
  readonly near: Socket;
  readonly far: Socket;
}

export class Meddler {
  readonly #server: Server;
  readonly #lines: Line[] = [];

  private constructor(server: Server) {
    this.#server = server;
  }

  static async open(upstreamPort: number): Promise<Meddler> {
    const server = createServer({ noDelay: true, allowHalfOpen: true });
    const meddler = new Meddler(server);
    server.on('connection', (near) => {
      const far = connect({ host: '127.0.0.1', port: upstreamPort, noDelay: true, allowHalfOpen: true });
      near.pipe(far).pipe(near);
      near.on('error', () => far.destroy());
      far.on('error', () => near.destroy());
      meddler.#lines.push({ near, far });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return meddler;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The connection that was opened last. */
  newest(): { say(...messages: readonly Buffer[]): void; cut(): void } {
    const { near, far } = this.#lines.at(-1) as Line;
    return {
      say: (...messages) => near.write(Buffer.concat(messages)),
      cut: () => {
        near.resetAndDestroy();
        far.destroy();
      },
    };
  }

  async close(): Promise<void> {
    for (const { near, far } of this.#lines) for (const socket of [near, far]) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
