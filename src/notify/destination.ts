// Where a webhook may go. The operator names the address, but the names behind it can be turned against the network we
// stand in (SSRF), so every address is looked at when it is connected to, and that very address is the one used.
import { type LookupAddress, type LookupOptions, lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { Agent } from 'undici';
import { CountersignError } from '../base/errors.ts';

/** As dns.lookup with `all`: every address of a name. */
export type Resolve = (
  host: string,
  options: LookupOptions & { readonly all: true },
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

interface DestinationOptions {
  readonly url: string;
  /** Allows http and addresses that are not public. For receivers on the operator's own network, named on purpose. */
  readonly allowPrivate: boolean;
  readonly resolve?: Resolve;
}

export interface Destination {
  readonly url: string;
  /** For the log: without path and query, which often carry a secret. */
  readonly name: string;
  readonly agent: Agent;
}

const CONNECT_TIMEOUT_MS = 10_000;

/** Only addresses that the open Internet routes to one host. The whole of what is refused follows from these two lines. */
export function isPublicUnicast(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address); // An IPv4 address mapped into IPv6 is judged as the IPv4 address it reaches.
  if (parsed.range() !== 'unicast') return false;
  // Of IPv6 only 2000::/3 is assigned to global unicast; ipaddr.js calls everything it has no other name for unicast.
  return parsed.kind() === 'ipv4' || (parsed.toByteArray()[0] ?? 0) >> 5 === 0b001;
}

/** Checks what can be checked of the URL alone, and makes the agent that checks the rest at each connection. */
export function openDestination(options: DestinationOptions): Destination {
  const url = parseUrl(options.url);
  const name = url.host;
  if (url.protocol !== 'https:' && !(options.allowPrivate && url.protocol === 'http:')) {
    throw new CountersignError('config', `webhook to ${name}: only https is allowed`, { hint: ALLOW_HINT });
  }
  if (url.username !== '' || url.password !== '') {
    throw new CountersignError('config', `webhook to ${name}: no user or password in the URL`);
  }
  // new URL() has turned decimal, octal, hexadecimal and shortened forms into the plain one by now.
  const literal = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(literal) !== 0 && !options.allowPrivate && !isPublicUnicast(literal)) {
    throw new CountersignError('config', `webhook to ${name}: not a public address`, { hint: ALLOW_HINT });
  }
  const lookup = options.allowPrivate
    ? resolveAll(options.resolve)
    : publicOnly(resolveAll(options.resolve), name);
  return {
    url: url.href,
    name,
    agent: new Agent({ connect: { lookup, timeout: CONNECT_TIMEOUT_MS }, connections: 8 }),
  };
}

const ALLOW_HINT = 'set allowPrivate on this webhook if it is meant to stay inside your own network';

function parseUrl(text: string): URL {
  try {
    return new URL(text);
  } catch {
    throw new CountersignError('config', 'the webhook’s url is not a URL');
  }
}

function resolveAll(resolve: Resolve = systemLookup): LookupFunction {
  return (host, options, done) => {
    resolve(host, { ...options, all: true }, (error, addresses) => {
      const first = addresses?.[0];
      if (error !== null || first === undefined) {
        done(error ?? new Error(`${host} has no address`), '', 0);
      } else if (options.all === true) {
        done(null, addresses);
      } else {
        done(null, first.address, first.family);
      }
    });
  };
}

/** One private address among public ones refuses them all: which one is connected to is not ours to choose. */
function publicOnly(lookup: LookupFunction, name: string): LookupFunction {
  return (host, options, done) => {
    lookup(host, { ...options, all: true }, (error, found) => {
      const addresses = typeof found === 'string' ? [] : found;
      const first = addresses[0];
      if (error !== null || first === undefined) {
        done(error ?? new Error(`${name} has no address`), '', 0);
      } else if (!addresses.every(({ address }) => isPublicUnicast(address))) {
        done(new Error(`${name} resolves to an address that is not public`), '', 0);
      } else if (options.all === true) {
        done(null, addresses);
      } else {
        done(null, first.address, first.family);
      }
    });
  };
}
