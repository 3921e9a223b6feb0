// Writes harness/report/golden: the texts that machines read of the made-up run. The difference is to be read before it is
// committed.
import { mkdir, writeFile } from 'node:fs/promises';

const { goldenTexts } = await import('../../.build/harness/report/golden-texts.js');
const folder = new URL('../report/golden/', import.meta.url);
await mkdir(folder, { recursive: true });
for (const [name, text] of Object.entries(goldenTexts())) await writeFile(new URL(name, folder), text);
