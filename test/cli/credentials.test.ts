// `countersign token` and `countersign secret`: what they print works, and what they are told stays unseen.
import { PassThrough } from 'node:stream';
import type { Command } from 'commander';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { askNewPassword } from '../../src/cli/ask-password.ts';
import { secretCommand } from '../../src/cli/secret.ts';
import { tokenCommand } from '../../src/cli/token.ts';
import { Approvers } from '../../src/identity/approvers.ts';
import { formatScramSecret, makeScramSecret, parseScramSecret } from '../../src/wire/scram-secret.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

async function run(command: Command, ...args: string[]): Promise<string> {
  let printed = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    printed += String(chunk);
    return true;
  });
  await command.parseAsync(args, { from: 'user' });
  return printed;
}
/** The YAML from the line `key:` on. */
const configIn = (printed: string, key: string): unknown => parse(printed.slice(printed.indexOf(`${key}:`)));
const secretMatches = async (password: string, secret: string) =>
  formatScramSecret(await makeScramSecret(password, parseScramSecret(secret))) === secret;

describe('token', () => {
  it('prints a token and a config that knows it', async () => {
    const printed = await run(tokenCommand(), '--name', 'bob@example.com', '--groups', 'dba, on-call');
    const { approvers } = configIn(printed, 'approvers') as {
      approvers: Parameters<typeof Approvers.fromOptions>[0];
    };
    const token = /cs_\S+/.exec(printed)?.[0] ?? '';
    expect(Approvers.fromOptions(approvers).authenticate(token)).toMatchObject({
      name: 'bob@example.com',
      groups: ['dba', 'on-call'],
    });
    expect(printed.split(token)).toHaveLength(2);
  });

  it('prints JSON', async () => {
    const { token, config } = JSON.parse(await run(tokenCommand(), '--json', '--name', 'bob@example.com'));
    expect(Approvers.fromOptions([config]).authenticate(token)?.name).toBe('bob@example.com');
  });

  it('refuses a name that would break lines', async () => {
    await expect(run(tokenCommand(), '--name', 'a\nb')).rejects.toMatchObject({ code: 'usage' });
  });
});

describe('secret', () => {
  it('makes a password and its secret', async () => {
    const printed = await run(secretCommand(), 'reporting-bot', '--generate');
    const password = /^ {2}([A-Za-z0-9_-]{32})$/m.exec(printed)?.[1] ?? '';
    const { agents } = configIn(printed, 'agents') as { agents: { name: string; scram: string }[] };
    expect(agents[0]?.name).toBe('reporting-bot');
    expect(await secretMatches(password, agents[0]?.scram ?? '')).toBe(true);
  });

  it('prints JSON, with the iterations asked for', async () => {
    const printed = JSON.parse(await run(secretCommand(), '--generate', '--json', '--iterations', '5000'));
    expect(printed.scram).toMatch(/^SCRAM-SHA-256\$5000:/);
    expect(await secretMatches(printed.password, printed.scram)).toBe(true);
  });

  it('takes no password for an argument', async () => {
    const command = secretCommand()
      .exitOverride()
      .configureOutput({ writeErr: () => undefined });
    await expect(run(command, 'reporting-bot', 'hunter2')).rejects.toThrow();
    expect(command.options.map((option) => option.long)).not.toContain('--password');
  });

  it.each(['0', '4095', '1e9', 'many', '99999999999'])('refuses --iterations %s', async (iterations) => {
    await expect(run(secretCommand(), '--generate', '--iterations', iterations)).rejects.toMatchObject({
      code: 'usage',
    });
  });
});

describe('a password asked for', () => {
  function asked(typed: string | Buffer, terminal: boolean) {
    const input = Object.assign(new PassThrough(), { isTTY: terminal });
    const prompts = new PassThrough();
    let seen = '';
    prompts.setEncoding('utf8').on('data', (chunk: string) => {
      seen += chunk;
    });
    input.end(typed);
    return { answer: askNewPassword(input, prompts), seen: () => seen };
  }

  it('comes from a pipe, without its newline', async () => {
    const { answer, seen } = asked('correct horse \n', false);
    expect(await answer).toBe('correct horse ');
    expect(seen()).toBe('');
  });

  it('comes from a terminal, twice, and is not shown', async () => {
    const { answer, seen } = asked('hunter2\rhunter2\r', true);
    expect(await answer).toBe('hunter2');
    expect(seen()).toBe('Password: \nAgain: \n');
  });

  it.each<[string, string | Buffer, boolean]>([
    ['differs', 'hunter2\rhunter3\r', true],
    ['is broken off', 'hunter2\r', true],
    ['is broken off with Ctrl-C', 'hunter2\r\x03', true],
    ['is empty at the terminal', '\r\r', true],
    ['is empty', '\n', false],
    ['has two lines', 'a\nb\n', false],
    ['has a NUL', 'a\0b', false],
    ['is not UTF-8', Buffer.from([0x61, 0xff]), false],
    ['is too long', 'x'.repeat(70_000), false],
  ])('is refused when it %s', async (_what, typed, terminal) => {
    await expect(asked(typed, terminal).answer).rejects.toMatchObject({ code: 'usage' });
  });
});
