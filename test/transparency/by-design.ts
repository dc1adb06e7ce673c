// by-design.yaml: where a client can tell us from the server, or our log from the server's, on purpose.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { PROJECT } from '../services/places.ts';

/** Of a StartupMessage, besides user and database. */
export type Parameters = Readonly<Record<string, string>>;

interface ByDesign {
  readonly startup: readonly { readonly parameters: Parameters; readonly because: string }[];
  readonly logs: readonly { readonly script: string; readonly because: string }[];
}

export const BY_DESIGN = parse(
  readFileSync(join(PROJECT, 'test', 'transparency', 'by-design.yaml'), 'utf8'),
) as ByDesign;
