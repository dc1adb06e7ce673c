// `countersign keygen`: a key that signs the log's checkpoints, in the text form of Go's sumdb/note. The secret half goes
// into a file of mode 0600; the verifier half is printed, to be kept by whoever is to check the log.
import { closeSync, fsyncSync, openSync, writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { encodeKeys } from '../audit/note.ts';
import { CountersignError } from '../base/errors.ts';
import { randomSecret } from '../base/ids.ts';

const SEED_BYTES = 32;

export function keygenCommand(): Command {
  return new Command('keygen')
    .description('make a key that signs the log')
    .argument('<name>', "the log's name for ever, as in example.com/countersign/node1")
    .requiredOption(
      '-o, --out <file>',
      'where the secret key goes; the verifier key goes beside it, in <file>.pub',
    )
    .action(keygen);
}

function keygen(name: string, options: { out: string }): void {
  const keys = encodeKeys(name, randomSecret(SEED_BYTES));
  writeNew(options.out, `${keys.signer}\n`, 0o600);
  writeNew(`${options.out}.pub`, `${keys.verifier}\n`, 0o644);
  process.stdout.write(`${keys.verifier}\n`);
}

/** Never over another file: that would be someone's key. */
function writeNew(path: string, text: string, mode: number): void {
  try {
    const fd = openSync(path, 'wx', mode);
    try {
      writeFileSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw new CountersignError('usage', error instanceof Error ? error.message : `cannot write ${path}`);
  }
}
