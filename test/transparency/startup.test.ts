// What a client is told when it connects, by the server and by us: every report, or the refusal. What differs on purpose
// stands in by-design.yaml, and must differ.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Refused } from '../live/wire-client.ts';
import { BY_DESIGN, type Parameters } from './by-design.ts';
import { Pair, type Way } from './observed.ts';

const ALIKE: readonly Parameters[] = [
  {},
  { client_encoding: 'UTF8' },
  { client_encoding: 'utf-8' },
  { application_name: 'é 日本\ttab' },
  { application_name: '' },
  { DateStyle: 'German', TimeZone: 'Asia/Tokyo', INTERVALSTYLE: 'iso_8601' },
  { options: '-c work_mem=3MB --search-path=a,b -cgeqo=off' },
  { options: '-c application_name=from\\ options', application_name: 'of its own' },
  { options: '-c no.such=made\\ up' },
  { standard_conforming_strings: 'off' },
  { default_transaction_read_only: 'on', is_superuser: 'on' },
  { work_mem: 'lots' },
  { work_mem: '1kB' },
  { statement_timeout: '1 fortnight' },
  { no_such_setting: '1' },
  { options: '-c no_such_setting=1' },
  { options: '-c log_statement=none' },
  { wal_level: 'minimal' },
  { role: 'nobody_here' },
  { replication: 'false' },
  { '_pq_.something': '1' },
  { database: 'no_such_database' },
];

let pair: Pair;
beforeAll(async () => {
  pair = await Pair.open();
});
afterAll(() => pair?.close());

/** Everything that was said up to ReadyForQuery or the refusal, but for what is anyone's own: the key, and SCRAM. */
async function told(way: Way, parameters: Parameters): Promise<unknown> {
  try {
    const client = await pair.wire(way, { parameters });
    const said = client.greeting.filter((text) => !/^(Authentication|BackendKeyData)/.test(text));
    await client.end();
    return { said, parameters: Object.fromEntries(client.parameters) };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    // Where in its source the server made it up is not ours to say.
    const { F, L, R, ...fields } = error.fields;
    return { fields };
  }
}

test.each(ALIKE)('alike: %j', async (parameters) => {
  expect(await told('through', parameters)).toEqual(await told('direct', parameters));
});

test.each(BY_DESIGN.startup)('differs by design: $parameters', async ({ parameters }) => {
  expect(await told('through', parameters)).not.toEqual(await told('direct', parameters));
});
