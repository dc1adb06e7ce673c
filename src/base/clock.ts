// The only place that reads the time. Everything else is handed a Clock, so that a test can hold time still.

export interface Clock {
  /** Wall-clock time, milliseconds since the Unix epoch. May jump. */
  nowMs(): number;
  /** Monotonic time in microseconds from an arbitrary start. Never jumps back. */
  monoUs(): number;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monoUs: () => Math.round(performance.now() * 1000),
};

/** RFC 3339 in UTC with milliseconds, the one form of a time in records, JSON and messages. */
export function formatTime(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
