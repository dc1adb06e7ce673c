// What calling a function means. builtins.ts lists what exists; here stands what each volatile one does and why it may
// or may not run unseen. A name in neither is a user's own function, of which the text alone tells nothing.
import {
  BUILTIN_TYPES,
  CONTRIB_STEADY_FUNCTIONS,
  CONTRIB_VOLATILE_FUNCTIONS,
  INFORMATION_SCHEMA_FUNCTIONS,
  STEADY_FUNCTIONS,
  VOLATILE_FUNCTIONS,
} from './builtins.ts';
import type { StatementClass } from './facts.ts';

interface Row {
  /** Names, or beginnings of names that end in `*`. */
  readonly names: string;
  readonly classes: readonly StatementClass[];
  /** Completes "<name> …". */
  readonly does: string;
}

const CODE: readonly StatementClass[] = ['code'];
const EXPORT: readonly StatementClass[] = ['export', 'code'];

/** Held, whoever may execute them by privilege. Beginnings with `*` also cover what newer versions may add. */
const DANGEROUS: readonly Row[] = [
  {
    names: `pg_read_file pg_read_file_old pg_read_binary_file pg_stat_file pg_ls_* pg_logdir_ls pg_hba_file_rules
      pg_ident_file_mappings pg_show_all_file_settings`,
    classes: CODE,
    does: 'reads server files',
  },
  { names: 'pg_file_*', classes: CODE, does: 'writes, renames or removes server files' },
  { names: 'lo_import', classes: CODE, does: 'reads a server file into the database' },
  { names: 'lo_export', classes: EXPORT, does: 'writes a server file' },
  {
    names: 'lo_creat lo_create lo_from_bytea lo_put lo_truncate lo_truncate64 lo_unlink lowrite lo_manage',
    classes: CODE,
    does: 'changes large objects, which no table privilege guards',
  },
  {
    names: 'query_to_xml* cursor_to_xml*',
    classes: EXPORT,
    does: 'runs SQL that is given as text and returns everything as one value',
  },
  {
    names: 'table_to_xml* schema_to_xml* database_to_xml*',
    classes: EXPORT,
    does: 'returns whole tables as one value',
  },
  {
    names:
      'ts_stat ts_rewrite crosstab crosstab2 crosstab3 crosstab4 crosstab_hash crosstabn connectby connectby_text',
    classes: CODE,
    does: 'runs SQL that is given as text',
  },
  {
    names: 'xpath_table xslt_process',
    classes: CODE,
    does: 'runs SQL or reads a resource that is given as text',
  },
  { names: 'dblink dblink_*', classes: CODE, does: 'runs SQL on another connection' },
  { names: 'postgres_fdw_disconnect*', classes: CODE, does: 'closes connections to other servers' },
  {
    names: 'pg_terminate_backend pg_cancel_backend pg_log_backend_memory_contexts',
    classes: CODE,
    does: 'signals another session',
  },
  {
    names: 'pg_reload_conf pg_rotate_logfile pg_rotate_logfile_old',
    classes: CODE,
    does: 'signals the server',
  },
  {
    names: 'pg_logical_slot_get_* pg_logical_slot_peek_* pg_logical_emit_message',
    classes: EXPORT,
    does: 'reads or writes the stream of all changes',
  },
  {
    names: `pg_create_logical_replication_slot pg_create_physical_replication_slot pg_copy_logical_replication_slot
      pg_copy_physical_replication_slot pg_drop_replication_slot pg_replication_slot_advance
      pg_replication_origin_advance pg_replication_origin_create pg_replication_origin_drop
      pg_replication_origin_session_setup pg_replication_origin_session_reset pg_replication_origin_xact_*
      pg_sync_replication_slots pg_log_standby_snapshot`,
    classes: CODE,
    does: 'changes replication',
  },
  {
    names: `pg_promote pg_switch_wal pg_switch_xlog pg_create_restore_point pg_backup_* pg_start_backup pg_stop_backup
      pg_wal_replay_pause pg_wal_replay_resume`,
    classes: CODE,
    does: 'controls the server',
  },
  {
    names: `pg_wal_summary_contents pg_available_wal_summaries pg_get_wal_block_info pg_get_wal_record*
      pg_get_wal_stats* pg_get_logical_snapshot_*`,
    classes: CODE,
    does: 'reads the write-ahead log',
  },
  {
    names: `get_raw_page fsm_page_contents heap_page_* tuple_data_split *_page_items_bytea`,
    classes: CODE,
    does: 'reads pages without any privilege check on rows',
  },
  {
    names: `pg_stat_reset* pg_stat_statements_reset pg_clear_relation_stats pg_clear_attribute_stats
      pg_restore_relation_stats pg_restore_attribute_stats`,
    classes: CODE,
    does: 'changes statistics that others rely on',
  },
  {
    names: `binary_upgrade_* pg_import_system_collations pg_extension_config_dump pg_nextoid
      pg_stop_making_pinned_objects heap_force_* pg_truncate_visibility_map`,
    classes: CODE,
    does: 'changes the catalog or storage directly',
  },
  {
    names: `brin_summarize_* brin_desummarize_* gin_clean_pending_list pg_prewarm autoprewarm_*
      pg_buffercache_evict* pg_buffercache_mark_*`,
    classes: CODE,
    does: 'changes indexes or the buffer cache',
  },
  { names: 'setval', classes: CODE, does: 'moves a sequence, so that keys may repeat' },
  { names: 'plpgsql_inline_handler plpgsql_call_handler', classes: CODE, does: 'runs code' },
  { names: 'pg_notify', classes: ['notify'], does: 'notifies listeners' },
];

/** Volatile, and yet ordinary. A volatile built-in that is in neither table is held, and a test names it. */
const ORDINARY: readonly { readonly names: string; readonly because: string }[] = [
  {
    names: `random random_normal setseed array_sample array_shuffle normal_rand gen_random_uuid gen_random_bytes
      gen_salt uuidv4 uuidv7 uuid_generate_* clock_timestamp timeofday`,
    because: 'a fresh value and nothing else',
  },
  { names: 'nextval currval lastval', because: 'every INSERT with a serial key does the same' },
  {
    names: `pg_advisory_lock pg_advisory_lock_shared pg_advisory_unlock pg_advisory_unlock_all
      pg_advisory_unlock_shared pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_try_advisory_*`,
    because: 'locks that only those see who ask for them; migration tools use them',
  },
  { names: 'pg_sleep pg_sleep_for pg_sleep_until', because: 'holds nothing but its own session' },
  { names: 'set_config', because: 'judged by the setting: settings.ts' },
  {
    names: 'lo_get lo_open lo_close loread lo_lseek lo_lseek64 lo_tell lo_tell64',
    because: 'reads; the budget counts it',
  },
  { names: 'pg_export_snapshot', because: 'lets another session see the same rows, no more' },
  {
    names: `pg_database_size pg_table_size pg_indexes_size pg_relation_size pg_total_relation_size pg_tablespace_size
      pg_relpages pgstattuple pgstattuple_approx pgstatindex pgstatginindex pgstathashindex pgrowlocks
      pg_freespace pg_visibility pg_visibility_map pg_visibility_map_summary pg_check_frozen pg_check_visible
      verify_heapam bt_index_check bt_index_parent_check gin_index_check`,
    because: 'measures or checks a relation',
  },
  {
    names: `pg_stat_get_* pg_stat_have_stats pg_stat_clear_snapshot pg_stat_force_next_flush pg_stat_statements
      pg_stat_statements_info pg_control_* pg_current_* pg_last_* pg_get_aios pg_get_backend_memory_contexts
      pg_get_loaded_modules pg_get_multixact_members pg_get_sequence_data pg_get_shmem_allocations
      pg_get_shmem_allocations_numa pg_get_wait_events pg_get_wal_replay_pause_state
      pg_get_wal_resource_managers pg_get_wal_summarizer_state pg_is_* pg_isolation_test_session_is_blocked
      pg_jit_available pg_lock_status pg_blocking_pids pg_safe_snapshot_blocking_pids pg_notification_queue_usage
      pg_prepared_xact pg_sequence_last_value pg_show_replication_origin_status pg_replication_origin_progress
      pg_replication_origin_session_is_setup pg_replication_origin_session_progress pg_xact_* txid_status
      pg_collation_actual_version pg_database_collation_actual_version pg_partition_ancestors pg_partition_tree
      pg_old_snapshot_time_mapping pg_buffercache_pages pg_buffercache_summary pg_buffercache_usage_counts
      pg_buffercache_numa_pages postgres_fdw_get_connections current_query currtid2 fips_mode ssl_*`,
    because: 'shows the state of the server or the session',
  },
  {
    names: `page_header page_checksum brin_metapage_info brin_page_items brin_page_type brin_revmap_data bt_metap
      bt_multi_page_stats bt_page_items bt_page_stats gin_leafpage_items gin_metapage_info gin_page_opaque_info
      gist_page_items gist_page_opaque_info hash_bitmap_info hash_metapage_info hash_page_items hash_page_stats
      hash_page_type heap_tuple_infomask_flags`,
    because: 'takes apart a page that only get_raw_page can bring, or the numbers of an index',
  },
  {
    names: 'pgp_pub_encrypt pgp_pub_encrypt_bytea pgp_sym_encrypt pgp_sym_encrypt_bytea',
    because: 'encrypts its arguments',
  },
  { names: 'isn_weak set_limit', because: 'sets a switch of its own module in this session' },
  {
    names: `RI_FKey_* suppress_redundant_updates_trigger tsvector_update_trigger tsvector_update_trigger_column
      triggered_change_notification unique_key_recheck`,
    because: 'trigger functions: they refuse to be called',
  },
  {
    names: `amvalidate brinhandler bthandler ginhandler gisthandler hashhandler spghandler heap_tableam_handler
      blhandler bernoulli system system_rows system_time dsnowball_init dsnowball_lexize dintdict_init
      dintdict_lexize unaccent_init unaccent_lexize plpgsql_validator file_fdw_handler file_fdw_validator
      postgres_fdw_handler postgres_fdw_validator int_agg_state int_agg_final_array ssl_extension_info`,
    because: 'called by the server itself; arguments of type internal cannot be written in SQL',
  },
];

/** Gather many rows into one value. */
const GATHERING = new Set(
  `array_agg json_agg json_agg_strict jsonb_agg jsonb_agg_strict json_object_agg json_object_agg_strict
   json_object_agg_unique json_object_agg_unique_strict jsonb_object_agg jsonb_object_agg_strict
   jsonb_object_agg_unique jsonb_object_agg_unique_strict string_agg xmlagg range_agg int_array_aggregate
   json_arrayagg json_objectagg`.split(/\s+/),
);

interface Meaning {
  readonly classes: readonly StatementClass[];
  /** For a person; null where the classes need no explanation. */
  readonly reason: string | null;
  /** The name is of nothing that is known here: it is held for that alone, and the catalog may know it. */
  readonly foreign: boolean;
}

const ORDINARY_MEANING: Meaning = { classes: [], reason: null, foreign: false };

interface Pattern {
  readonly matches: (name: string) => boolean;
  readonly row: Row;
}

const exact = new Map<string, Row>();
const patterns: Pattern[] = [];
for (const row of DANGEROUS) {
  for (const name of row.names.trim().split(/\s+/)) {
    if (name.endsWith('*')) patterns.push({ matches: (called) => called.startsWith(name.slice(0, -1)), row });
    else if (name.startsWith('*'))
      patterns.push({ matches: (called) => called.endsWith(name.slice(1)), row });
    else exact.set(name, row);
  }
}
const ordinaryNames = ORDINARY.flatMap(({ names }) => names.trim().split(/\s+/));
const ordinaryExact = new Set(ordinaryNames.filter((name) => !name.endsWith('*')));
const ordinaryBeginnings = ordinaryNames
  .filter((name) => name.endsWith('*'))
  .map((name) => name.slice(0, -1));

const dangerOf = (name: string): Row | undefined =>
  exact.get(name) ?? patterns.find(({ matches }) => matches(name))?.row;

const isDecidedOrdinary = (name: string): boolean =>
  ordinaryExact.has(name) || ordinaryBeginnings.some((beginning) => name.startsWith(beginning));

function judged(name: string): Meaning {
  const row = dangerOf(name);
  if (row !== undefined) return { classes: row.classes, reason: `${name} ${row.does}`, foreign: false };
  const steady = STEADY_FUNCTIONS.has(name) || CONTRIB_STEADY_FUNCTIONS.has(name);
  const listed = VOLATILE_FUNCTIONS.has(name) || CONTRIB_VOLATILE_FUNCTIONS.has(name);
  // `uuid('…')` is a cast where no function has that name.
  if (listed ? isDecidedOrdinary(name) : steady || BUILTIN_TYPES.has(name)) return ORDINARY_MEANING;
  return { classes: CODE, reason: `${name} is not a built-in function`, foreign: true };
}

const meanings = new Map<string, Meaning>();
for (const name of [
  ...STEADY_FUNCTIONS,
  ...VOLATILE_FUNCTIONS,
  ...CONTRIB_STEADY_FUNCTIONS,
  ...CONTRIB_VOLATILE_FUNCTIONS,
]) {
  meanings.set(name, judged(name));
}

const inCatalog = (name: string): boolean =>
  STEADY_FUNCTIONS.has(name) || VOLATILE_FUNCTIONS.has(name) || BUILTIN_TYPES.has(name);

/**
 * What a call by this name does, as far as a name tells. `schema` null: not qualified. A function of contrib is trusted
 * under its bare name only; a built-in's name in any other schema is somebody's own function.
 */
export function meaningOfCall(schema: string | null, name: string): Meaning {
  if (schema === null) return meanings.get(name) ?? judged(name);
  if (schema === 'pg_catalog') {
    const row = dangerOf(name);
    if (row !== undefined || inCatalog(name)) return meanings.get(name) ?? judged(name);
    return {
      classes: CODE,
      reason: `pg_catalog.${name} is not a function that is known here`,
      foreign: false,
    };
  }
  if (schema === 'information_schema' && INFORMATION_SCHEMA_FUNCTIONS.has(name)) return ORDINARY_MEANING;
  const row = dangerOf(name);
  if (row !== undefined)
    return { classes: row.classes, reason: `${schema}.${name} ${row.does}`, foreign: false };
  return { classes: CODE, reason: `${schema}.${name} is not a built-in function`, foreign: true };
}

/** Whether a function of this name is held, whoever calls it. */
export const isDangerous = (name: string): boolean => dangerOf(name) !== undefined;

/** Held, and yet marked steady, so that planning alone may run it: an error then tells what it found. */
export const runsInPlanning = (name: string): boolean =>
  isDangerous(name) && (STEADY_FUNCTIONS.has(name) || CONTRIB_STEADY_FUNCTIONS.has(name));

/** Whether an aggregate of this name gathers rows into one value. */
export const gathers = (name: string): boolean => GATHERING.has(name);

/** Volatile built-ins that nobody has decided on: there must be none. For the test. */
export function undecidedFunctions(): string[] {
  return [...VOLATILE_FUNCTIONS, ...CONTRIB_VOLATILE_FUNCTIONS].filter(
    (name) => dangerOf(name) === undefined && !isDecidedOrdinary(name),
  );
}
