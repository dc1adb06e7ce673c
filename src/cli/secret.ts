// `countersign secret`: the SCRAM secret of an agent's password, for the config. The password itself is kept nowhere.
import { Command } from 'commander';
import { CountersignError } from '../base/errors.ts';
import { randomSecret } from '../base/ids.ts';
import { isName } from '../identity/agent-identity.ts';
import {
  DEFAULT_ITERATIONS,
  formatScramSecret,
  MAX_ITERATIONS,
  makeScramSecret,
} from '../wire/scram-secret.ts';
import { askNewPassword } from './ask-password.ts';

interface Options {
  readonly generate?: true;
  readonly iterations: string;
  readonly json?: true;
}

const GENERATED_BYTES = 24;

export function secretCommand(): Command {
  return new Command('secret')
    .description("make the SCRAM secret of an agent's password; asks for it, or reads it from standard input")
    .argument('[name]', "the agent's name, to print its whole line of the config")
    .option('--generate', 'make a password too, and show it this once')
    .option('--iterations <number>', 'how slow guessing is made', String(DEFAULT_ITERATIONS))
    .option('--json', 'print one JSON object')
    .action(async (name: string | undefined, options: Options) => {
      if (name !== undefined && !isName(name)) {
        throw new CountersignError(
          'usage',
          'a name may not be empty, nor have control characters or blank ends',
        );
      }
      const iterations = iterationsOf(options);
      const generated = options.generate ? randomSecret(GENERATED_BYTES).toString('base64url') : null;
      const password = generated ?? (await askNewPassword(process.stdin, process.stderr));
      const secret = formatScramSecret(await makeScramSecret(password, { iterations }));
      process.stdout.write((options.json ? asJson : asText)(secret, name, generated));
    });
}

function iterationsOf(options: Options): number {
  const iterations = /^[1-9][0-9]*$/.test(options.iterations) ? Number(options.iterations) : 0;
  if (iterations < DEFAULT_ITERATIONS || iterations > MAX_ITERATIONS) {
    throw new CountersignError(
      'usage',
      `--iterations takes a number from ${DEFAULT_ITERATIONS} to ${MAX_ITERATIONS}`,
    );
  }
  return iterations;
}

function asText(secret: string, name: string | undefined, generated: string | null): string {
  const shown =
    generated === null ? '' : `Password, shown this once. Give it to the agent:\n\n  ${generated}\n\n`;
  if (name !== undefined) {
    return `${shown}For the config; put in the owner, who answers for the agent, and its databases:

agents:
  - { name: ${JSON.stringify(name)}, owner: alice@example.com, scram: "${secret}", databases: [] }
`;
  }
  return generated === null
    ? `${secret}\n`
    : `${shown}For the config, as the agent's scram:\n\n  ${secret}\n`;
}

function asJson(secret: string, name: string | undefined, generated: string | null): string {
  return `${JSON.stringify({ name: name ?? null, scram: secret, ...(generated === null ? {} : { password: generated }) })}\n`;
}
