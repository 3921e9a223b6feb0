// Writes harness/docs: the reference pages and the manual page, made from the command line and the scenarios' schema.
import { readFile, writeFile } from 'node:fs/promises';

const { readEnvironment } = await import('../../.build/harness/core/index.js');
const { makeCommandLine } = await import('../../.build/harness/cli/main.js');
const { makeReference } = await import('../../.build/harness/cli/reference/index.js');

const root = new URL('../../', import.meta.url);
const manifest = JSON.parse(await readFile(new URL('package.json', root), 'utf8'));
const { program } = makeCommandLine(readEnvironment(), manifest);
for (const [file, text] of Object.entries(await makeReference(program, manifest.version)))
  await writeFile(new URL(file, root), text);
