// `countersign token`: a new bearer token for an approver, shown once, and the line for the config, which has its hash only.
import { Command } from 'commander';
import { CountersignError } from '../base/errors.ts';
import { isName } from '../identity/agent-identity.ts';
import { formatTokenHash, newBearerToken } from '../identity/bearer-token.ts';

interface Options {
  readonly name?: string;
  readonly groups?: string;
  readonly json?: true;
}

export function tokenCommand(): Command {
  return new Command('token')
    .description('make a token for an approver; the config gets its hash only')
    .option('--name <name>', 'who it is for, as it will stand under their votes, such as alice@example.com')
    .option('--groups <groups>', 'their groups, separated by commas, such as dba,on-call')
    .option('--json', 'print one JSON object')
    .action((options: Options) => {
      const names = [options.name ?? 'alice@example.com', ...groupsOf(options)];
      if (!names.every(isName)) {
        throw new CountersignError(
          'usage',
          'a name may not be empty, nor have control characters or blank ends',
        );
      }
      const token = newBearerToken();
      process.stdout.write(options.json ? asJson(token, options) : asText(token, options));
    });
}

function asText(token: string, options: Options): string {
  return `Token, shown this once. Give it to the approver (COUNTERSIGN_TOKEN, --token or Authorization: Bearer):

  ${token}

For the config, which cannot be used to log in:

approvers:
  - { name: ${JSON.stringify(options.name ?? 'alice@example.com')}, groups: ${JSON.stringify(groupsOf(options))}, token: "${formatTokenHash(token)}" }
`;
}

function asJson(token: string, options: Options): string {
  const hash = formatTokenHash(token);
  return `${JSON.stringify({ token, config: { name: options.name ?? null, groups: groupsOf(options), token: hash } })}\n`;
}

function groupsOf(options: Options): readonly string[] {
  return options.groups === undefined ? [] : options.groups.split(',').map((group) => group.trim());
}
