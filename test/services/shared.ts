// What all test files of one run share: one Postgres, one Redis, one build of the command line.
// Each is started when the first test asks for it, so a run of pure tests starts nothing. setup.ts answers here.
import { connect } from 'node:net';
import { inject } from 'vitest';
import type { PostgresAddress } from './postgres.ts';
import type { RedisAddress } from './redis.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Path of the socket on which setup.ts hands out what is shared. */
    servicesSocket: string;
  }
}

export interface Shared {
  postgres: PostgresAddress;
  redis: RedisAddress;
  /** The compiled src/cli/main.js. */
  build: { readonly main: string };
}

const asked = new Map<keyof Shared, Promise<unknown>>();

function ask<Name extends keyof Shared>(name: Name): Promise<Shared[Name]> {
  const known = asked.get(name) ?? request(name);
  asked.set(name, known);
  return known as Promise<Shared[Name]>;
}

function request(name: keyof Shared): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connect(inject('servicesSocket'), () => socket.write(`${name}\n`));
    let text = '';
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      text += chunk;
    });
    socket.once('error', reject);
    socket.once('end', () => {
      const answer: { value?: unknown; error?: string } = JSON.parse(text);
      if (answer.error === undefined) resolve(answer.value);
      else reject(new Error(answer.error));
    });
  });
}

export const sharedPostgres = (): Promise<PostgresAddress> => ask('postgres');
export const sharedRedis = (): Promise<RedisAddress> => ask('redis');
export const builtCli = (): Promise<{ readonly main: string }> => ask('build');
