import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { parse, stringify } from 'yaml';

import { repositoryRoot } from '../../core/index.js';
import { scenarioJsonSchema } from '../../scenario/index.js';

/** As much of JSON Schema as ours uses. */
interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
}

interface Key {
  readonly path: string;
  readonly schema: Schema;
  readonly isRequired: boolean;
}

/** In one line of the page. */
const LONGEST_EXAMPLE = 100;

/**
 * The reference of the scenario format: every key of the schema, and for each the shortest example that a scenario has.
 *
 * @param files Of scenarios, relative to the repository.
 */
export async function renderFormatPage(files: readonly string[]): Promise<string> {
  const { definitions } = scenarioJsonSchema() as { definitions: { whole: Schema } };
  const examples = new Map<string, { readonly text: string; readonly file: string }>();
  for (const file of files) {
    const tree: unknown = parse(await readFile(path.join(repositoryRoot, file), 'utf8'));
    collect(tree, '', (key, value) => {
      const text = stringify(value, {
        collectionStyle: 'flow',
        lineWidth: 0,
        flowCollectionPadding: true,
      }).trim();
      const before = examples.get(key);
      if (
        text.includes('\n') ||
        text.length > LONGEST_EXAMPLE ||
        (before && before.text.length <= text.length)
      )
        return;
      examples.set(key, { text, file });
    });
  }
  const keys = readKeys(definitions.whole, '');
  const lines = keys.map(({ path: key, schema, isRequired }) => {
    const example = examples.get(key);
    return [
      `- **\`${key}\`** (${typeOf(schema)}${isRequired ? ', required' : ''})`,
      ...(schema.description === undefined ? [] : [schema.description.replace(/[<>*_]/g, '\\$&')]),
      ...(schema.default === undefined ? [] : [`Default: \`${JSON.stringify(schema.default)}\`.`]),
      ...(example === undefined
        ? []
        : [
            `Example: \`${example.text}\` ([${path.dirname(example.file).replace('scenarios/', '')}](../../${example.file})).`,
          ]),
    ].join('<br>\n  ');
  });
  return `# Scenario format

Made from the schema by \`npm run reference\`; a test keeps it fresh. \`<name>\` is a name of yours, \`[]\` an element of a list.
Names below \`system\` are those of NixOS's options, and mean the same. A scenario that \`extends\` another may lack every key but
\`imperm\`, and takes a key away by \`null\`. Rules over several keys are told by \`imperm plan\` and \`imperm check\`, with line and column.

${lines.join('\n')}
`;
}

/** Every key with its path, in the order of the schema; the forms of one value are taken together. */
function readKeys(schema: Schema, prefix: string): readonly Key[] {
  const found = new Map<string, Key>();
  const add = (keys: readonly Key[]): void => {
    for (const key of keys) if (!found.has(key.path)) found.set(key.path, key);
  };
  for (const [name, own] of Object.entries(schema.properties ?? {})) {
    const key = prefix === '' ? name : `${prefix}.${name}`;
    add([{ path: key, schema: own, isRequired: schema.required?.includes(name) ?? false }]);
    add(readKeys(own, key));
  }
  if (typeof schema.additionalProperties === 'object')
    add(readKeys(schema.additionalProperties, `${prefix}.<name>`));
  if (schema.items !== undefined) add(readKeys(schema.items, `${prefix}[]`));
  for (const form of schema.anyOf ?? []) add(readKeys(form, prefix));
  return [...found.values()];
}

function typeOf(schema: Schema): string {
  if (schema.anyOf !== undefined) return [...new Set(schema.anyOf.map(typeOf))].join(' or ');
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${String(value)}\``).join(', ');
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.type === 'array') return schema.items === undefined ? 'list' : `list of ${typeOf(schema.items)}`;
  return schema.type === 'object' ? 'map' : (schema.type ?? 'anything');
}

/** Calls for every value of a scenario, with its place in the schema: where names are free, for both forms. */
function collect(value: unknown, key: string, call: (key: string, value: unknown) => void): void {
  if (value === null) return;
  if (key !== '') call(key, value);
  if (Array.isArray(value)) for (const each of value) collect(each, `${key}[]`, call);
  else if (typeof value === 'object')
    for (const [name, own] of Object.entries(value)) {
      collect(own, key === '' ? name : `${key}.${name}`, call);
      if (key !== '') collect(own, `${key}.<name>`, call);
    }
}
