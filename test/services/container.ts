// The same kind of server as service.ts, as a container. Used wherever a Docker engine answers.
import { createWriteStream } from 'node:fs';
import { type RequestOptions, request } from 'node:http';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { GenericContainer, getContainerRuntimeClient } from 'testcontainers';
import type { Service } from './service.ts';
import { eventually } from './wait.ts';

const PING_TIMEOUT_MS = 2_000;

function ping(target: RequestOptions): Promise<boolean> {
  return new Promise((resolve) => {
    const call = request({ ...target, path: '/_ping', timeout: PING_TIMEOUT_MS }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    call.once('timeout', () => call.destroy());
    call.once('error', () => resolve(false));
    call.end();
  });
}

let answer: Promise<boolean> | null = null;

/** Whether a Docker engine answers. The command line tool alone, without an engine, is none. */
export function dockerAnswers(): Promise<boolean> {
  answer ??= (async () => {
    const host = process.env['DOCKER_HOST'];
    if (host?.startsWith('tcp://')) {
      const url = new URL(host);
      return ping({ host: url.hostname, port: url.port || '2375' });
    }
    const sockets = host?.startsWith('unix://')
      ? [host.slice('unix://'.length)]
      : [
          '/var/run/docker.sock',
          join(process.env['XDG_RUNTIME_DIR'] ?? '/nonexistent', 'docker.sock'),
          join(homedir(), '.docker/run/docker.sock'),
          join(homedir(), '.docker/desktop/docker.sock'),
        ];
    return (await Promise.all(sockets.map((socketPath) => ping({ socketPath })))).includes(true);
  })();
  return answer;
}

export interface ContainerOptions {
  readonly image: string;
  readonly command: readonly string[];
  readonly entrypoint: readonly string[] | null;
  readonly environment: Readonly<Record<string, string>>;
  readonly files: readonly { readonly target: string; readonly content: string }[];
  readonly port: number;
  /** Fixed by us, since Docker would choose another one at every restart. */
  readonly hostPort: number;
  readonly logFile: string;
  readonly answers: () => Promise<void>;
}

export async function startContainer(options: ContainerOptions): Promise<Service> {
  const description = new GenericContainer(options.image)
    .withCommand([...options.command])
    .withEnvironment({ ...options.environment })
    .withExposedPorts({ container: options.port, host: options.hostPort })
    .withCopyContentToContainer(options.files.map((file) => ({ ...file, mode: 0o644 })))
    .withLogConsumer((stream) => stream.pipe(createWriteStream(options.logFile, { flags: 'a' })));
  if (options.entrypoint !== null) description.withEntrypoint([...options.entrypoint]);
  const container = await description.start();
  const ready = (): Promise<unknown> =>
    eventually(options.answers, { timeoutMs: 60_000, what: `${options.image} answering` });
  await ready();

  const engine = (await getContainerRuntimeClient()).container;
  const handle = engine.getById(container.getId());
  const followLog = async (): Promise<void> => {
    const since = Math.floor(performance.timeOrigin + performance.now()) / 1000;
    const stream = await engine.logs(handle, { since });
    stream.pipe(createWriteStream(options.logFile, { flags: 'a' }));
  };
  return {
    pause: () => handle.pause(),
    resume: () => handle.unpause(),
    stop: () => handle.stop(),
    kill: () => handle.kill(),
    start: async () => {
      await handle.start();
      await followLog();
      await ready();
    },
    close: async () => {
      await container.stop();
    },
  };
}
