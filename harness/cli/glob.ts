import { readdir } from 'node:fs/promises';
import path from 'node:path';

/** Every scenario file below a folder, with the name that `imperm run` takes for it. */
export async function glob(folder: string): Promise<{ name: string; file: string }[]> {
  const entries = await readdir(folder, { recursive: true });
  return entries
    .filter((entry) => path.basename(entry) === 'scenario.yaml')
    .sort()
    .map((entry) => ({ name: path.dirname(entry), file: path.join(folder, entry) }));
}
