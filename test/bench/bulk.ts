// A million rows by COPY … TO STDOUT: how fast bytes are relayed when there is nothing to judge but the first statement.
// Only targets that let an export pass without a person take part.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { program } from '../services/programs.ts';
import type { Bench, Part } from './part.ts';
import { cpuUs } from './process.ts';
import type { Reading } from './readings.ts';
import { BULK_ROWS, clientEnvironment, type Login } from './server.ts';
import type { RunningTarget } from './targets.ts';

const run = promisify(execFile);
const COPIES = 3;
const COPY_TIMEOUT_MS = 120_000;

export const BULK_CASE = `COPY out, ${BULK_ROWS.toLocaleString('en-US')} rows`;

export const bulk: Part = {
  title: 'bulk relay',
  async round({ server, targets, say }: Bench): Promise<Reading[]> {
    const running: RunningTarget[] = [];
    for (const target of targets) if (target.exports) running.push(await target.start());
    const readings: Reading[] = [];
    const megabytes = server.bulkBytes / 1e6;
    // The first copies warm up: the table comes into memory, and the proxies' hot code is compiled.
    for (let copy = 0; copy <= COPIES; copy += 1) {
      for (const target of running) {
        say(`${BULK_CASE}: ${target.name}`);
        const { proxy } = target;
        const spentUs = (): number => (proxy === null ? 0 : cpuUs(proxy.pid));
        const before = spentUs();
        const seconds = await copyOut(target, server.login);
        const cpuUsPerMegabyte = (spentUs() - before) / megabytes;
        if (copy === 0) continue;
        readings.push({
          case: BULK_CASE,
          target: target.name,
          values: {
            megabytesPerSecond: megabytes / seconds,
            ...(proxy === null ? {} : { cpuUsPerMegabyte }),
          },
        });
      }
    }
    for (const target of running) await target.stop();
    return readings;
  },
};

/** Seconds that the COPY took by psql's own clock, without its start and login. */
async function copyOut(target: RunningTarget, login: Login): Promise<number> {
  const commands = ['\\timing on', '\\o /dev/null', 'COPY bulk TO STDOUT'];
  const args = ['-X', '-q', '-v', 'ON_ERROR_STOP=1', ...commands.flatMap((command) => ['-c', command])];
  const { stdout, stderr } = await run(program('psql'), args, {
    env: clientEnvironment(login, target.host, target.port),
    timeout: COPY_TIMEOUT_MS,
  });
  const milliseconds = /^Time: ([\d.]+) ms/m.exec(stdout)?.[1];
  if (milliseconds === undefined)
    throw new Error(`psql through ${target.name} said no time: ${stdout}${stderr}`);
  return Number(milliseconds) / 1000;
}
