// Durations (`300ms 45s 30m`) and sizes (`10MiB`) as operators write them. The unit is never optional: a bare number
// means seconds to one reader and milliseconds to another.

const DURATION_UNITS_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const SIZE_UNITS_BYTES = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** Node's timers fire at once past 2^31-1 ms, so no duration may come near it. */
const MAX_DURATION_MS = 24 * DURATION_UNITS_MS.d;

const QUANTITY = /^(\d{1,15})([A-Za-z]+)$/;

function parseQuantity(text: string, units: Readonly<Record<string, number>>): number | null {
  const match = QUANTITY.exec(text);
  if (match === null) return null;
  const [, digits = '', unit = ''] = match;
  if (!Object.hasOwn(units, unit)) return null;
  const amount = Number(digits) * (units[unit] ?? 0);
  return Number.isSafeInteger(amount) && amount > 0 ? amount : null;
}

/** Milliseconds, or null when `text` is not a positive duration of at most 24 days. */
export function parseDurationMs(text: string): number | null {
  const ms = parseQuantity(text, DURATION_UNITS_MS);
  return ms !== null && ms <= MAX_DURATION_MS ? ms : null;
}

/** Bytes, or null when `text` is not a positive size. */
export function parseSizeBytes(text: string): number | null {
  return parseQuantity(text, SIZE_UNITS_BYTES);
}
