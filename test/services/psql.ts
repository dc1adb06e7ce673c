// Runs the real psql, to the end or in a conversation.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { program } from './programs.ts';
import { eventually } from './wait.ts';

export interface Connection {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** disable, require, verify-full …; disable unless given. */
  readonly sslmode?: string;
  /** Further variables of libpq: PGSSLROOTCERT, PGOPTIONS, PGAPPNAME … */
  readonly env?: Readonly<Record<string, string>>;
}

export interface PsqlResult {
  /** 0 done, 1 psql's own error, 2 connection lost, 3 a script's statement failed under ON_ERROR_STOP. Null: by signal. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(connection: Connection, args: readonly string[]): ChildProcessWithoutNullStreams {
  return spawn(program('psql'), ['--no-psqlrc', '--no-password', ...args], {
    env: {
      PATH: process.env['PATH'],
      // A home without .pgpass and certificates: what decides is what the test says.
      HOME: '/nonexistent',
      PGHOST: connection.host,
      PGPORT: String(connection.port),
      PGUSER: connection.user,
      PGPASSWORD: connection.password,
      PGDATABASE: connection.database,
      PGSSLMODE: connection.sslmode ?? 'disable',
      PGGSSENCMODE: 'disable',
      PGCONNECT_TIMEOUT: '10',
      LC_ALL: 'C.UTF-8',
      ...connection.env,
    },
  });
}

/** Runs psql to its end. Output is unaligned tuples only unless `args` say else. */
export async function psql(
  connection: Connection,
  args: readonly string[],
  { stdin = '' }: { readonly stdin?: string } = {},
): Promise<PsqlResult> {
  const child = start(connection, ['-qAt', ...args]);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
  });
  child.stdin.on('error', () => {});
  child.stdin.end(stdin);
  await once(child, 'close');
  return { code: child.exitCode, stdout, stderr };
}

export interface PsqlSession {
  /** Everything that psql has printed so far, both streams in order of arrival. */
  readonly output: () => string;
  send(line: string): void;
  /** Waits until `pattern` occurs in what was printed since the last match; returns the match. */
  expect(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray>;
  /** Ctrl-C: psql sends a CancelRequest for the statement that runs and, as its input is a pipe, then ends with 3. */
  interrupt(): void;
  /** Vanishes without a Terminate message. */
  kill(): void;
  /** Ends the input and waits for psql to end. */
  end(): Promise<number | null>;
}

/** A conversation with psql over pipes. */
export function psqlSession(connection: Connection, args: readonly string[] = []): PsqlSession {
  const child = start(connection, ['-At', ...args]);
  const closed = once(child, 'close');
  let output = '';
  let seen = 0;
  const take = (chunk: string): void => {
    output += chunk;
  };
  child.stdout.setEncoding('utf8').on('data', take);
  child.stderr.setEncoding('utf8').on('data', take);
  child.stdin.on('error', () => {});
  return {
    output: () => output,
    send: (line) => {
      child.stdin.write(`${line}\n`);
    },
    expect: (pattern, timeoutMs = 10_000) =>
      eventually(
        () => {
          const match = new RegExp(pattern.source, pattern.flags.replace('g', '')).exec(output.slice(seen));
          if (match === null) throw new Error(`psql printed so far:\n${output}`);
          seen += match.index + match[0].length;
          return match;
        },
        { timeoutMs, what: `${pattern} from psql` },
      ),
    interrupt: () => {
      child.kill('SIGINT');
    },
    kill: () => {
      child.kill('SIGKILL');
    },
    end: async () => {
      child.stdin.end();
      await closed;
      return child.exitCode;
    },
  };
}
