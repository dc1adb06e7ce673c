// Whole conversations with a real server (test/vectors/wire/conversations.json): each frame comes to what the server made
// of it, however late the answers are seen. And what only the sender's side can tell.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { CountersignError } from '../../src/base/errors.ts';
import { type Expected, Pipeline, type Result, UnexpectedAnswer } from '../../src/gate/pipeline.ts';
import type { TransactionStatus } from '../../src/wire/backend.ts';
import { portalWith, runWith } from './parts.ts';

type Sent = readonly [string, ...(string | number)[]];
/** A message, what the server answered before the next one came, and what the message came to. */
type Step = readonly [Sent, readonly string[], Result | null];

const conversations = JSON.parse(
  readFileSync(new URL('../vectors/wire/conversations.json', import.meta.url), 'utf8'),
) as readonly { what: string; steps: readonly Step[] }[];

const error = new CountersignError('denied', 'denied by rule "test"');

/** What goes into the pipeline for a message; null for one that is forwarded without a word. */
function expected([kind, first]: Sent): Expected | null {
  const change = { kind: 'drop statement', name: '' } as const;
  switch (kind) {
    case 'Parse':
      return { kind: 'parse', change };
    case 'Bind':
      return { kind: 'bind', change };
    case 'Close':
      return { kind: 'close', change };
    case 'Describe':
      return { kind: 'describe' };
    case 'Execute':
      return { kind: 'execute', portal: portalWith({ name: String(first) }), run: runWith() };
    case 'Query':
      return { kind: 'query', run: runWith(), mayCopyIn: true };
    case 'FunctionCall':
      return { kind: 'function call', run: runWith() };
    case 'refused Execute':
      return { kind: 'refused execute', error };
    case 'refused Query':
    case 'refused FunctionCall':
      return { kind: 'refused query', error };
    case 'Sync':
      return { kind: 'sync', doubtful: false };
    case 'CopyDone':
    case 'CopyFail':
      return { kind: 'copy end' };
    default:
      return null;
  }
}

function answer(pipeline: Pipeline, message: string): void {
  const [letter, detail = ''] = [message[0], message.slice(2)];
  switch (letter) {
    case '1':
      return pipeline.onParseComplete();
    case '2':
      return pipeline.onBindComplete();
    case '3':
      return pipeline.onCloseComplete();
    case 'T':
    case 'n':
      return pipeline.onDescribed();
    case 'C':
      return pipeline.onCommandComplete(detail);
    case 'I':
      return pipeline.onCommandComplete(null);
    case 's':
      return pipeline.onPortalSuspended();
    case 'G':
      return pipeline.onCopyIn();
    case 'E':
      return pipeline.onError(detail);
    case 'Z':
      return pipeline.onReadyForQuery(detail as TransactionStatus);
    case 'V':
      return pipeline.onFunctionCallResponse();
    case 't':
    case 'D':
    case 'H':
    case 'd':
    case 'c':
      return;
    default:
      throw new Error(`no such answer: ${message}`);
  }
}

interface Told {
  readonly settled: readonly [Expected, Result][];
  readonly entries: readonly (Expected | null)[];
  readonly errors: readonly string[];
  readonly pipeline: Pipeline;
}

/** `late()`: how many of the answers that could be seen by now are not, yet. */
function hold(steps: readonly Step[], late: () => number): Told {
  const settled: [Expected, Result][] = [];
  const errors: string[] = [];
  const pipeline = new Pipeline((entry, result) => settled.push([entry, result]));
  const waiting: string[] = [];
  const see = (count: number): void => {
    for (const message of waiting.splice(0, Math.max(0, count))) {
      if (message.startsWith('E')) errors.push(pipeline.refusal === null ? message : 'ours');
      answer(pipeline, message);
    }
  };
  const entries = steps.map(([sent, answers]) => {
    const entry = expected(sent);
    if (entry !== null) pipeline.expect(entry);
    waiting.push(...answers);
    see(waiting.length - late());
    return entry;
  });
  see(waiting.length);
  return { settled, entries, errors, pipeline };
}

const lateness: readonly [string, fc.Arbitrary<readonly number[]>][] = [
  ['at once', fc.constant([0])],
  ['after everything has been sent', fc.constant([1e6])],
  ['some time later', fc.array(fc.nat(6), { minLength: 1, maxLength: 30 })],
];

describe.each(conversations)('$what', ({ steps }) => {
  it.each(lateness)('comes to what the server made of it, answers seen %s', (_, arbitrary) => {
    fc.assert(
      fc.property(arbitrary, (lates) => {
        let turn = 0;
        const { settled, entries, errors, pipeline } = hold(steps, () => lates[turn++ % lates.length] ?? 0);
        const answers = steps.flatMap(([, heard]) => heard);

        const own = settled.filter(([entry]) => entry.kind !== 'sync');
        const wanted = steps.flatMap(([[kind], , result], i) => (result === null ? [] : [[i, kind, result]]));
        expect(
          own.map(([entry, result]) => [
            entries.indexOf(entry),
            steps[entries.indexOf(entry)]?.[0][0],
            result,
          ]),
        ).toEqual(wanted);

        expect(pipeline.idle).toBe(true);
        expect(pipeline.skipping).toBe(false);
        expect(pipeline.copyIn).toBe(false);
        expect(pipeline.implicitBlock).toBe(false);
        const last = answers.findLast((message) => message.startsWith('Z'));
        expect(`Z ${pipeline.status}`).toBe(last);

        // Ours goes out for the errors of the frames that we put there, and for no other.
        const refused = settled.filter(([entry, result]) => 'error' in entry && result !== 'skipped');
        expect(errors.filter((message) => message === 'ours')).toHaveLength(refused.length);
        const failed = settled.flatMap(([entry]) => ('run' in entry ? [entry.run.sqlstate] : []));
        for (const sqlstate of failed) if (sqlstate !== null) expect(errors).toContain(`E ${sqlstate}`);
      }),
      { numRuns: 60 },
    );
  });

  it('gives each statement its command tags', () => {
    const { settled } = hold(steps, () => 0);
    const tags = settled.flatMap(([entry]) => ('run' in entry ? entry.run.tags : []));
    const sent = steps.flatMap(([, heard]) => heard.filter((message) => message.startsWith('C ')));
    expect(tags).toEqual(sent.map((message) => message.slice(2)));
  });
});

it('has conversations enough to mean something', () => {
  expect(conversations.length).toBeGreaterThanOrEqual(60);
  expect(conversations.every(({ steps }) => steps.some(([, answers]) => answers.length > 0))).toBe(true);
});

describe('between sending and hearing', () => {
  let settled: [Expected['kind'], Result][];
  let pipeline: Pipeline;
  beforeEach(() => {
    settled = [];
    pipeline = new Pipeline((entry, result) => settled.push([entry.kind, result]));
  });
  const send = (...sent: readonly Sent[]): (Expected | null)[] =>
    sent.map((message) => {
      const entry = expected(message);
      if (entry !== null) pipeline.expect(entry);
      return entry;
    });
  const hear = (...answers: readonly string[]): void => {
    for (const message of answers) answer(pipeline, message);
  };

  it('is idle exactly while nothing is owed', () => {
    expect(pipeline.idle).toBe(true);
    send(['Parse']);
    expect(pipeline.idle).toBe(false);
    hear('1');
    expect(pipeline.idle).toBe(true);
    send(['Sync']);
    expect(pipeline.idle).toBe(false);
    hear('Z I');
    expect(pipeline.idle).toBe(true);
    send(['Query']);
    hear('C SELECT 1');
    expect(pipeline.idle).toBe(false);
    hear('Z I');
    expect(pipeline.idle).toBe(true);
    send(['CopyDone']);
    expect(pipeline.idle).toBe(true);
  });

  it('skips after an error until a Sync is sent, not until it is answered', () => {
    send(['Parse'], ['Bind']);
    hear('E 42601');
    expect(pipeline.skipping).toBe(true);
    expect(pipeline.idle).toBe(true);
    send(['Execute']);
    expect(settled.at(-1)).toEqual(['execute', 'skipped']);
    send(['Sync'], ['Parse']);
    expect(pipeline.skipping).toBe(false);
    hear('Z I', '1');
    expect(settled).toEqual([
      ['parse', 'failed'],
      ['bind', 'skipped'],
      ['execute', 'skipped'],
      ['sync', 'done'],
      ['parse', 'done'],
    ]);
  });

  it('does not skip what stands behind a Sync that was sent before the error was heard', () => {
    send(['Parse'], ['Sync'], ['Execute']);
    hear('E 42601');
    expect(pipeline.skipping).toBe(false);
    expect(settled).toEqual([['parse', 'failed']]);
  });

  it('knows the implicit transaction block that the next message would run in', () => {
    send(['Parse'], ['Bind']);
    expect(pipeline.implicitBlock).toBe(false);
    send(['Execute']);
    expect(pipeline.implicitBlock).toBe(true);
    hear('1', '2', 'C SELECT 1');
    expect(pipeline.implicitBlock).toBe(true);
    send(['Sync']);
    expect(pipeline.implicitBlock).toBe(false);
    send(['Execute']);
    hear('Z I'); // of the Sync before it
    expect(pipeline.implicitBlock).toBe(true);
    send(['Query']);
    expect(pipeline.implicitBlock).toBe(false);
  });

  it('does not take a Sync within COPY FROM STDIN for the end of the implicit transaction block', () => {
    send(['Execute'], ['Sync']);
    hear('G');
    expect(pipeline.copyIn).toBe(true);
    expect(pipeline.implicitBlock).toBe(true);
    send(['Sync']);
    expect(pipeline.implicitBlock).toBe(true);
    send(['CopyDone'], ['Sync']);
    expect(pipeline.implicitBlock).toBe(false);
  });

  it('waits for CopyData until a CopyDone, an error or a CopyDone that was already sent', () => {
    send(['Query']);
    hear('G');
    expect(pipeline.copyIn).toBe(true);
    send(['CopyDone']);
    expect(pipeline.copyIn).toBe(false);
    hear('C COPY 1', 'G');
    expect(pipeline.copyIn).toBe(true);
    hear('E 22P02');
    expect(pipeline.copyIn).toBe(false);
    hear('Z I');
    send(['Query'], ['CopyDone']);
    hear('G');
    expect(pipeline.copyIn).toBe(false);
  });

  it('names the run whose rows arrive and the refusal whose error does', () => {
    const [first, second] = send(['Execute'], ['Query'], ['refused Query']);
    expect(pipeline.current).toBe(first && 'run' in first ? first.run : undefined);
    expect(pipeline.refusal).toBeNull();
    hear('C SELECT 1');
    expect(pipeline.current).toBe(second && 'run' in second ? second.run : undefined);
    hear('C SELECT 1', 'Z I');
    expect(pipeline.current).toBeNull();
    expect(pipeline.refusal).toBe(error);
    hear('E 42601', 'Z I');
    expect(pipeline.refusal).toBeNull();
  });

  it('marks the portal that the server suspended, and no other', () => {
    const [first, second] = send(['Execute', 'p'], ['Execute', 'q']);
    hear('s', 'C SELECT 1');
    expect([first, second].map((entry) => entry?.kind === 'execute' && entry.portal.suspended)).toEqual([
      true,
      false,
    ]);
  });

  it('loses everything that is still owed, in order', () => {
    send(['Parse'], ['Execute'], ['Sync'], ['Query']);
    hear('1');
    pipeline.lose();
    expect(settled).toEqual([
      ['parse', 'done'],
      ['execute', 'lost'],
      ['sync', 'lost'],
      ['query', 'lost'],
    ]);
    expect(pipeline.idle).toBe(true);
  });

  it.each<[string, readonly Sent[], readonly string[]]>([
    ['ReadyForQuery that nothing asked for', [], ['Z I']],
    ['ReadyForQuery in place of ParseComplete', [['Parse']], ['Z I']],
    ['ReadyForQuery for a Query without any answer', [['Query']], ['Z I']],
    ['ReadyForQuery for a refused Query without its error', [['refused Query']], ['Z I']],
    ['a second ReadyForQuery', [['Sync']], ['Z I', 'Z I']],
    ['CommandComplete for a refused Execute', [['refused Execute']], ['C DROP TABLE']],
    ['CommandComplete for a refused Query', [['refused Query']], ['C DROP TABLE']],
    ['CommandComplete while skipping', [['Parse'], ['Execute']], ['E 42601', 'C DROP TABLE']],
    ['ParseComplete for a Bind', [['Bind']], ['1']],
    ['BindComplete for a Parse', [['Parse']], ['2']],
    ['CloseComplete for a Sync', [['Sync']], ['3']],
    ['RowDescription for an Execute', [['Execute']], ['T']],
    ['PortalSuspended for a Query', [['Query']], ['s']],
    ['CopyInResponse for a Sync', [['Sync']], ['G']],
  ])('cannot follow %s', (_, sent, answers) => {
    send(...sent);
    expect(() => hear(...answers)).toThrow(UnexpectedAnswer);
  });
});

describe('what only the server could tell ends the session', () => {
  const told: [string, Result][] = [];
  let pipeline: Pipeline;
  beforeEach(() => {
    told.length = 0;
    pipeline = new Pipeline((entry, result) => told.push([entry.kind, result]));
  });
  const change = { kind: 'drop statement', name: '' } as const;
  const send = (...kinds: readonly ('execute' | 'parse' | 'sync' | 'copy end' | 'query')[]): void => {
    for (const kind of kinds) {
      if (kind === 'execute') pipeline.expect({ kind, portal: portalWith(), run: runWith() });
      else if (kind === 'query') pipeline.expect({ kind, run: runWith(), mayCopyIn: true });
      else if (kind === 'parse') pipeline.expect({ kind, change });
      else if (kind === 'sync') pipeline.expect({ kind, doubtful: false });
      else pipeline.expect({ kind });
    }
  };
  const untold = /cannot be told apart/;

  it('behind a COPY that failed before or after its Sync was read', () => {
    send('execute', 'sync');
    pipeline.onCopyIn();
    send('copy end', 'parse', 'sync');
    expect(() => pipeline.onError('42809')).toThrow(untold);
  });

  it('but nothing but Syncs behind it can be followed, whichever it was', () => {
    for (const syncs of [1, 2]) {
      send('execute', 'sync');
      pipeline.onCopyIn();
      send('copy end', 'sync');
      pipeline.onError('42809');
      for (let i = 0; i < syncs; i++) pipeline.onReadyForQuery('I');
      send('parse', 'sync');
      pipeline.onParseComplete();
      pipeline.onReadyForQuery('I');
      expect(pipeline.idle).toBe(true);
    }
  });

  it('a statement within a COPY, where the server has forgotten it', () => {
    send('query');
    pipeline.onCopyIn();
    send('query');
    expect(() => pipeline.onError('08P01')).toThrow(untold);
  });

  it('a time-out, at a Flush or at the Query behind it', () => {
    send('parse');
    pipeline.flushed();
    send('query');
    pipeline.onParseComplete();
    expect(() => pipeline.onError('57014')).toThrow(untold);
  });

  it('but a Sync between them, or another error, says which', () => {
    send('parse');
    pipeline.flushed();
    send('sync', 'query');
    pipeline.onParseComplete();
    pipeline.onReadyForQuery('I');
    pipeline.onError('57014');
    pipeline.onReadyForQuery('I');
    send('parse');
    pipeline.flushed();
    send('query');
    pipeline.onParseComplete();
    pipeline.onError('22012');
    pipeline.onReadyForQuery('I');
    expect(told.map(([kind, result]) => `${kind} ${result}`)).toEqual([
      'parse done',
      'sync done',
      'query failed',
      'parse done',
      'query failed',
    ]);
  });
});
