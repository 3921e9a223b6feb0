// Writes scenarios/scenario.schema.json, by which editors complete and check scenarios, reports/record.schema.json, by which
// programs check records, and nix/scenarios, which the flake reads.
import { writeFile } from 'node:fs/promises';

import { format } from 'prettier';

const { scenarioJsonSchema } = await import('../../.build/harness/scenario/index.js');
const { recordJsonSchema } = await import('../../.build/harness/record/index.js');
for (const [name, schema] of [
  ['scenarios/scenario.schema.json', scenarioJsonSchema()],
  ['reports/record.schema.json', recordJsonSchema()],
]) {
  const file = new URL(`../../${name}`, import.meta.url);
  await writeFile(file, await format(JSON.stringify(schema), { parser: 'json', printWidth: 110 }));
}

const { writeNixDocuments } = await import('../../.build/harness/nix/index.js');
await writeNixDocuments();
