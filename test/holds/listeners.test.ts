import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { newHoldId } from '../../src/base/ids.ts';
import type { Hold, HoldChange } from '../../src/holds/hold.ts';
import { Listeners } from '../../src/holds/listeners.ts';
import { newHold } from '../../src/holds/machine.ts';
import { request } from './sample.ts';

const hold = newHold(request());
const { id } = hold.request;
const at = (version: number): Hold => ({ ...hold, version });

function listen(): { listeners: Listeners; heard: unknown[]; stop: () => void; bugs: unknown[] } {
  const heard: unknown[] = [];
  const bugs: unknown[] = [];
  const listeners = new Listeners((error) => bugs.push(error));
  const stop = listeners.watch(
    id,
    (seen) => heard.push(seen.version),
    (error) => heard.push(error.message),
  );
  return { listeners, heard, stop, bugs };
}

describe('a watcher', () => {
  it('is told later, each newer version once', async () => {
    const { listeners, heard } = listen();
    for (const version of [1, 2, 2, 1, 4, 3]) listeners.seen(at(version));
    expect(heard).toEqual([]);
    await turn();
    expect(heard).toEqual([2, 4]);
  });

  it('hears nothing once it has stopped, also of what was under way', async () => {
    const { listeners, heard, stop } = listen();
    listeners.seen(at(2));
    listeners.lose([id], new Error('gone'));
    stop();
    await turn();
    expect(heard).toEqual([]);
    expect(listeners.watchedIds()).toEqual([]);
  });

  it('is told of an outage once, and of the next one again', async () => {
    const { listeners, heard } = listen();
    listeners.lose([id], new Error('first'));
    listeners.lose([id, newHoldId()], new Error('still'));
    expect(listeners.wants(id, 1)).toBe(true);
    listeners.seen(at(1));
    expect(listeners.wants(id, 1)).toBe(false);
    listeners.lose([id], new Error('second'));
    await turn();
    expect(heard).toEqual(['first', 'second']);
  });

  it('does not lose its place to one that stopped before it came', async () => {
    const { listeners, stop } = listen();
    stop();
    const heard: number[] = [];
    listeners.watch(
      id,
      (seen) => heard.push(seen.version),
      () => {},
    );
    stop();
    listeners.seen(at(2));
    await turn();
    expect(heard).toEqual([2]);
  });
});

describe('a listener to all changes', () => {
  const change: HoldChange = { hold, event: null };

  it('given twice is two, and ends one by one', async () => {
    const { listeners } = listen();
    let calls = 0;
    const listener = (): void => {
      calls++;
    };
    const stop = listeners.onChange(listener);
    listeners.onChange(listener);
    listeners.changed(change);
    await turn();
    expect(calls).toBe(2);
    stop();
    listeners.changed(change);
    await turn();
    expect(calls).toBe(3);
  });

  it('that throws is reported, and the next one still called', async () => {
    const { listeners, bugs } = listen();
    const bug = new Error('a bug');
    listeners.onChange(() => {
      throw bug;
    });
    const heard: HoldChange[] = [];
    listeners.onChange((told) => heard.push(told));
    listeners.changed(change);
    await turn();
    expect(bugs).toEqual([bug]);
    expect(heard).toEqual([change]);
  });
});
