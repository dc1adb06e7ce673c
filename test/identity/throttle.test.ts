// Failed logins by address, with time held still.
import { beforeEach, describe, expect, it } from 'vitest';
import type { Clock } from '../../src/base/clock.ts';
import { FailedLogins } from '../../src/identity/throttle.ts';

let elapsedMs = 0;
const clock: Clock = { nowMs: () => 0, monoUs: () => elapsedMs * 1000 };
beforeEach(() => {
  elapsedMs = 0;
});

function failing(times: number, address = '192.0.2.1', failed = new FailedLogins(clock, { blockAt: 10 })) {
  for (let i = 0; i < times; i++) failed.record(address);
  return failed;
}

describe('FailedLogins', () => {
  it('asks nothing of an address that has not failed', () => {
    const failed = failing(0);
    expect(failed.delayMs('192.0.2.1')).toBe(0);
    expect(failed.isBlocked('192.0.2.1')).toBe(false);
  });

  it('makes each failure dearer, up to a limit', () => {
    expect([1, 2, 3, 4, 9].map((times) => failing(times).delayMs('192.0.2.1'))).toEqual([
      100, 200, 400, 800, 3000,
    ]);
  });

  it('shuts the door at the limit, for that address only', () => {
    expect(failing(9).isBlocked('192.0.2.1')).toBe(false);
    const failed = failing(10);
    expect(failed.isBlocked('192.0.2.1')).toBe(true);
    expect(failed.isBlocked('192.0.2.2')).toBe(false);
  });

  it('forgives with time, also whoever went on and on', () => {
    const failed = failing(100_000);
    elapsedMs = 59_000;
    expect(failed.isBlocked('192.0.2.1')).toBe(true);
    elapsedMs = 61_000;
    expect(failed.isBlocked('192.0.2.1')).toBe(false);
    elapsedMs = 3_600_000;
    expect(failed.delayMs('192.0.2.1')).toBe(0);
  });

  it('takes an IPv6 /64 and a mapped IPv4 address for what they are', () => {
    const v6 = failing(10, '2001:db8:1:2::1');
    expect(v6.isBlocked('2001:db8:1:2:ffff::9')).toBe(true);
    expect(v6.isBlocked('2001:db8:1:3::1')).toBe(false);
    const mapped = failing(10, '::ffff:192.0.2.1');
    expect(mapped.isBlocked('192.0.2.1')).toBe(true);
    expect(mapped.isBlocked('::ffff:192.0.2.2')).toBe(false);
  });

  it('remembers so many addresses, the latest', () => {
    const failed = new FailedLogins(clock, { blockAt: 1, maxAddresses: 2 });
    for (const address of ['192.0.2.1', '192.0.2.2', '192.0.2.1', '192.0.2.3']) failed.record(address);
    const blocked = ['192.0.2.1', '192.0.2.2', '192.0.2.3'].filter((address) => failed.isBlocked(address));
    expect(blocked).toEqual(['192.0.2.1', '192.0.2.3']);
  });

  it('counts what is not an address under its own name', () => {
    expect(failing(10, 'unix').isBlocked('unix')).toBe(true);
  });
});
