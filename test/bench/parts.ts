// All parts of the bench, by the name that --only takes. A new one is a row here.
import { bulk } from './bulk.ts';
import { idle } from './idle.ts';
import { memory } from './memory.ts';
import type { Part } from './part.ts';
import { transactions } from './transactions.ts';

export const PARTS: Readonly<Record<string, Part>> = { transactions, bulk, memory, idle };
