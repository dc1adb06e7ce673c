// Whether a regular expression of a rule can be made to take exponential time. JavaScript's engine backtracks, and the
// text is the agent's choice: one slow pattern would stop every session of the process.

/** Why `pattern` is refused, or null. Refuses more than it must: a repeated group may neither repeat nor choose inside. */
export function patternFault(pattern: string): string | null {
  try {
    new RegExp(pattern);
  } catch {
    return 'is not a regular expression';
  }
  // For each open group, whether something in it repeats without end or has alternatives.
  const groups = [false];
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i];
    if (char === '\\') i++;
    else if (char === '[') i = endOfClass(pattern, i);
    else if (char === '(') groups.push(false);
    else if (char === '|') groups[groups.length - 1] = true;
    else if (char === ')') {
      const inner = groups.pop() ?? false;
      const repeated = isRepetition(pattern, i + 1);
      if (inner && repeated) return 'repeats a group that itself repeats or has alternatives';
      if (inner || repeated) groups[groups.length - 1] = true;
    } else if (isRepetition(pattern, i)) groups[groups.length - 1] = true;
  }
  return null;
}

function endOfClass(pattern: string, start: number): number {
  for (let i = start + 1; i < pattern.length; i++) {
    if (pattern[i] === '\\') i++;
    else if (pattern[i] === ']') return i;
  }
  return pattern.length;
}

function isRepetition(pattern: string, at: number): boolean {
  return /^(?:[*+]|\{\d+(?:,\d*)?\})/.test(pattern.slice(at, at + 16));
}
