// The relay: what the server says reaches the client byte for byte, what the client says reaches the server, and however
// slow either is, or the log's disk, the proxy keeps no more of it than fits a few buffers. Memory is that of the process.
import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ENDLESS, Stage } from '../live/stage.ts';
import { extended, frame, type WireClient } from '../live/wire-client.ts';
import { type Link, linkToPostgres } from '../services/link.ts';
import { bytesReadBy, isAsleep, residentBytes } from '../services/process.ts';
import { loggedRecords } from '../services/scene.ts';
import { slowDisk } from '../services/slow-disk.ts';
import { eventually } from '../services/wait.ts';

const MIB = 1024 * 1024;
/** What goes through in each direction. TEST_RELAY_MIB=1024 makes it the whole gigabyte of the specification. */
const RELAYED_MIB = Number(process.env['TEST_RELAY_MIB'] ?? 256);
/** Less than half of what goes through: garbage that is still to be collected, however late, and not what grows with it. */
const GROWTH_MAX = 112 * MIB;
const LONG_MS = 120_000;

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open({ budgets: ENDLESS });
  // What the first session loads and compiles is not the growth of the others.
  const client = await stage.wire();
  await client.query("SELECT repeat('x', 100000) FROM generate_series(1, 500)");
});
afterAll(() => stage?.close());

const watches = new Set<NodeJS.Timeout>();
afterEach(() => {
  for (const watch of watches) clearInterval(watch);
});

/** How much more memory than now the proxy has had at most, whenever it is called. */
function watchMemory(of: Stage = stage): () => number {
  const { pid } = of.proxy;
  const before = residentBytes(pid);
  let most = before;
  const look = (): void => {
    most = Math.max(most, residentBytes(pid));
  };
  watches.add(setInterval(look, 10));
  return () => {
    look();
    return most - before;
  };
}

/** Reads nothing: what arrives is dropped without being kept, and its length and digest remembered. */
class Sink {
  readonly #client: WireClient;
  readonly #hash = createHash('sha256');
  bytes = 0;
  last = Buffer.alloc(0);

  constructor(client: WireClient) {
    this.#client = client;
    client.socket.removeAllListeners('data');
    client.socket.pause();
  }

  drain(): void {
    this.#client.socket.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length;
      this.#hash.update(chunk);
      this.last = Buffer.from(chunk.subarray(-6));
    });
    this.#client.socket.resume();
  }

  /** Waits for a ReadyForQuery to be the last that came; the digest of everything. */
  async ready(): Promise<string> {
    await eventually(() => /^Z\0\0\0\x05[ITE]$/.test(this.last.toString('latin1')), {
      timeoutMs: LONG_MS,
      what: 'ReadyForQuery at the end',
    });
    return this.#hash.copy().digest('hex');
  }
}

/** Waits until the server has been kept waiting for good, and not for the moment that it takes to swallow a chunk. */
async function serverWaits(event: string, looks = 25): Promise<void> {
  let waits = 0;
  await eventually(
    async () => {
      const rows = await stage.look(
        'SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = $1',
        [event],
      );
      waits = rows.length >= 1 ? waits + 1 : 0;
      return waits === looks;
    },
    { timeoutMs: 30_000, what: `the server waiting (${event})` },
  );
}

/** Says the same again and again, each time when the last has left this process. */
class Feeder {
  sent = 0;
  readonly #client: WireClient;
  readonly #bytes: Buffer;
  readonly #times: number;

  constructor(client: WireClient, bytes: Buffer, times: number) {
    this.#client = client;
    this.#bytes = bytes;
    this.#times = times;
    this.#next();
  }

  #next(): void {
    this.#client.socket.write(this.#bytes, (error) => {
      if (error) return;
      this.sent++;
      if (this.sent < this.#times) this.#next();
    });
  }

  /** Waits until nothing more is taken, and the proxy is not just busy with what it has. */
  async stalls(of: Stage = stage): Promise<void> {
    let before = -1;
    let same = 0;
    await eventually(
      () => {
        same = this.sent === before && isAsleep(of.proxy.pid) ? same + 1 : 0;
        before = this.sent;
        return same === 25;
      },
      { timeoutMs: LONG_MS, what: 'the client not being read from' },
    );
  }

  async done(): Promise<void> {
    await eventually(() => this.sent === this.#times, { timeoutMs: LONG_MS, what: 'all of it being taken' });
  }
}

describe('from the server', () => {
  const ROWS = RELAYED_MIB * 10;
  const wide = `SELECT i, repeat(md5(i::text), 3300) FROM generate_series(1, ${ROWS}) i`;

  test('a reader that does not read: the server waits, the proxy keeps nothing, and all of it arrives in the end', {
    timeout: LONG_MS,
  }, async () => {
    const [client, other] = [await stage.wire(), await stage.wire()];
    const growth = watchMemory();
    const through = new Sink(client);
    client.write(frame.query(wide));
    await serverWaits('ClientWrite');
    expect(growth()).toBeLessThan(32 * MIB);
    // Nobody else waits.
    expect(await other.query('SELECT 1')).toContain('DataRow 1');
    const later = watchMemory();
    through.drain();
    const digest = await through.ready();
    expect(later()).toBeLessThan(GROWTH_MAX);
    const straight = await stage.direct();
    const direct = new Sink(straight);
    straight.write(frame.query(wide));
    direct.drain();
    expect(digest).toBe(await direct.ready());
    expect(through.bytes).toBe(direct.bytes);
    expect(through.bytes).toBeGreaterThan(RELAYED_MIB * MIB);
  });

  test('a reader that takes a little at a time', { timeout: LONG_MS }, async () => {
    const client = await stage.wire();
    const { socket } = client;
    const growth = watchMemory();
    socket.removeAllListeners('data');
    let received = 0;
    let last = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      received += chunk.length;
      last = Buffer.from(chunk.subarray(-6));
      socket.pause();
      setImmediate(() => socket.resume());
    });
    client.write(frame.query(wide));
    await eventually(() => last.toString('latin1') === 'Z\0\0\0\x05I', { timeoutMs: LONG_MS });
    expect(received).toBeGreaterThan(RELAYED_MIB * MIB);
    expect(growth()).toBeLessThan(GROWTH_MAX);
  });

  test('a value of 20 MiB, there and back', async () => {
    const client = await stage.wire();
    const value = Buffer.alloc(20 * MIB, 'countersign ');
    client.write(
      frame.parse({ text: 'SELECT $1::text, md5($1), length($1)' }),
      frame.bind({ values: [value.toString('latin1')] }),
      frame.execute(),
      frame.sync(),
    );
    const answers = [];
    for (;;) {
      const answer = await client.next();
      answers.push(answer);
      if (answer.name === 'ReadyForQuery') break;
    }
    const row = answers.find(({ name }) => name === 'DataRow');
    expect(row).toBeDefined();
    // Header, number of columns, length: then the value itself.
    const from = 5 + 2 + 4;
    expect(row!.bytes.subarray(from, from + value.length).equals(value)).toBe(true);
    const md5 = createHash('md5').update(value).digest('hex');
    expect(row!.bytes.toString('latin1', from + value.length)).toContain(md5);
  });
});

describe('from the client', () => {
  beforeAll(async () => {
    await stage.look(`
      CREATE TABLE loaded (t text);
      ALTER TABLE loaded OWNER TO countersign;
      CREATE FUNCTION count_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_advisory_lock_shared(3); PERFORM pg_advisory_unlock_shared(3); RETURN NULL; END $$;
      CREATE TRIGGER count_only BEFORE INSERT ON loaded FOR EACH ROW EXECUTE FUNCTION count_only();
    `);
  });

  test('COPY FROM STDIN into a server that waits for a lock in the middle of it', {
    timeout: LONG_MS,
  }, async () => {
    const client = await stage.wire();
    client.write(frame.query('COPY loaded FROM STDIN'));
    await client.until('CopyInResponse');
    await stage.look('SELECT pg_advisory_lock(3)');
    const growth = watchMemory();
    const lines = new Feeder(client, frame.copyData(Buffer.from(`${'x'.repeat(MIB - 1)}\n`)), RELAYED_MIB);
    await serverWaits('advisory');
    await lines.stalls();
    expect(lines.sent).toBeLessThan(64);
    expect(growth()).toBeLessThan(32 * MIB);
    const later = watchMemory();
    await stage.look('SELECT pg_advisory_unlock(3)');
    await lines.done();
    client.write(frame.copyDone());
    await client.until('CommandComplete COPY 0');
    expect(later()).toBeLessThan(GROWTH_MAX);
    await client.ready();
  });

  test('a pipeline of 1,000,000 Executes whose answers nobody reads', { timeout: LONG_MS }, async () => {
    const client = await stage.wire();
    // A kilobyte each, so that a few thousand of them fill every buffer on the way.
    await client.run(frame.parse({ name: 's', text: "SELECT repeat('x', 1000)" }), frame.sync());
    const sink = new Sink(client);
    const growth = watchMemory();
    const intents = (): number =>
      loggedRecords(stage.auditDir).filter(({ type }) => type === 'statement.intent').length;
    const before = intents();
    const thousand = Buffer.concat(
      Array<Buffer>(1000).fill(Buffer.concat([frame.bind({ statement: 's' }), frame.execute({})])),
    );
    const pipeline = new Feeder(client, thousand, 1000);
    await pipeline.stalls();
    expect(growth()).toBeLessThan(GROWTH_MAX);
    // What is judged and recorded is not far ahead of what the server has done: each is remembered until it is answered.
    expect(intents() - before).toBeLessThan(40_000);
    // It is alive, and goes on for whoever reads.
    const { sent } = pipeline;
    sink.drain();
    await eventually(() => pipeline.sent > sent, { timeoutMs: LONG_MS, what: 'it going on' });
    expect(growth()).toBeLessThan(GROWTH_MAX);
    client.socket.destroy();
  });

  test('a long pipeline without a Sync or Flush goes through, in whatever messages', {
    timeout: LONG_MS,
  }, async () => {
    const client = await stage.wire();
    // The server has nothing to say to a CopyDone that ends no COPY, and keeps the answer before it to itself.
    const quiet = Array<Buffer>(30_000).fill(frame.copyDone());
    client.write(extended('SELECT 1'), ...quiet, extended('SELECT 2'), frame.sync());
    const answers = await client.ready();
    expect(answers).toContain('DataRow 1');
    expect(answers).toContain('DataRow 2');
    const closes = Array<Buffer>(30_000).fill(frame.close({ type: 'S', name: 'nobody' }));
    client.write(...closes, frame.sync());
    expect((await client.ready()).length).toBe(30_001);
  });
});

describe('an end in the middle', () => {
  beforeAll(() =>
    stage.look('CREATE TABLE unfinished (t text); ALTER TABLE unfinished OWNER TO countersign'),
  );

  /** Everything that is told until the other side closes, without what is ours alone. */
  async function toldAfterFin(client: WireClient, ...frames: Buffer[]): Promise<string[]> {
    client.write(...frames);
    client.socket.end();
    return await client.closed();
  }

  test.each<[string, Buffer[]]>([
    ['a Query that runs', [frame.query("SELECT pg_sleep(0.5), 'slept'")]],
    ['two of them', [frame.query("SELECT 'one'"), frame.query("SELECT 'two'")]],
    ['a large result', [frame.query("SELECT repeat('x', 1000) FROM generate_series(1, 20000)")]],
    ['a pipeline with its Sync', [extended("SELECT 'one'"), extended("SELECT 'two'"), frame.sync()]],
    ['a pipeline without', [extended("SELECT 'one'"), frame.flush()]],
    ['an error', [frame.query('SELECT 1/0')]],
    ['half a message', [frame.query("SELECT 'one'"), frame.query("SELECT 'two'").subarray(0, 7)]],
    [
      'a COPY FROM STDIN with no end',
      [frame.query('COPY unfinished FROM STDIN'), frame.copyData(Buffer.from('x\n'))],
    ],
    ['nothing at all', []],
  ])(
    'a client that ends its side behind %s, and reads on, is told what the server tells',
    async (_, frames) => {
      const straight = await stage.direct();
      await straight.query('CREATE TABLE unfinished (t text)');
      const direct = await toldAfterFin(straight, ...frames);
      expect(await toldAfterFin(await stage.wire(), ...frames)).toEqual(direct);
    },
  );

  test('a client that vanishes while a message of it waits for the answers before: the session ends all the same', async () => {
    const client = await stage.wire();
    const [, row] = await client.query('SELECT pg_backend_pid()');
    const pid = Number(row?.split(' ')[1]);
    const sql = "SELECT pg_sleep(0.5), 'left waiting'";
    // It may be the data of a COPY, which only the answer to the Query will tell.
    // What stands behind it has an answer too, which nobody is left to read.
    client.write(frame.query(sql), frame.copyData(Buffer.from('x\n')), frame.query("SELECT 'behind it'"));
    const look = (): Promise<{ state: string }[]> =>
      stage.look('SELECT state FROM pg_stat_activity WHERE pid = $1', [pid]);
    await eventually(async () => (await look())[0]?.state === 'active', { what: 'it running' });
    client.socket.resetAndDestroy();
    await eventually(async () => (await look()).length === 0, { what: 'the server’s process being gone' });
    const { outcome, close } = await ended(stage, sql);
    expect(outcome).toMatchObject({ result: 'done' });
    expect(close).toMatchObject({ because: 'client disconnected' });
  });

  test('a client that vanishes while rows flow: the server is let go, and the log says that nobody saw the end', async () => {
    const client = await stage.wire();
    const [, row] = await client.query('SELECT pg_backend_pid()');
    const pid = Number(row?.split(' ')[1]);
    const sql = "SELECT 'vanishing', repeat('x', 10000) FROM generate_series(1, 1000000)";
    client.write(frame.query(sql));
    await client.until('DataRow vanishing');
    client.socket.pause();
    const before = bytesReadBy(stage.proxy.pid);
    client.socket.resetAndDestroy();
    await eventually(
      async () => (await stage.look('SELECT FROM pg_stat_activity WHERE pid = $1', [pid])).length === 0,
      { what: 'the server’s process being gone' },
    );
    // Of ten gigabytes.
    expect(bytesReadBy(stage.proxy.pid) - before).toBeLessThan(64 * MIB);
    const { outcome, close } = await ended(stage, sql);
    expect(outcome).toMatchObject({ result: 'lost' });
    expect(close).toMatchObject({ because: 'client disconnected' });
  });

  describe('by the server', () => {
    let link: Link;
    let linked: Stage;
    beforeAll(async () => {
      link = await linkToPostgres();
      linked = await Stage.open({ target: { host: '127.0.0.1', port: link.port }, budgets: ENDLESS });
    });
    afterAll(async () => {
      await linked?.close();
      link?.close();
    });

    test.each([
      ['amid the value of a DataRow', 'nothing more', 500_000],
      ['amid the header of the message behind it', 'a FATAL', 3],
      ['between two messages', 'a FATAL', 0],
    ])('%s: the client gets what came, and then %s', async (_, then, at) => {
      const sql = `SELECT repeat('x', 1000000) /* ${at} */`;
      const client = await linked.wire();
      // The catalog is read once a statement has waited for it, and nothing more of that comes through the link.
      await client.query("SELECT repeat('x', 1)");
      const received: Buffer[] = [];
      client.socket.on('data', (chunk: Buffer) => received.push(chunk));
      // RowDescription with one column of this name, then the row.
      const description = 5 + 2 + 'repeat'.length + 1 + 18;
      const row = 5 + 2 + 4 + 1_000_000;
      const cut = description + (then === 'a FATAL' ? row : 0) + at;
      link.cutAfter(cut);
      client.write(frame.query(sql));
      await client.closed();
      link.cutAfter(Number.POSITIVE_INFINITY);
      const bytes = Buffer.concat(received);
      if (then === 'nothing more') expect(bytes.length).toBe(cut);
      else {
        expect(bytes.toString('latin1', description + row)).toMatch(/^E[\s\S]+FATAL[\s\S]+08006/);
      }
      const { outcome, close } = await ended(linked, sql);
      expect(outcome).toMatchObject({ result: 'lost' });
      expect(close).toMatchObject({ because: 'upstream closed the connection' });
    });
  });
});

/** How a statement and its session ended, by the log. */
async function ended(of: Stage, sql: string): Promise<{ outcome: object; close: object }> {
  return await eventually(() => {
    const records = loggedRecords(of.auditDir);
    const intent = records.find((record) => record.type === 'statement.intent' && record.sql === sql);
    const outcome = records.find(
      ({ type, leaf }) => type === 'statement.outcome' && leaf['intent'] === intent?.seq,
    );
    const close = records.find(
      ({ type, leaf }) => type === 'session.close' && leaf['session'] === intent?.leaf['session'],
    );
    if (outcome === undefined || close === undefined) return false;
    return { outcome: outcome.leaf, close: close.leaf };
  });
}

describe('a log on a slow disk', () => {
  const disk = slowDisk();
  let slow: Stage;
  beforeAll(async () => {
    slow = await Stage.open({ env: disk.env, budgets: ENDLESS });
    await (await slow.wire()).query('SELECT 1');
  });
  afterEach(() => disk.goOn());
  afterAll(() => slow?.close());

  test('frames that wait for their record hold the client back', { timeout: LONG_MS }, async () => {
    await slow.look('CREATE TABLE noted (t text); ALTER TABLE noted OWNER TO countersign');
    const client = await slow.wire();
    disk.stall();
    const growth = watchMemory(slow);
    // Not a read, so neither it nor what comes behind it may go out before its record is on the disk. What comes behind
    // means nothing to the server, which reads and forgets it.
    client.write(frame.query("INSERT INTO noted VALUES ('late')"));
    const behind = new Feeder(client, frame.copyData(Buffer.alloc(MIB)), 256);
    await behind.stalls(slow);
    expect(behind.sent).toBeLessThan(64);
    expect(growth()).toBeLessThan(32 * MIB);
    expect(await slow.look('SELECT FROM noted')).toEqual([]);
    // Reads need no disk, and nobody else waits.
    expect(await (await slow.wire()).query('SELECT 1')).toContain('DataRow 1');
    disk.goOn();
    await behind.done();
    client.write(frame.query("SELECT 'behind'"));
    expect(await client.ready(2)).toEqual([
      'CommandComplete INSERT 0 1',
      'ReadyForQuery I',
      'RowDescription',
      'DataRow behind',
      'CommandComplete SELECT 1',
      'ReadyForQuery I',
    ]);
  });
});
