import { rm } from 'node:fs/promises';
import path from 'node:path';

import { type Budget, repositoryRoot, runProgram } from '../../core/index.js';
import { hashStorePath, type StorePath } from '../../guest/index.js';
import type { Toolbox } from '../../host/index.js';
import type { Scenario } from '../../scenario/index.js';

export interface MakeContractOptions {
  readonly toolbox: Toolbox;
  readonly cacheDir: string;
  readonly mirror: string | undefined;
  /** Empty; filled with some gigabytes. */
  readonly folder: string;
  readonly scenarios: readonly Scenario[];
  readonly budget: Budget;
}

/** The files of which a contract is made. */
export const SOURCES = path.join(repositoryRoot, 'harness/nix/contract');
/** The NixOS whose interface it has. */
export const RELEASE = '26.05';

/** Where store paths of a contract go. */
export interface Place {
  readonly paths: Map<string, StorePath>;
  readonly store: string;
  readonly options: MakeContractOptions;
}

/** Moves a folder into the store. @returns What it is called there. */
export async function addPath(
  folder: string,
  references: readonly string[],
  place: Place,
): Promise<StorePath> {
  const { toolbox, budget } = place.options;
  const hashed = await hashStorePath(toolbox, folder, references, budget);
  await rm(path.join(place.store, hashed.path), { recursive: true, force: true });
  await runProgram('mv', [folder, path.join(place.store, hashed.path)], { budget });
  place.paths.set(hashed.path, hashed);
  return hashed;
}

/** The kernel looks for the next archive at a multiple of four. */
export function padded(archive: Buffer): readonly Buffer[] {
  return [archive, Buffer.alloc((4 - (archive.length % 4)) % 4)];
}
