// `countersign schema rules | cases | config`: JSON Schemas for editors, made from the very schemas that the loaders use.
// They know the shape of a file and nothing of its meaning: `check` and `rules test` say the rest.
import { Argument, Command } from 'commander';
import { z } from 'zod';
import { configSchema } from '../config/schema.ts';
import { casesSchema } from '../rules/cases.ts';
import { packSchema } from '../rules/pack.ts';

type JsonSchema = { [key: string]: unknown };

interface Kind {
  readonly title: string;
  readonly schema: z.ZodType;
  /** `${NAME}` may stand for a value of any kind. */
  readonly references: boolean;
}

export const SCHEMAS: Readonly<Record<'rules' | 'cases' | 'config', Kind>> = {
  rules: { title: 'Countersign rule pack', schema: packSchema, references: false },
  cases: { title: 'Countersign rule cases', schema: casesSchema, references: false },
  config: { title: 'Countersign configuration', schema: configSchema, references: true },
};
export type SchemaName = keyof typeof SCHEMAS;

const REFERENCE: JsonSchema = { type: 'string', pattern: '\\$\\{[A-Za-z_][A-Za-z0-9_]*\\}' };

export function schemaCommand(): Command {
  return new Command('schema')
    .description('print the JSON Schema of a kind of file, for editors')
    .addArgument(new Argument('<kind>', 'which file').choices(Object.keys(SCHEMAS)))
    .action((name: SchemaName) => void process.stdout.write(schemaText(name)));
}

export function schemaText(name: SchemaName): string {
  const { title, schema, references } = SCHEMAS[name];
  // Draft 7 is what editors know best. `input`: what is written in the file, before units are read and defaults put in.
  const { $schema, ...shape } = z.toJSONSchema(schema, { io: 'input', target: 'draft-7' });
  const body = references ? withReferences(shape) : shape;
  return `${JSON.stringify({ $schema, title, ...(body as JsonSchema) }, null, 2)}\n`;
}

/** Allows a reference wherever a plain text would not do. Names of keys are never references. */
function withReferences(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(withReferences);
  if (typeof node !== 'object' || node === null) return node;
  const schema = node as JsonSchema;
  if (isPlain(schema)) return { anyOf: [schema, REFERENCE] };
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [
      key,
      ['propertyNames', 'default', 'examples'].includes(key) ? value : withReferences(value),
    ]),
  );
}

function isPlain({ type, pattern, enum: words }: JsonSchema): boolean {
  if (type === 'integer' || type === 'number' || type === 'boolean') return true;
  return type === 'string' && (pattern !== undefined || words !== undefined);
}
