// Runs Countersign itself as its users do: a process with a config file, ports, and an exit code.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { PROJECT, tempDir } from './places.ts';
import { builtCli } from './shared.ts';
import { eventually } from './wait.ts';

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly stdin?: string;
  /** The compiled src/cli/main.js; without, the one that the test files of a run share. */
  readonly main?: string;
  /** No file of the process may grow beyond this: how a full disk looks to it. */
  readonly fileBytesMax?: number;
}

/** In units of 512 bytes, as POSIX has it. Node ignores SIGXFSZ, so a write that goes beyond fails with EFBIG. */
const LIMITED = 'ulimit -f "$1" && shift && exec "$@"';

async function launch(args: readonly string[], options: RunOptions): Promise<ChildProcess> {
  const main = options.main ?? (await builtCli()).main;
  const command = [process.execPath, '--enable-source-maps', main, ...args];
  const limit = options.fileBytesMax;
  const [program = '', ...programArgs] =
    limit === undefined
      ? command
      : ['/bin/sh', '-c', LIMITED, 'sh', String(Math.floor(limit / 512)), ...command];
  const child = spawn(program, programArgs, {
    cwd: options.cwd ?? PROJECT,
    env: { PATH: process.env['PATH'], NO_COLOR: '1', ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  // A test that fails half-way must leave no process behind.
  const end = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', end);
  child.once('exit', () => process.off('exit', end));
  child.stdin?.on('error', () => {});
  return child;
}

function collect(child: ChildProcess): { stdout: string; stderr: string } {
  const output = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    output.stdout += chunk;
  });
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    output.stderr += chunk;
  });
  return output;
}

/** Runs one command to its end. */
export async function countersign(args: readonly string[], options: RunOptions = {}): Promise<CliResult> {
  const child = await launch(args, options);
  const output = collect(child);
  child.stdin?.end(options.stdin ?? '');
  await once(child, 'close');
  return { code: child.exitCode, ...output };
}

export interface RunningCountersign {
  readonly host: string;
  /** The port that agents connect to. */
  readonly port: number;
  /** Port of the HTTP API; null when the config has none. */
  readonly httpPort: number | null;
  readonly pid: number;
  /** Folder of the config file; relative paths in the config are found from the config's folder or from here. */
  readonly folder: string;
  readonly configFile: string;
  stdout(): string;
  stderr(): string;
  signal(signal: NodeJS.Signals): void;
  /** SIGTERM, then the exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL: no chance to finish anything. */
  kill9(): Promise<void>;
  /** Waits for it to end by itself. */
  exited(): Promise<number | null>;
}

export interface StartOptions extends RunOptions {
  /** Where the config file goes and the process runs: give the same again to start anew on what the last one left. */
  readonly folder?: string;
  readonly args?: readonly string[];
}

/** What `serve` prints on stdout when it accepts connections. */
interface ReadyLine {
  readonly ready: true;
  readonly listen: { readonly host: string; readonly port: number };
  readonly http?: { readonly host: string; readonly port: number } | null;
}

const CONFIG_FILE = 'countersign.yaml';

/**
 * Starts `serve` with a config (an object, or YAML as text) and returns once it accepts connections.
 * Port 0 in the config takes a free one. When it ends instead, the error holds what it printed.
 */
export async function startCountersign(
  config: object | string,
  options: StartOptions = {},
): Promise<RunningCountersign> {
  const folder = options.folder ?? tempDir('serve');
  const configFile = join(folder, CONFIG_FILE);
  writeFileSync(configFile, typeof config === 'string' ? config : stringify(config), { mode: 0o600 });
  const child = await launch(['serve', '--config', configFile, ...(options.args ?? [])], {
    cwd: folder,
    ...options,
  });
  const output = collect(child);
  const closed = once(child, 'close');
  child.stdin?.end();
  try {
    const ready = await eventually(
      () => {
        if (child.exitCode !== null || child.signalCode !== null) return 'ended';
        return readyLine(output.stdout) ?? false;
      },
      { timeoutMs: 30_000, what: 'countersign serve being ready' },
    );
    if (ready === 'ended') {
      await closed;
      throw new Error(`countersign serve ended (${child.exitCode}):\n${output.stdout}${output.stderr}`);
    }
    return {
      ...ready.listen,
      httpPort: ready.http?.port ?? null,
      pid: child.pid!,
      folder,
      configFile,
      stdout: () => output.stdout,
      stderr: () => output.stderr,
      signal: (signal) => {
        child.kill(signal);
      },
      stop: async () => {
        child.kill('SIGTERM');
        await closed;
        return child.exitCode;
      },
      kill9: async () => {
        child.kill('SIGKILL');
        await closed;
      },
      exited: async () => {
        await closed;
        return child.exitCode;
      },
    };
  } catch (error) {
    child.kill('SIGKILL');
    throw new Error(`countersign serve did not start:\n${output.stdout}${output.stderr}`, { cause: error });
  }
}

function readyLine(stdout: string): ReadyLine | null {
  const line = stdout.split('\n').find((text) => text.startsWith('{"ready":true'));
  return line === undefined ? null : (JSON.parse(line) as ReadyLine);
}
