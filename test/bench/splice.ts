// The floor for naïve Node: every byte of one socket piped to the other, both ways, nothing read. A process of its own,
// so that the system's account of its processor time is that of the splice alone: `splice.ts LISTEN_PORT UPSTREAM_PORT`.
import { connect, createServer } from 'node:net';

const [listenPort, upstreamPort] = process.argv.slice(2).map(Number);

createServer({ noDelay: true }, (client) => {
  const server = connect({ host: '127.0.0.1', port: upstreamPort!, noDelay: true });
  client.pipe(server).pipe(client);
  // Whichever side breaks, the other one has nobody left to talk to.
  client.on('error', () => server.destroy());
  server.on('error', () => client.destroy());
}).listen(listenPort, '127.0.0.1');
