// A real Redis for tests: the one named in TEST_REDIS_URL, a container, or a process of this machine, in that order.
import { connect } from 'node:net';
import { dockerAnswers, startContainer } from './container.ts';
import { freePort, tempDir } from './places.ts';
import { program } from './programs.ts';
import { type Service, startProcess } from './service.ts';

const REDIS_IMAGE = 'redis:7-alpine';

export interface RedisAddress {
  readonly host: string;
  readonly port: number;
  readonly url: string;
}

export interface RedisServer extends Service {
  readonly address: RedisAddress;
}

/** What TEST_REDIS_URL names, or null. */
export function redisFromEnvironment(): RedisAddress | null {
  const url = process.env['TEST_REDIS_URL'];
  if (!url) return null;
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port || 6379), url };
}

/** Resolves when a Redis on this port says PONG. */
function pong(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    socket.setTimeout(1_000, () => socket.destroy(new Error('no answer to PING')));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed before PONG')));
    socket.once('data', (data) => {
      socket.destroy();
      if (data.toString('latin1').startsWith('+PONG')) resolve();
      else reject(new Error(`PING was answered with ${JSON.stringify(data.toString('latin1'))}`));
    });
  });
}

/** A Redis of the caller's own, for tests that stop, pause or kill it. Keeps its data over kill (append-only file). */
export async function startRedis(): Promise<RedisServer> {
  const port = await freePort();
  const folder = tempDir('redis');
  const logFile = `${folder}/redis.log`;
  const settings = ['--save', '', '--appendonly', 'yes', '--appendfsync', 'always'];
  const answers = (): Promise<void> => pong(port);
  const service = (await dockerAnswers())
    ? await startContainer({
        image: REDIS_IMAGE,
        command: ['redis-server', ...settings],
        entrypoint: null,
        environment: {},
        files: [],
        port: 6379,
        hostPort: port,
        logFile,
        answers,
      })
    : await startProcess({
        command: program('redis-server'),
        args: ['--bind', '127.0.0.1', '--port', String(port), '--dir', folder, ...settings],
        folder,
        logFile,
        user: null,
        stopSignal: 'SIGTERM',
        answers,
      });
  return { ...service, address: { host: '127.0.0.1', port, url: `redis://127.0.0.1:${port}` } };
}
