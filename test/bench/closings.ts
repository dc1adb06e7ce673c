// What was started and must be ended: in reverse order, once, also when the bench fails or is interrupted.
const closings: (() => unknown)[] = [];

/** Remembers how to end something. The function that is returned ends it now, and at most once. */
export function atTheEnd(close: () => unknown): () => Promise<void> {
  closings.push(close);
  return async () => {
    const index = closings.indexOf(close);
    if (index === -1) return;
    closings.splice(index, 1);
    await close();
  };
}

let closing: Promise<void> | null = null;

/**
 * Ends everything that is still there, the newest first. Who asks again waits for the same end: an interruption makes
 * the run fail too, and neither may leave while the other still cleans up.
 */
export function closeAll(): Promise<void> {
  closing ??= (async () => {
    for (let close = closings.pop(); close !== undefined; close = closings.pop()) {
      try {
        await close();
      } catch (error) {
        // One that fails does not keep the others from ending.
        process.stderr.write(`cleaning up: ${error instanceof Error ? error.message : String(error)}\n`);
      }
    }
  })();
  return closing;
}
