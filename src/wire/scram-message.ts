// The text of SCRAM messages (RFC 5802 section 7), read strictly: attributes in their order, nothing skipped.
// Both sides read through here; what a wrong message means is for them to say.

/** PostgreSQL's own limit on a SASL message. */
const MAX_MESSAGE_LENGTH = 1024;

/** What is wrong with a message. `unsupported` is well-formed, and asks for what is not offered. */
export class ScramMessageError extends Error {
  readonly kind: 'malformed' | 'unsupported';

  constructor(kind: 'malformed' | 'unsupported', message: string) {
    super(message);
    this.name = 'ScramMessageError';
    this.kind = kind;
  }
}

export interface ClientFirst {
  /** `n`: the client has no channel binding. `y`: it has, and believes that the server has not. */
  readonly binding: 'n' | 'y';
  /** client-first-message-bare, as it came. */
  readonly bare: string;
  readonly nonce: string;
}

export function readClientFirst(bytes: Uint8Array): ClientFirst {
  const text = decode(bytes);
  const header = /^([^,]*),([^,]*),(.*)$/s.exec(text);
  if (header === null) throw malformed('no GS2 header');
  const [, binding, authzid, bare] = header as unknown as [string, string, string, string];
  if (binding.startsWith('p=')) throw unsupported('channel binding was not offered');
  if (binding !== 'n' && binding !== 'y') throw malformed('unknown channel binding flag');
  if (authzid !== '') throw unsupported('an authorization identity is not supported');
  const [first, second] = splitAttributes(bare);
  // The user name is the startup message's; what stands here is not looked at, as in PostgreSQL.
  attribute('n', first);
  return { binding, bare, nonce: readNonce(second) };
}

export interface ClientFinal {
  /** Base64 of the GS2 header and the channel-binding data. */
  readonly binding: string;
  readonly nonce: string;
  /** Base64. */
  readonly proof: string;
  /** client-final-message-without-proof, as it came. */
  readonly withoutProof: string;
}

export function readClientFinal(bytes: Uint8Array): ClientFinal {
  const text = decode(bytes);
  const attributes = splitAttributes(text);
  if (attributes.length < 3) throw malformed('an attribute is missing');
  const proof = attribute('p', attributes.at(-1));
  return {
    binding: attribute('c', attributes[0]),
    nonce: readNonce(attributes[1]),
    proof,
    withoutProof: text.slice(0, -`,p=${proof}`.length),
  };
}

export interface ServerFirst {
  readonly nonce: string;
  /** Base64. */
  readonly salt: string;
  readonly iterations: number;
  /** The whole message, as it came. */
  readonly text: string;
}

export function readServerFirst(bytes: Uint8Array): ServerFirst {
  const text = decode(bytes);
  const [nonce, salt, iterations] = splitAttributes(text);
  const count = attribute('i', iterations);
  if (!/^[1-9][0-9]{0,9}$/.test(count)) throw malformed('the iteration count is not a number');
  return { nonce: readNonce(nonce), salt: attribute('s', salt), iterations: Number(count), text };
}

/** The server's signature in base64, or the error that it names instead. */
export function readServerFinal(
  bytes: Uint8Array,
): { readonly signature: string } | { readonly error: string } {
  const [first] = splitAttributes(decode(bytes));
  if (first?.startsWith('e=')) return { error: attribute('e', first) };
  return { signature: attribute('v', first) };
}

function decode(bytes: Uint8Array): string {
  if (bytes.length === 0) throw malformed('it is empty');
  if (bytes.length > MAX_MESSAGE_LENGTH) throw malformed(`it is longer than ${MAX_MESSAGE_LENGTH} bytes`);
  let text: string;
  try {
    // A byte order mark is kept: what is signed is what was sent.
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw malformed('it is not UTF-8');
  }
  if (text.includes('\0')) throw malformed('it has a NUL byte');
  return text;
}

function splitAttributes(text: string): readonly string[] {
  const attributes = text.split(',');
  for (const attribute of attributes) {
    if (attribute.startsWith('m=')) throw unsupported('a mandatory extension is not known');
    if (!/^[A-Za-z]=/.test(attribute)) throw malformed('an attribute has no name');
  }
  return attributes;
}

function attribute(name: string, text: string | undefined): string {
  if (text === undefined || !text.startsWith(`${name}=`)) throw malformed(`attribute "${name}" expected`);
  return text.slice(name.length + 1);
}

function readNonce(text: string | undefined): string {
  const nonce = attribute('r', text);
  if (!/^[\x21-\x2B\x2D-\x7E]+$/.test(nonce)) throw malformed('the nonce is not printable ASCII');
  return nonce;
}

const malformed = (message: string) => new ScramMessageError('malformed', message);
const unsupported = (message: string) => new ScramMessageError('unsupported', message);
