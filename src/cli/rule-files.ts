// Which rule files a command is about, as all commands of `countersign rules` take them.
import { fileURLToPath } from 'node:url';

/** The one that ships with this installation, wherever the command is run. */
export const DEFAULT_PACK = fileURLToPath(new URL('../../rules/default.yaml', import.meta.url));

export const several = (value: string, previous: readonly string[] = []): readonly string[] => [
  ...previous,
  value,
];
