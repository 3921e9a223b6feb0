// Writes scenarios/scenario.schema.json, by which editors complete and check scenarios, and nix/scenarios, which the flake
// reads.
import { writeFile } from 'node:fs/promises';

import { format } from 'prettier';

const { scenarioJsonSchema } = await import('../../.build/harness/scenario/index.js');
const file = new URL('../../scenarios/scenario.schema.json', import.meta.url);
await writeFile(
  file,
  await format(JSON.stringify(scenarioJsonSchema()), { parser: 'json', printWidth: 110 }),
);

const { writeNixDocuments } = await import('../../.build/harness/nix/index.js');
await writeNixDocuments();
