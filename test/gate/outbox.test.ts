// Nothing reaches the server before the log has what it must have of it, and nothing overtakes.
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { AuditLog } from '../../src/audit/log.ts';
import { type Barrier, Outbox } from '../../src/gate/outbox.ts';
import { Frame } from '../../src/wire/frames.ts';

type Done = (error: Error | null) => void;

function stage() {
  const asked: { level: 'written' | 'durable'; done: Done }[] = [];
  const written: string[] = [];
  const failed: Error[] = [];
  const log: AuditLog = {
    append: () => 0,
    when: (level, done) => void asked.push({ level, done }),
    close: () => Promise.resolve(),
  };
  const outbox = new Outbox(
    log,
    (frames) => written.push(frames.map((frame) => frame.toString()).join('')),
    (error) => failed.push(error),
  );
  const push = (text: string, barrier: Barrier): void => outbox.push(new Frame(Buffer.from(text)), barrier);
  return { asked, written, failed, outbox, push };
}

describe('Outbox', () => {
  let on: ReturnType<typeof stage>;
  beforeEach(() => {
    on = stage();
  });

  it('writes what needs no barrier when it is released, at once and together', () => {
    on.push('a', 'none');
    on.push('b', 'none');
    expect(on.written).toEqual([]);
    expect(on.outbox.empty).toBe(false);
    on.outbox.release();
    expect(on.written).toEqual(['ab']);
    expect(on.asked).toEqual([]);
    expect(on.outbox.empty).toBe(true);
    on.outbox.release();
    expect(on.written).toEqual(['ab']);
  });

  it.each<[Barrier[], Barrier]>([
    [['none', 'written'], 'written'],
    [['written', 'none'], 'written'],
    [['written', 'durable'], 'durable'],
    [['durable', 'written', 'none'], 'durable'],
  ])('a batch of %j waits for %s', (barriers, level) => {
    for (const barrier of barriers) on.push('x', barrier);
    on.outbox.release();
    expect(on.asked.map((asked) => asked.level)).toEqual([level]);
    expect(on.written).toEqual([]);
    expect(on.outbox.empty).toBe(false);
    on.asked[0]?.done(null);
    expect(on.written).toEqual(['x'.repeat(barriers.length)]);
    expect(on.outbox.empty).toBe(true);
  });

  it('does not carry the barrier of one batch over to the next', () => {
    on.push('a', 'durable');
    on.outbox.release();
    on.asked[0]?.done(null);
    on.push('b', 'none');
    on.outbox.release();
    expect(on.written).toEqual(['a', 'b']);
  });

  it('keeps back what needs no barrier behind what does', () => {
    on.push('a', 'durable');
    on.outbox.release();
    on.push('b', 'none');
    on.outbox.release();
    expect(on.written).toEqual([]);
    on.asked[0]?.done(null);
    expect(on.written).toEqual(['a', 'b']);
  });

  it('keeps the order and every barrier, in whatever order the log answers', () => {
    const barriers = fc.array(fc.constantFrom<Barrier>('none', 'written', 'durable'), {
      minLength: 1,
      maxLength: 10,
    });
    fc.assert(
      fc.property(barriers, fc.infiniteStream(fc.nat()), (given, choices) => {
        const { outbox, asked, written, push } = stage();
        const barred: number[] = [];
        given.forEach((barrier, i) => {
          push(String(i), barrier);
          outbox.release();
          if (barrier !== 'none') barred.push(i);
        });
        const open = asked.map(({ done }, i) => ({ done, frame: barred[i] as number }));
        const check = (): void => {
          const first = Math.min(given.length, ...open.map(({ frame }) => frame));
          expect(written).toEqual([...given.keys()].slice(0, first).map(String));
        };
        check();
        while (open.length > 0) {
          const [answered] = open.splice((choices.next().value as number) % open.length, 1);
          answered?.done(null);
          check();
        }
      }),
    );
  });

  it('writes nothing any more once it is closed', () => {
    on.push('a', 'durable');
    on.outbox.release();
    on.push('b', 'none');
    on.outbox.close();
    on.asked[0]?.done(null);
    on.outbox.release();
    on.push('c', 'none');
    on.outbox.release();
    expect(on.written).toEqual([]);
    expect(on.failed).toEqual([]);
  });

  it('fails, and writes nothing, when the log does', () => {
    const broken = new Error('disk full');
    on.push('a', 'written');
    on.outbox.release();
    on.push('b', 'none');
    on.outbox.release();
    on.asked[0]?.done(broken);
    expect(on.failed).toEqual([broken]);
    on.push('c', 'none');
    on.outbox.release();
    expect(on.written).toEqual([]);
  });

  it('does not fail after it was closed', () => {
    on.push('a', 'durable');
    on.outbox.release();
    on.outbox.close();
    on.asked[0]?.done(new Error('disk full'));
    expect(on.failed).toEqual([]);
  });
});
