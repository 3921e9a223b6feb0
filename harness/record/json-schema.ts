import { z } from 'zod';

import { RECORD_VERSION } from './record.js';
import { runRecordSchema } from './schema.js';

/**
 * Makes the JSON Schema of `record.json`, by which programs of others check what they read. Fields that it does not name
 * are allowed: a record of a newer imperm with the same version may have more.
 *
 * @returns A schema of draft 7, which validators of every language know.
 */
export function recordJsonSchema(): Record<string, unknown> {
  const { $schema, ...whole } = z.toJSONSchema(runRecordSchema, { io: 'input', target: 'draft-7' });
  return { $schema, title: `imperm record, version ${String(RECORD_VERSION)}`, ...whole };
}
