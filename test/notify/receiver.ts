// A webhook's receiver: a real HTTP server that keeps what it got and answers what it is told to.
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';

export interface Delivery {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly path: string;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Record<string, string>;
}

export class Receiver {
  readonly got: Delivery[] = [];
  /** One for each delivery to come, then 204 for ever. `hang`: never answers. */
  readonly replies: (Reply | 'hang')[] = [];
  readonly #server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      this.got.push({
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
        path: request.url ?? '',
      });
      const reply = this.replies.shift() ?? { status: 204 };
      if (reply !== 'hang') response.writeHead(reply.status, reply.headers).end();
    });
  });
  url = '';

  async open(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const bound = this.#server.address();
    this.url = `http://127.0.0.1:${bound !== null && typeof bound === 'object' ? bound.port : 0}/hook?key=sesame`;
    return this;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** type and state of each delivery, in order. */
  story(): string[] {
    return this.got.map(({ body }) => {
      const { type, data } = JSON.parse(body) as { type: string; data: { state: string } };
      return `${type} ${data.state}`;
    });
  }
}
