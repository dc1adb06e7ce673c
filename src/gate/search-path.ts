// The search_path as the server reports it, as the schemas that it names.

/** One element: quoted, with "" for a quote, or bare. */
const ELEMENT = /\s*(?:"((?:[^"]|"")*)"|([^",\s]+))\s*(,|$)/y;

/** Null where it cannot be read. `$user` is the schema of the role's name. */
export function schemasOf(reported: string, role: string): readonly string[] | null {
  const schemas: string[] = [];
  if (reported.trim() === '') return schemas;
  ELEMENT.lastIndex = 0;
  for (;;) {
    const match = ELEMENT.exec(reported);
    if (match === null) return null;
    const [, quoted, bare, end] = match;
    const name = quoted?.replaceAll('""', '"') ?? (bare ?? '').toLowerCase();
    schemas.push(name === '$user' ? role : name);
    if (end === '') return schemas;
  }
}
