// Any order of messages, each of which may fail, before a model of the server that is all of ten lines; its answers seen
// however late. Every message must come to what the model made of it.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CountersignError } from '../../src/base/errors.ts';
import { type Expected, Pipeline, type Result } from '../../src/gate/pipeline.ts';
import { portalWith, runWith } from './parts.ts';

const KINDS = [
  'parse',
  'bind',
  'close',
  'describe',
  'execute',
  'query',
  'function call',
  'refused execute',
  'refused query',
  'sync',
  'copy end',
] as const satisfies readonly Expected['kind'][];
type Kind = (typeof KINDS)[number];

interface Message {
  readonly kind: Kind;
  readonly fails: boolean;
  /** Of an Execute: the row limit is reached. Of a Query: statements that complete. */
  readonly count: number;
}

type Answer = (pipeline: Pipeline) => void;

const error = new CountersignError('denied', 'denied by rule "test"');
const change = { kind: 'drop statement', name: '' } as const;
const portal = portalWith();

function entryOf(kind: Kind): Expected {
  switch (kind) {
    case 'parse':
    case 'bind':
    case 'close':
      return { kind, change };
    case 'execute':
      return { kind, portal, run: runWith() };
    case 'query':
      return { kind, run: runWith(), mayCopyIn: true };
    case 'function call':
      return { kind, run: runWith() };
    case 'refused execute':
    case 'refused query':
      return { kind, error };
    case 'sync':
      return { kind, doubtful: false };
    default:
      return { kind };
  }
}

const failed: Answer = (pipeline) => pipeline.onError('22012');
const ready: Answer = (pipeline) => pipeline.onReadyForQuery('I');

/** What the server answers to a message that it does not skip, and what the message has come to. */
function answered({ kind, fails, count }: Message): [Answer[], Result] {
  const complete: Answer[] = Array.from(
    { length: count },
    () => (pipeline) => pipeline.onCommandComplete('X'),
  );
  switch (kind) {
    case 'sync':
      return [[...(fails ? [failed] : []), ready], 'done'];
    case 'refused query':
      return [[failed, ready], 'done'];
    case 'query':
      return fails
        ? [[...complete, failed, ready], 'failed']
        : [[...complete, (pipeline) => pipeline.onCommandComplete(null), ready], 'done'];
    case 'function call':
      return fails
        ? [[failed, ready], 'failed']
        : [[(pipeline) => pipeline.onFunctionCallResponse(), ready], 'done'];
    case 'execute':
      if (fails) return [[failed], 'failed'];
      return count === 0
        ? [[(pipeline) => pipeline.onPortalSuspended()], 'suspended']
        : [[(pipeline) => pipeline.onCommandComplete('X')], 'done'];
    case 'refused execute':
      return [[failed], 'failed'];
    case 'copy end':
      return [[], 'done'];
  }
  if (fails) return [[failed], 'failed'];
  const good: Record<typeof kind, Answer> = {
    parse: (pipeline) => pipeline.onParseComplete(),
    bind: (pipeline) => pipeline.onBindComplete(),
    close: (pipeline) => pipeline.onCloseComplete(),
    describe: (pipeline) => pipeline.onDescribed(),
  };
  return [[good[kind]], 'done'];
}

/** After an error in the extended protocol everything is skipped up to a Sync. */
const STOPS_NOTHING: ReadonlySet<Kind> = new Set(['query', 'function call', 'refused query', 'sync']);

const messages = fc.array(
  fc.record<Message>({ kind: fc.constantFrom(...KINDS), fails: fc.boolean(), count: fc.nat(2) }),
  { maxLength: 40 },
);
const lateness = fc.array(fc.nat(8), { minLength: 1, maxLength: 20 });

test('every message comes to what the server made of it, whatever fails and however late that is seen', () => {
  fc.assert(
    fc.property(messages, lateness, (sent, late) => {
      const settled = new Map<Expected, Result>();
      const order: Expected[] = [];
      const pipeline = new Pipeline((entry, result) => {
        expect(settled.has(entry), 'settled twice').toBe(false);
        settled.set(entry, result);
        order.push(entry);
      });
      const waiting: { answer: Answer; ours: boolean }[] = [];
      const see = (count: number): void => {
        for (const { answer, ours } of waiting.splice(0, Math.max(0, count))) {
          if (answer === failed) expect(pipeline.refusal !== null).toBe(ours);
          answer(pipeline);
        }
      };
      const wanted: [Expected, Result][] = [];
      let skipping = false;
      const all: readonly Message[] = [...sent, { kind: 'sync', fails: false, count: 0 }];
      all.forEach((message, i) => {
        const entry = entryOf(message.kind);
        if (message.kind === 'sync') skipping = false;
        pipeline.expect(entry);
        const [answers, result] = skipping ? [[], 'skipped' as const] : answered(message);
        if (result === 'failed' && !STOPS_NOTHING.has(message.kind)) skipping = true;
        if (message.kind !== 'copy end') wanted.push([entry, result]);
        waiting.push(...answers.map((answer) => ({ answer, ours: 'error' in entry })));
        see(waiting.length - (late[i % late.length] ?? 0));
      });
      see(waiting.length);

      expect(wanted.map(([entry, result]) => [entry.kind, result, settled.get(entry)])).toEqual(
        wanted.map(([entry, result]) => [entry.kind, result, result]),
      );
      const answeredOnes = wanted.filter(([, result]) => result !== 'skipped').map(([entry]) => entry);
      expect(order.filter((entry) => settled.get(entry) !== 'skipped')).toEqual(answeredOnes);
      expect(pipeline.idle).toBe(true);
      expect(pipeline.skipping).toBe(false);
    }),
    { numRuns: 1000 },
  );
});
