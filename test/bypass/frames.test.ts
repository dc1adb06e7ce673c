// Frames that come in the smallest pieces, and as many as there can be: the cost must stay in proportion.
import { expect, test } from 'vitest';
import { Names, preparedOf } from '../../src/gate/names.ts';
import { Pipeline } from '../../src/gate/pipeline.ts';
import { workOfExecute } from '../../src/gate/work.ts';
import { Frame, FrameReader } from '../../src/wire/frames.ts';
import { portalWith, runWith } from '../gate/parts.ts';
import { frame } from '../live/wire-client.ts';

test('a long frame that comes byte by byte does not cost a Buffer a byte', () => {
  const length = 1024 * 1024;
  const whole = Buffer.alloc(length, 7);
  whole[0] = 0x64;
  whole.writeInt32BE(length - 1, 1);
  const reader = new FrameReader(length);
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < length - 1; i++) reader.push(whole.subarray(i, i + 1));
  expect(reader.next()).toBeNull();
  // A Buffer each would be some hundred megabytes.
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 * 1024 * 1024);
  reader.push(whole.subarray(length - 1));
  expect(reader.next()?.bytes.equals(whole)).toBe(true);
  expect(reader.buffered).toBe(0);
});

test('an error that answers nothing makes the server skip only within the extended protocol', () => {
  const pipeline = new Pipeline(() => {});
  pipeline.expect({ kind: 'describe' });
  pipeline.onDescribed();
  pipeline.onError('57014');
  expect(pipeline.skipping).toBe(true);
  pipeline.expect({ kind: 'sync', doubtful: false });
  pipeline.onReadyForQuery('I');
  expect(pipeline.skipping).toBe(false);
  pipeline.onError('57014');
  expect(pipeline.skipping).toBe(false);
  pipeline.onReadyForQuery('I');
  expect(pipeline.idle).toBe(true);
});

test('what may still come for an earlier Sync does not excuse a later answer', () => {
  const pipeline = new Pipeline(() => {});
  pipeline.expect({ kind: 'query', run: runWith(), mayCopyIn: true });
  pipeline.onCopyIn();
  pipeline.expect({ kind: 'sync', doubtful: false });
  pipeline.onError('22P02');
  pipeline.onReadyForQuery('I');
  pipeline.expect({ kind: 'describe' });
  pipeline.onDescribed();
  expect(() => pipeline.onReadyForQuery('I')).toThrow('unexpected answer');
});

test('names that are sent again and again do not make one Execute stand for a million statements', () => {
  const names = new Names();
  const statement = { known: false, text: 'x', reason: 'name', detail: 'x' } as const;
  for (let i = 0; i < 1000; i++) {
    const prepared = preparedOf('x', [statement], []);
    names.expect({ kind: 'statement', name: '', prepared }, 'message');
    names.synced();
  }
  for (let i = 0; i < 1000; i++) {
    const prepared = names.statements.get('');
    names.expect({ kind: 'portal', name: '', portal: portalWith({ prepared }) }, 'message');
    names.synced();
  }
  const work = workOfExecute(new Frame(frame.execute()), names);
  expect(work.statements.length).toBeLessThan(1000);
  expect(work.statements.length).toBeGreaterThan(0);
  expect(work.statements.every(({ known }) => !known)).toBe(true);
});

test('what comes behind a Sync that a failed COPY may have read ends the session, and what comes behind the next does not', () => {
  const failed = (): Pipeline => {
    const pipeline = new Pipeline(() => {});
    pipeline.expect({ kind: 'execute', portal: portalWith(), run: runWith() });
    pipeline.onCopyIn();
    pipeline.expect({ kind: 'sync', doubtful: false });
    pipeline.onError('22P02');
    return pipeline;
  };
  const parse = { kind: 'parse', change: { kind: 'drop statement', name: '' } } as const;
  expect(() => failed().expect(parse)).toThrow('cannot be told apart');

  const waited = failed();
  waited.expect({ kind: 'copy end' });
  waited.expect({ kind: 'sync', doubtful: false });
  waited.onReadyForQuery('I');
  waited.expect(parse);
  waited.onError('42601');
  waited.expect(parse);
  expect(waited.skipping).toBe(true);
});
