// Writes harness/nix/golden: what nix/ makes of every scenario. The difference is to be read before it is committed.
import os from 'node:os';

import { format } from 'prettier';

const { Budget, readEnvironment } = await import('../../.build/harness/core/index.js');
const { openToolbox } = await import('../../.build/harness/host/index.js');
const { evaluateMapping, GOLDEN_DIR, loadAllScenarios, nixEnvironment, summarizeMapping, writeFolder } =
  await import('../../.build/harness/nix/index.js');

const { cacheDir, debianMirror } = readEnvironment();
const budget = Budget.start('the golden files to be written', 300_000, new AbortController().signal);
const toolbox = await openToolbox({ kind: 'private', cacheDir, mirror: debianMirror, budget });
const mapping = await evaluateMapping((program, args) =>
  toolbox.run(program, args, budget, { env: nixEnvironment(os.tmpdir()) }),
);
const wanted = new Map();
for (const [name, value] of Object.entries(await summarizeMapping(mapping, await loadAllScenarios())))
  wanted.set(`${name}.json`, await format(JSON.stringify(value), { parser: 'json', printWidth: 110 }));
await writeFolder(GOLDEN_DIR, wanted);
