// Writes harness/nix/golden: what nix/ makes of every scenario. The difference is to be read before it is committed.
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { format } from 'prettier';

const { Budget, readEnvironment } = await import('../../.build/harness/core/index.js');
const { openToolbox } = await import('../../.build/harness/host/index.js');
const { evaluateMapping, GOLDEN_DIR, loadAllScenarios, nixEnvironment, summarizeMapping } =
  await import('../../.build/harness/nix/index.js');

const { cacheDir, debianMirror } = readEnvironment();
const budget = Budget.start('the golden files to be written', 300_000, new AbortController().signal);
const toolbox = await openToolbox({ kind: 'private', cacheDir, mirror: debianMirror, budget });
const mapping = await evaluateMapping((program, args) =>
  toolbox.run(program, args, budget, { env: nixEnvironment(os.tmpdir()) }),
);
await mkdir(GOLDEN_DIR, { recursive: true });
const summary = await summarizeMapping(mapping, await loadAllScenarios());
const wanted = new Map(Object.entries(summary).map(([name, value]) => [`${name}.json`, value]));
for (const name of await readdir(GOLDEN_DIR)) if (!wanted.has(name)) await rm(path.join(GOLDEN_DIR, name));
for (const [name, value] of wanted) {
  const text = await format(JSON.stringify(value), { parser: 'json', printWidth: 110 });
  await writeFile(path.join(GOLDEN_DIR, name), text);
}
