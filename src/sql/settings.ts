// What setting a configuration parameter means, whether by SET, set_config, ALTER ROLE … SET or a startup option.
// Four kinds: those the parser relies on, those that change who one is, those only a superuser may touch, the rest.
import { GUARDED_SETTINGS } from './builtins.ts';
import { Draft } from './draft.ts';
import type { Facts, SettingUse } from './facts.ts';

/** The parser reads text as the server does only under these values. */
const LEXING: Readonly<Record<string, (value: string) => boolean>> = {
  // As pg_char_to_encoding reads names: letters and digits only, in lower case.
  client_encoding: (value) => ['utf8', 'unicode'].includes(value.toLowerCase().replace(/[^a-z0-9]/g, '')),
  standard_conforming_strings: isOn,
  // `on` differs from it only under encodings that are refused anyway; `off` would be harmless, and nobody needs it.
  backslash_quote: (value) => value.toLowerCase() === 'safe_encoding',
};

const IDENTITY = new Set(['role', 'session_authorization']);

/** Guarded although any user may set them, or not in the list because no server has them built in. */
const ALSO_GUARDED: Readonly<Record<string, string>> = {
  local_preload_libraries: 'loads code into the session',
  session_replication_role: 'switches triggers and foreign keys off',
  session_preload_libraries: 'loads code into the session',
  shared_preload_libraries: 'loads code into the server',
  dynamic_library_path: 'decides which code is loaded',
  lo_compat_privileges: 'switches privilege checks of large objects off',
  allow_system_table_mods: 'allows changes to the catalog',
  zero_damaged_pages: 'destroys damaged pages',
  ignore_system_indexes: 'reads the catalog past its indexes',
};

/** Extensions whose parameters decide what is logged, checked or run. */
const GUARDED_PREFIXES = [
  'auto_explain',
  'pgaudit',
  'pg_stat_statements',
  'sepgsql',
  'set_user',
  'supautils',
  'plperl',
  'plpython',
  'plpython3',
  'pltcl',
  'pljava',
  'plv8',
  'cron',
  'credcheck',
  'passwordcheck',
  'anon',
  'basic_archive',
];

/** What Postgres takes for true: any unambiguous beginning. */
function isOn(value: string): boolean {
  const text = value.trim().toLowerCase();
  return text !== '' && ('true'.startsWith(text) || 'yes'.startsWith(text) || text === 'on' || text === '1');
}

const isOff = (value: string): boolean => {
  const text = value.trim().toLowerCase();
  return (
    text !== '' &&
    ('false'.startsWith(text) || 'no'.startsWith(text) || text === 'of' || text === 'off' || text === '0')
  );
};

/** GUC names compare without regard to the case of ASCII letters. */
const foldSetting = (name: string): string => name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

/**
 * Adds one setting to the facts. `name` null: not a constant, so it may be any of them. `current`: it takes the value
 * that it has already (SET … FROM CURRENT).
 */
export function addSetting(
  draft: Draft,
  given: {
    name: string | null;
    value: string | null;
    how: SettingUse['how'];
    dynamic: boolean;
    current?: boolean;
  },
): void {
  if (given.name === null) {
    draft.setting({ name: '*', value: null, how: given.how, dynamic: true });
    draft.lexing = true;
    draft.classes(
      ['session', 'privilege', 'admin'],
      'sets a parameter whose name is not a constant: it could be any',
    );
    return;
  }
  const name = foldSetting(given.name);
  draft.setting({ name, value: given.value, how: given.how, dynamic: given.dynamic });
  draft.classes(['session']);
  if (IDENTITY.has(name)) draft.classes(['privilege'], `${name} changes whose privileges the session has`);
  // Back to the value the session began with, which the gate has judged: RESET ALL and DISCARD ALL must pass.
  if (given.how === 'reset' || given.current === true) return;
  const allowed = Object.hasOwn(LEXING, name) ? LEXING[name] : undefined;
  if (allowed !== undefined) {
    if (given.value === null || !allowed(given.value)) {
      draft.lexing = true;
      draft.classes(['admin'], `${name} changes how the server reads SQL text`);
    }
    return;
  }
  const guarded = guardOf(name);
  if (guarded !== null) draft.classes(['admin'], `${name} ${guarded}`);
  else if (name === 'row_security' && (given.value === null || isOff(given.value) || !isOn(given.value))) {
    draft.classes(['admin'], 'row_security decides whether row security applies');
  }
}

function guardOf(name: string): string | null {
  if (Object.hasOwn(ALSO_GUARDED, name)) return ALSO_GUARDED[name] ?? null;
  if (GUARDED_SETTINGS.has(name)) return 'is for the administrator of the server';
  const prefix = name.includes('.') ? name.slice(0, name.indexOf('.')) : '';
  return GUARDED_PREFIXES.includes(prefix) ? 'belongs to an extension that guards or runs things' : null;
}

/** A startup parameter as the SET that it is. */
export function settingFacts(name: string, value: string): Facts {
  const draft = new Draft();
  draft.tag('SET');
  addSetting(draft, { name, value, how: 'set', dynamic: false });
  return draft.finish(`SET ${name} = ${value}`);
}
