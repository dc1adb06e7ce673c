// Puts a node together from its configuration: log, rules, store, API, webhooks and the listener, in the order in which
// each needs the others, and takes it apart in reverse.
import type { TlsOptions } from 'node:tls';
import type { Logger } from 'pino';
import { parseSigner } from '../audit/note.ts';
import { openLog } from '../audit/open.ts';
import { systemClock } from '../base/clock.ts';
import { CountersignError } from '../base/errors.ts';
import { randomSecret } from '../base/ids.ts';
import type { Config, DatabaseConfig } from '../config.ts';
import { AgentAccounts } from '../gate/budget.ts';
import { IMPACT_TIMES, impactOf } from '../gate/impact.ts';
import { Listener } from '../gate/listen.ts';
import { LiveCatalog } from '../gate/live-catalog.ts';
import { plaintextFor } from '../gate/plaintext.ts';
import { recordHoldChange } from '../gate/recording.ts';
import { Scout } from '../gate/scout.ts';
import { Tally } from '../gate/tally.ts';
import type { DatabaseTarget } from '../gate/upstream.ts';
import type { HoldStore } from '../holds/hold.ts';
import { MemoryHoldStore } from '../holds/memory.ts';
import { RedisHoldStore } from '../holds/redis.ts';
import { RedisBus } from '../holds/redis-bus.ts';
import { startHttp } from '../http/server.ts';
import { Agents } from '../identity/agents.ts';
import { Approvers } from '../identity/approvers.ts';
import { FailedLogins } from '../identity/throttle.ts';
import { startWebhook } from '../notify/webhook.ts';
import { type LoadedRules, loadRules } from '../rules/load.ts';
import { loadParser } from '../sql/understand.ts';
import { parseScramSecret } from '../wire/scram-secret.ts';

/** How often holds that have passed their deadline are looked for. */
const SWEEP_MS = 1_000;
/** Whoever has waited so long for an impact is not told it. */
const IMPACT_SCOUT_TIMES = { connectMs: IMPACT_TIMES.totalMs, answerMs: IMPACT_TIMES.totalMs };

export interface RunningNode {
  readonly listen: { readonly host: string; readonly port: number };
  readonly http: { readonly address: string; readonly port: number };
  /** Those that the next statement is judged by. */
  rules(): LoadedRules;
  /** Loads the rule files again. A broken file changes nothing and is thrown as ProblemsError. */
  reloadRules(): LoadedRules;
  /** Ends every session, tells each `why`, and closes the log last. */
  close(why?: CountersignError): Promise<void>;
}

export interface NodeOptions {
  readonly version: string;
  readonly logger: Logger;
  /** The log has failed: nothing is forwarded any more, and the process should end. */
  readonly onLogFailure: (error: CountersignError) => void;
}

export async function startNode(
  config: Config,
  { version, logger, onLogFailure }: NodeOptions,
): Promise<RunningNode> {
  const problem = (error: unknown, what: string): void => logger.error({ err: error }, what);
  const closers: (() => Promise<void>)[] = [];
  const closeAll = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse())
      await close().catch((error) => problem(error, 'shutdown'));
  };
  let logFailed = false;
  try {
    await loadParser();
    let rules = loadRules(config.rules);
    const { log, recovered } = await openLog({
      dir: config.audit.dir,
      node: config.node,
      version,
      signer: config.audit.key === null ? null : parseSigner(config.audit.key.reveal()),
      durability: config.audit.durability,
      clock: systemClock,
      onFailure: (error) => {
        logFailed = true;
        onLogFailure(error);
      },
    });
    closers.push(() => log.close());
    if (recovered !== null) logger.warn(recovered, 'the log was not closed cleanly; recovered');
    const recordRules = (): void => {
      log.append({ type: 'rules.loaded', rules: rules.hash, files: rules.files });
    };
    recordRules();

    const store = await openStore(config, problem);
    closers.push(() => store.close());
    const recordChange = (change: Parameters<typeof recordHoldChange>[1]): Promise<void> =>
      recordHoldChange(log, change);
    const sweeping = sweepRegularly(store, recordChange, problem);
    closers.push(sweeping);

    const approvers = Approvers.fromOptions(config.approvers);
    const http = await startHttp({
      host: config.http.host,
      port: config.http.port,
      tls:
        config.http.tls === null ? null : { cert: config.http.tls.cert, key: config.http.tls.key.reveal() },
      store,
      approvers,
      recordChange,
      logReady: () => !logFailed,
      clock: systemClock,
      publicUrl: config.http.publicUrl,
      logger,
    });
    closers.push(() => http.close());
    for (const { url, secret, allowPrivate } of config.notify) {
      const webhook = startWebhook({
        url: url.reveal(),
        secret: secret.reveal(),
        allowPrivate,
        store,
        node: config.node,
        publicUrl: config.http.publicUrl,
        clock: systemClock,
        logger,
      });
      closers.push(() => webhook.close());
    }

    const background = new Set<Promise<void>>();
    closers.push(async () => void (await Promise.all(background)));

    const bus = openBus(config, problem);
    if (bus !== null) closers.push(() => bus.close());
    const ignored = new Tally((counts) => logger.info({ counts }, 'ignored since the start'));
    closers.push(async () => ignored.close());

    const databases = new Map([...config.databases].map(([name, database]) => [name, targetOf(database)]));
    const scouts = new Map([...databases].map(([name, target]) => [name, new Scout(target)]));
    closers.push(async () => {
      for (const scout of scouts.values()) scout.close();
    });
    const catalogs = openCatalogs(scouts, config.catalog.maxAgeMs, logger);
    closers.push(async () => {
      for (const catalog of catalogs.values()) catalog.close();
    });

    // Of its own, so that a slow answer delays no other question; it is opened by the first hold.
    const impactScouts = new Map(
      [...databases].map(([name, target]) => [name, new Scout(target, IMPACT_SCOUT_TIMES)]),
    );
    closers.push(async () => {
      for (const scout of impactScouts.values()) scout.close();
    });
    const { limits, holds } = config;
    const tls = listenerTls(config);
    const perAgent = new Map(config.agents.map(({ name, maxSessions }) => [name, maxSessions]));
    const listener = await Listener.open({
      host: config.listen.host,
      port: config.listen.port,
      tls,
      plaintext: plaintextFor(tls, config.listen.allowPlaintext),
      node: {
        name: config.node,
        log,
        store,
        clock: systemClock,
        limits: { ...limits, names: limits.preparedStatements },
        times: {
          waitMs: Math.min(holds.waitMs, holds.ttlMs),
          waitInTransactionMs: Math.min(holds.waitInTransactionMs, holds.ttlMs),
          noticeMs: holds.noticeMs,
          grantMs: holds.grantMs,
        },
        budgets: new AgentAccounts(config.budgets, systemClock),
        bindingKey: randomSecret(32),
        catalogs,
        rules: () => rules,
        impact: (database, question, giveUp) =>
          impactOf(
            question,
            (work, limits) => {
              const scout = impactScouts.get(database);
              if (scout === undefined) throw new CountersignError('internal', 'a session in no database');
              return scout.readOnly(work, limits);
            },
            IMPACT_TIMES,
            giveUp,
          ),
        urlOf: (hold) => `${config.http.publicUrl}/v1/holds/${hold.request.id}`,
        background(work, what) {
          const done = work
            .catch((error: unknown) => problem(error, what))
            .finally(() => background.delete(done));
          background.add(done);
        },
        problem,
      },
      agents: Agents.fromOptions({
        agents: config.agents.map(({ name, owner, scram, databases, groups }) => ({
          name,
          owner,
          secret: parseScramSecret(scram.reveal()),
          databases,
          groups,
        })),
        issuers: config.identity.issuers,
        clock: systemClock,
      }),
      failures: new FailedLogins(systemClock),
      databases,
      limits: {
        ...limits,
        connectionsFor: (agent) =>
          perAgent.get(agent) ?? limits.connectionsPerAgent ?? Number.POSITIVE_INFINITY,
      },
      bus,
      count: (what) => ignored.count(what),
    });
    let listenerClosed: Promise<void> | null = null;
    const closeListener = (why?: CountersignError): Promise<void> => {
      listenerClosed ??= listener.close(why);
      return listenerClosed;
    };
    closers.push(closeListener);

    return {
      listen: listener.address,
      http: { address: http.address, port: http.port },
      rules: () => rules,
      reloadRules() {
        rules = loadRules(config.rules);
        recordRules();
        return rules;
      },
      async close(why) {
        await closeListener(why);
        await closeAll();
      },
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

async function openStore(
  config: Config,
  problem: (error: unknown, what: string) => void,
): Promise<HoldStore> {
  const onProblem = (error: unknown): void => problem(error, 'hold store');
  const { store, redis } = config.holds;
  if (store === 'memory') return new MemoryHoldStore({ clock: systemClock, onProblem });
  if (redis === null) throw new CountersignError('config', 'holds.redis must name the Redis to use');
  return await RedisHoldStore.open({ url: redis.reveal(), clock: systemClock, onProblem });
}

/** What nodes with the same Redis say to each other; a node with a store of its own has nobody to talk to. */
function openBus(config: Config, problem: (error: unknown, what: string) => void): RedisBus | null {
  const { store, redis } = config.holds;
  if (store === 'memory' || redis === null) return null;
  return new RedisBus({ url: redis.reveal(), onProblem: (error) => problem(error, 'bus between nodes') });
}

/** Read in the background, so that the first statement rarely waits. */
function openCatalogs(
  scouts: ReadonlyMap<string, Scout>,
  maxAgeMs: number,
  logger: Logger,
): ReadonlyMap<string, LiveCatalog> {
  const open = ([database, scout]: [string, Scout]): [string, LiveCatalog] => {
    const onUnreadable = (error: unknown): void =>
      logger.warn(
        { err: error, database },
        'the catalog cannot be read: functions of users are held, views are not looked into',
      );
    const catalog = new LiveCatalog({ scout, maxAgeMs, onUnreadable });
    catalog.changed();
    return [database, catalog];
  };
  return new Map([...scouts].map(open));
}

/** Returns what stops it. */
function sweepRegularly(
  store: HoldStore,
  record: (change: Parameters<typeof recordHoldChange>[1]) => Promise<void>,
  problem: (error: unknown, what: string) => void,
): () => Promise<void> {
  let running: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    running = running.then(async () => {
      try {
        for (const change of await store.sweep()) await record(change);
      } catch (error) {
        // The store tells of its own outages.
        if (!(error instanceof CountersignError)) problem(error, 'sweep');
      }
    });
  }, SWEEP_MS);
  return async () => {
    clearInterval(timer);
    await running;
  };
}

function listenerTls({ listen: { tls } }: Config): TlsOptions | null {
  if (tls === null) return null;
  return {
    cert: tls.cert,
    key: tls.key.reveal(),
    minVersion: 'TLSv1.2',
    requestCert: tls.clientCa !== null,
    rejectUnauthorized: true,
    ...(tls.clientCa === null ? {} : { ca: tls.clientCa }),
  };
}

function targetOf({ password, tlsCa, ...database }: DatabaseConfig): DatabaseTarget {
  return { ...database, password: password?.reveal() ?? null, ca: tlsCa };
}
