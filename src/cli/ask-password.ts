// Asks for a new password without showing it, or takes it from a pipe. Never from an argument: every user of the machine
// can read those, and shells keep them.
import { createInterface } from 'node:readline';
import { type Readable, Writable } from 'node:stream';
import { CountersignError } from '../base/errors.ts';

/** As process.stdin is: a terminal says so. */
export type PasswordSource = Readable & { readonly isTTY?: boolean };

const MAX_PIPED_BYTES = 64 * 1024;

/** Prompts go to `prompts` (stderr), so that stdout stays clean. Rejects with CountersignError `usage`. */
export async function askNewPassword(input: PasswordSource, prompts: Writable): Promise<string> {
  if (input.isTTY !== true) return checked(withoutNewline(await readAll(input)));
  const [first, again] = await askUnseen(input, prompts, ['Password: ', 'Again: ']);
  if (first !== again) throw new CountersignError('usage', 'the two passwords differ');
  return checked(first ?? '');
}

/** One line for each question, from a terminal. */
function askUnseen(
  input: Readable,
  prompts: Writable,
  questions: readonly string[],
): Promise<readonly string[]> {
  // readline puts the terminal into raw mode and does the editing; what it would echo is dropped.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input, output: nowhere, terminal: true, historySize: 0 });
  const answers: string[] = [];
  return new Promise((resolve, reject) => {
    const ask = () => prompts.write(questions[answers.length] ?? '');
    lines.on('line', (line) => {
      answers.push(line);
      prompts.write('\n');
      if (answers.length < questions.length) ask();
      else lines.close();
    });
    lines.on('SIGINT', () => lines.close());
    lines.on('close', () => {
      if (answers.length === questions.length) return resolve(answers);
      prompts.write('\n');
      reject(new CountersignError('usage', 'no password was given'));
    });
    ask();
  });
}

async function readAll(input: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of input) {
    const bytes = Buffer.from(chunk as Uint8Array | string);
    length += bytes.length;
    if (length > MAX_PIPED_BYTES)
      throw new CountersignError('usage', 'the password on standard input is too long');
    chunks.push(bytes);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new CountersignError('usage', 'the password on standard input is not UTF-8');
  }
}

/** The one newline that `echo` and editors put there. */
function withoutNewline(text: string): string {
  return text.replace(/\r?\n$/, '');
}

function checked(password: string): string {
  if (password === '') {
    throw new CountersignError('usage', 'the password is empty', {
      hint: 'Type it at the prompt, pipe it in, or let --generate make one.',
    });
  }
  if (/[\0\r\n]/.test(password)) throw new CountersignError('usage', 'a password is one line, without NUL');
  return password;
}
