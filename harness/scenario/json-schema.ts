import { z } from 'zod';
import { scenarioSchema } from './schema.js';

type JsonSchema = Record<string, unknown>;

/**
 * Makes the JSON Schema of scenario files, with which editors complete and check them. A file that extends
 * another may lack everything but its version, and may say null to remove a key. Rules over several keys are not
 * in it; those are checked when the file is loaded.
 *
 * @returns A schema of draft 7, which the YAML plugins of editors know.
 */
export function scenarioJsonSchema(): JsonSchema {
  const { $schema, ...whole } = z.toJSONSchema(scenarioSchema, {
    io: 'input',
    target: 'draft-7',
  }) as JsonSchema;
  return {
    $schema,
    title: 'imperm scenario',
    if: { required: ['extends'] },
    then: { $ref: '#/definitions/difference' },
    else: { $ref: '#/definitions/whole' },
    definitions: { whole, difference: makeDifference(whole) },
  };
}

function makeDifference(whole: JsonSchema): JsonSchema {
  const required = ['imperm', 'extends'];
  const difference = asDifference(whole);
  const properties = { ...(difference['properties'] as JsonSchema) };
  for (const key of required) properties[key] = (whole['properties'] as JsonSchema)[key];
  return { ...difference, properties, required };
}

/** The schema with no key required and null allowed for each; the items of lists stay whole. */
function asDifference(schema: JsonSchema): JsonSchema {
  const forms = schema['anyOf'];
  if (Array.isArray(forms)) return { ...schema, anyOf: (forms as JsonSchema[]).map(asDifference) };
  if (schema['type'] !== 'object') return schema;
  const { required: _required, properties, additionalProperties, ...rest } = schema;
  return {
    ...rest,
    ...(properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(
            Object.entries(properties as Record<string, JsonSchema>).map(([key, value]) => [
              key,
              removable(value),
            ]),
          ),
        }),
    ...(typeof additionalProperties === 'object' && additionalProperties !== null
      ? { additionalProperties: removable(additionalProperties as JsonSchema) }
      : { additionalProperties }),
  };
}

function removable(schema: JsonSchema): JsonSchema {
  const { description, ...inner } = asDifference(schema);
  return { ...(description === undefined ? {} : { description }), anyOf: [inner, { type: 'null' }] };
}
