// Lets a server close promptly: Node itself waits for connections that were opened and never used, as browsers do.
import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** Watches `server` from now on. The function returned destroys every connection that no request is being answered on. */
export function trackConnections(server: Server): () => void {
  const unused = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    unused.add(socket);
    socket.once('close', () => unused.delete(socket));
  });
  server.on('request', (request, response) => {
    const { socket } = request;
    unused.delete(socket);
    response.once('close', () => {
      if (!socket.destroyed) unused.add(socket);
    });
  });
  return () => {
    for (const socket of unused) socket.destroy();
  };
}
