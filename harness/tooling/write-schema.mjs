// Writes scenarios/scenario.schema.json, by which editors complete and check scenarios.
import { writeFile } from 'node:fs/promises';

import { format } from 'prettier';

const { scenarioJsonSchema } = await import('../../.build/harness/scenario/index.js');
const file = new URL('../../scenarios/scenario.schema.json', import.meta.url);
await writeFile(
  file,
  await format(JSON.stringify(scenarioJsonSchema()), { parser: 'json', printWidth: 110 }),
);
