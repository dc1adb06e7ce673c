// What a StartupMessage asks for. Each setting in it, by a name of its own or within `options` in any spelling, is the SET
// that it would be, and is judged as one before anything goes upstream. What is ours (`countersign.*`) stays here.
import { CountersignError } from '../base/errors.ts';
import { readClaims } from './claims.ts';

export interface StartupRequest {
  readonly user: string;
  readonly database: string;
  readonly applicationName: string;
  /** Claimed by the client, proved by nobody. */
  readonly purpose: string;
  /** The longest that it wants to wait for a person, milliseconds; null: as long as the configuration allows. */
  readonly maxWaitMs: number | null;
  /** Settings for the server, application_name among them; names in lower case. */
  readonly settings: ReadonlyMap<string, string>;
  /** `_pq_.` options: extensions of the protocol that we do not speak. */
  readonly unknownOptions: readonly string[];
}

/**
 * The server compares these names exactly, and what comes by another spelling, or within `options`, is a setting to it.
 * We fold the names of settings, so each of these would go upstream with a power that nobody judged.
 */
const NOT_SETTINGS: ReadonlySet<string> = new Set(['user', 'database', 'options', 'replication']);

const UTF8_NAMES: ReadonlySet<string> = new Set(['utf8', 'unicode']);

/** Throws CountersignError `invalid_parameter`, `authorization` or `denied`. */
export function readStartup(parameters: ReadonlyMap<string, string>): StartupRequest {
  const settings = new Map<string, string>();
  const unknownOptions: string[] = [];
  let options = '';
  for (const [name, value] of parameters) {
    if (name === 'user' || name === 'database') continue;
    if (name === 'options') options = value;
    else if (name === 'replication') refuseReplication(value);
    else if (name.startsWith('_pq_.')) unknownOptions.push(name);
    else addSetting(settings, name, value);
  }
  // As in the server, a parameter of its own wins over one in `options`.
  for (const [name, value] of parseOptions(options)) if (!settings.has(name)) settings.set(name, value);

  const user = parameters.get('user') ?? '';
  if (user === '')
    throw new CountersignError('authorization', 'no PostgreSQL user name specified in startup packet');
  const encoding = settings.get('client_encoding');
  if (encoding !== undefined && !UTF8_NAMES.has(encoding.toLowerCase().replace(/[^a-z0-9]/g, ''))) {
    throw new CountersignError(
      'invalid_parameter',
      `client_encoding must be UTF8 through this proxy, not "${encoding}"`,
      {
        hint: 'Set PGCLIENTENCODING=UTF8 or your driver’s encoding to UTF8.',
      },
    );
  }
  settings.delete('client_encoding');
  return {
    user,
    database: parameters.get('database') || user,
    applicationName: settings.get('application_name') ?? '',
    ...takeClaims(settings),
    settings,
    unknownOptions,
  };
}

function addSetting(settings: Map<string, string>, name: string, value: string): void {
  const folded = name.toLowerCase();
  if (NOT_SETTINGS.has(folded) || folded.startsWith('_pq_.')) {
    throw new CountersignError('invalid_parameter', `unrecognized configuration parameter "${name}"`);
  }
  settings.set(folded, value);
}

/** What is ours does not go to the server. */
function takeClaims(settings: Map<string, string>): { purpose: string; maxWaitMs: number | null } {
  const claimed = new Map([...settings].filter(([name]) => name.startsWith('countersign.')));
  for (const name of claimed.keys()) settings.delete(name);
  return readClaims(claimed);
}

/** A replication stream is a bulk export of everything. What is no boolean to the server (parse_bool) is refused too. */
function refuseReplication(value: string): void {
  if (/^(f|fa|fal|fals|false|of|off|n|no|0)$/i.test(value)) return;
  throw new CountersignError('denied', 'replication connections are not let through', {
    hint: 'A replication stream is an export of everything; it does not go through the proxy.',
  });
}

/**
 * The server's own splitting (pg_split_opts): blanks separate, a backslash keeps the next character. Understood are
 * `-c name=value`, `-cname=value` and `--name=value`; every other switch of the server is refused.
 */
function parseOptions(options: string): Map<string, string> {
  const words = splitOptions(options);
  const settings = new Map<string, string>();
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string;
    let assignment: string;
    if (word === '-c') assignment = words[++i] ?? '';
    else if (word.startsWith('--')) assignment = word.slice(2);
    else if (word.startsWith('-c')) assignment = word.slice(2);
    else assignment = '';
    const at = assignment.indexOf('=');
    if (at <= 0) {
      throw new CountersignError(
        'invalid_parameter',
        `"options" may only hold -c name=value and --name=value, not "${word}"`,
      );
    }
    // ParseLongOption: a hyphen in a name stands for an underscore.
    addSetting(settings, assignment.slice(0, at).replaceAll('-', '_'), assignment.slice(at + 1));
  }
  return settings;
}

function splitOptions(options: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  for (let i = 0; i < options.length; i++) {
    const character = options[i] as string;
    if (/[ \t\n\v\f\r]/.test(character)) {
      if (word !== null) words.push(word);
      word = null;
    } else if (character === '\\') {
      word = (word ?? '') + (options[++i] ?? '');
    } else {
      word = (word ?? '') + character;
    }
  }
  if (word !== null) words.push(word);
  return words;
}
