import { open } from 'node:fs/promises';

import { type Budget, runProgram } from '../core/index.js';

const MIB = 1024 * 1024;

/** A file of a size, of which nothing is written yet. @param mode Default: that of any new file. */
export async function makeSparse(file: string, sizeMiB: number, mode?: number): Promise<void> {
  await using handle = await open(file, 'w', mode);
  await handle.truncate(sizeMiB * MIB);
}

/** Copies a partition, which is a file, to its place in a disk, which is one, too. */
export async function putPartition(
  file: string,
  { disk, startMiB, budget }: { readonly disk: string; readonly startMiB: number; readonly budget: Budget },
): Promise<void> {
  const words = [`if=${file}`, `of=${disk}`, 'bs=1M', `seek=${String(startMiB)}`, 'conv=notrunc,sparse'];
  await runProgram('dd', words, { budget });
}
